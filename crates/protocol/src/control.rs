//! Control messages: JSON in text messages, told apart by their `type`.
//!
//! Parsing is strict: an unknown `type` or field is an error of its own, because a publisher and a
//! server that disagree about the protocol must find out at once and not after an hour of recording.

use serde::{Deserialize, Serialize};

use crate::certificate::{DeviceStatement, PublicKey, Signature};
use crate::codec::Params;
use crate::digest::TrackDigest;
use crate::error::{ErrorBody, ErrorCode};
use crate::limits::{MAX_CONTROL_BYTES, MAX_PARAMS_CHANGES, MAX_RANGES, MAX_TEXT_BYTES};
use crate::{PROTOCOL_VERSION, ResumeKey, RoomName, SessionId, Track, UnitRanges};

/// What a publisher says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum PublisherMessage {
    /// The first message on every connection.
    Hello(Hello),
    /// New codec parameters; comes before the first unit that needs them.
    Params(Params),
    /// Something that a viewer of the recording should know.
    Event(Event),
    /// The track has ended; no unit above the count will come.
    Finish(Finish),
}

/// Opens a connection, for a new session or for one that already has durable units.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// The publisher's protocol version.
    pub version: u8,
    /// The session; the publisher made the id up.
    pub session: SessionId,
    /// Proves that this is the publisher that began the session.
    pub resume_key: ResumeKey,
    /// The room that the session is in.
    pub room: RoomName,
    /// The track; must be the socket's.
    pub track: Track,
    /// All codec parameters of the track so far, ascending by `from_unit`; at least one.
    pub params: Vec<Params>,
    /// What publishes.
    pub device: Device,
    /// The wall clock at the session's start, in ms since 1970, as the device believes it.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub started_unix_ms: u64,
}

/// What publishes: for people who look at a list of sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// A name that a person gave or would recognise.
    pub name: String,
    /// The operating system.
    pub platform: String,
    /// The publishing program and its version, such as `longtake 0.1.0`.
    pub app: String,
}

/// Something that a viewer of the recording should know, at a time of the session.
///
/// A publisher repeats its events after every `welcome`; the server keeps one per number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Its place among the track's events, from 0.
    pub number: u32,
    /// When, in 1/90000 s since the session's start.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub at_90k: u64,
    /// What.
    pub kind: EventKind,
    /// More about it in words, such as the new device's name; may be empty. Some [kinds](EventKind) say its form.
    pub detail: String,
}

/// The kinds of [`Event`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// The camera or microphone gave no picture or sound any more: unplugged, stalled or taken away.
    DeviceLost,
    /// The device is back after it was lost.
    DeviceRestored,
    /// Another camera or microphone took over.
    DeviceSwitched,
    /// The person switched the camera or the microphone off.
    Muted,
    /// The person switched it on again.
    Unmuted,
    /// The picture's size, frame rate or bit rate was changed, or the sound's bit rate.
    QualityChanged,
    /// The encoder or the device could not keep up and skipped frames.
    FramesDropped,
    /// Units are lost: given up because the publisher's spool was full, not readable from the device's disk, or, of a publisher
    /// by WebRTC, lost on the network.
    UnitsLost,
    /// Nothing was captured from here on, for a reason that is no device's. The detail is an
    /// [`Interruption`](crate::Interruption).
    Interrupted,
    /// Capture goes on after it was interrupted. The detail is an [`Interruption`](crate::Interruption).
    Resumed,
    /// Sound was lost, or there was too much of it, and was set to the clock. The detail is a
    /// [`SoundShift`](crate::SoundShift).
    SoundResynchronised,
    /// The network carries less than the picture needs: from here on less of it was made, or it was not sent live. Again
    /// when it changes much. The detail is a [`NetworkRate`](crate::NetworkRate).
    RateLowered,
    /// The picture has its full bit rate again. The detail is a [`NetworkRate`](crate::NetworkRate).
    RateRestored,
    /// At the end of the audio track: how the microphone's clock ran, and how far sound and picture were apart. The
    /// detail is a [`ClockDrift`](crate::ClockDrift).
    ClockDrift,
}

/// Ends a track.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct Finish {
    /// How many units the track has: one more than the last unit's number, 0 for none.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub units: u64,
    /// Units that the publisher has given up and will never send.
    pub lost: UnitRanges,
    /// Units that the server holds and of which the publisher has lost the digests, in a power cut; else empty.
    pub unwitnessed: UnitRanges,
    /// The digest of all units but those in `lost` and `unwitnessed`.
    #[cfg_attr(feature = "typescript", ts(type = "string"))]
    pub digest: TrackDigest,
    /// The device's key.
    #[cfg_attr(feature = "typescript", ts(type = "string"))]
    pub device_key: PublicKey,
    /// The device's signature of the [`DeviceStatement`] that these fields make.
    #[cfg_attr(feature = "typescript", ts(type = "string"))]
    pub signature: Signature,
}

impl Finish {
    /// What the device has signed.
    #[must_use]
    pub fn statement(&self, session: SessionId, track: Track, started_unix_ms: u64) -> DeviceStatement {
        DeviceStatement {
            session,
            track,
            started_unix_ms,
            units: self.units,
            lost: self.lost.clone(),
            unwitnessed: self.unwitnessed.clone(),
            digest: self.digest,
        }
    }

    /// Whether the message has no room for more ranges, so that `lost` may also name units that are durable.
    #[must_use]
    pub fn is_coarse(&self) -> bool {
        self.ranges() >= MAX_RANGES
    }

    fn ranges(&self) -> usize {
        self.lost.as_slice().len() + self.unwitnessed.as_slice().len()
    }

    fn check(&self) -> Result<(), &'static str> {
        let beyond = |ranges: &UnitRanges| ranges.last().is_some_and(|last| last >= self.units);
        if self.ranges() > MAX_RANGES {
            return Err("too many ranges of lost and unwitnessed units");
        }
        if beyond(&self.lost) {
            return Err("a lost unit lies beyond the last one");
        }
        if beyond(&self.unwitnessed) {
            return Err("an unwitnessed unit lies beyond the last one");
        }
        Ok(())
    }
}

/// What the server says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ServerMessage {
    /// Answers `hello`.
    Welcome(Welcome),
    /// These units are durable now; a publisher may forget them.
    Ack {
        /// The units that became durable; may repeat earlier ones.
        durable: UnitRanges,
    },
    /// Somebody joined in mid-GOP: the next frame should be an IDR.
    KeyframeRequest {},
    /// How many people watch.
    Viewers {
        /// The number of viewers in the room.
        count: u32,
    },
    /// Something that the person at the publisher should know; nothing is refused.
    Notice(ErrorBody),
    /// Answers `finish`, once every unit that is not lost is durable and the digests agree.
    Complete {
        /// Units of the track, as `finish` said.
        #[cfg_attr(feature = "typescript", ts(type = "number"))]
        units: u64,
        /// Units that are durable.
        #[cfg_attr(feature = "typescript", ts(type = "number"))]
        durable_units: u64,
        /// The digest of what the server holds; it is the one in `finish`.
        #[cfg_attr(feature = "typescript", ts(type = "string"))]
        digest: TrackDigest,
    },
    /// Why the server closes the connection; the last message before the close.
    Error(ErrorBody),
}

/// Answers `hello`: where to go on, and within which limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct Welcome {
    /// The server's protocol version.
    pub version: u8,
    /// The units of this track that are durable already.
    pub durable: UnitRanges,
    /// What the server accepts.
    pub limits: Limits,
    /// The server's wall clock, in ms since 1970.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub server_unix_ms: u64,
}

/// What a server accepts on one connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The largest message, in bytes.
    pub message_bytes: u32,
    /// The largest unit payload, in bytes.
    pub unit_bytes: u32,
    /// A connection on which the publisher says nothing for this long is closed, in ms; a WebSocket
    /// ping counts as saying something.
    pub idle_ms: u32,
}

/// Why a text message is not a control message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// Longer than [`MAX_CONTROL_BYTES`].
    #[error("a control message has at most {MAX_CONTROL_BYTES} bytes")]
    TooLarge,
    /// Not a JSON object with a `type`.
    #[error("a control message is a JSON object with a \"type\"")]
    NotAMessage,
    /// A `type` that this version does not know.
    #[error("unknown message type {0:?}")]
    UnknownType(String),
    /// A known `type` with a wrong body.
    #[error("broken {kind:?} message: {reason}")]
    Invalid {
        /// The message's `type`.
        kind: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A `hello` of another protocol version.
    #[error("protocol version {0} is not supported; this side speaks version {PROTOCOL_VERSION}")]
    Version(u64),
}

impl ControlError {
    /// The code that a peer is told.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::TooLarge => ErrorCode::TooLarge,
            Self::UnknownType(_) => ErrorCode::UnknownMessage,
            Self::Version(_) => ErrorCode::UnsupportedVersion,
            Self::NotAMessage | Self::Invalid { .. } => ErrorCode::InvalidMessage,
        }
    }
}

impl PublisherMessage {
    const KINDS: [&'static str; 4] = ["hello", "params", "event", "finish"];

    /// Parses and checks a text message from a publisher.
    ///
    /// # Errors
    /// [`ControlError`]: not JSON, an unknown type, a body of the wrong form, or beyond the limits.
    pub fn parse(text: &str) -> Result<Self, ControlError> {
        let message: Self = parse(text, &Self::KINDS)?;
        message
            .check()
            .map_err(|(kind, reason)| ControlError::Invalid { kind, reason: reason.to_owned() })?;
        Ok(message)
    }

    /// The message as the text that goes over the wire.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("control messages are plain values")
    }

    fn check(&self) -> Result<(), (&'static str, &'static str)> {
        match self {
            Self::Hello(hello) => hello.check().map_err(|reason| ("hello", reason)),
            Self::Event(event) if event.detail.len() > MAX_TEXT_BYTES => {
                Err(("event", "the detail is too long"))
            }
            Self::Finish(finish) => finish.check().map_err(|reason| ("finish", reason)),
            Self::Params(_) | Self::Event(_) => Ok(()),
        }
    }
}

impl Hello {
    fn check(&self) -> Result<(), &'static str> {
        if self.params.is_empty() {
            return Err("params holds no codec parameters");
        }
        if self.params.len() > MAX_PARAMS_CHANGES {
            return Err("params holds too many changes");
        }
        if self.params.windows(2).any(|pair| pair[0].from_unit >= pair[1].from_unit) {
            return Err("params does not ascend by from_unit");
        }
        let texts = [&self.device.name, &self.device.platform, &self.device.app];
        if texts.iter().any(|text| text.len() > MAX_TEXT_BYTES) {
            return Err("a device text is too long");
        }
        Ok(())
    }
}

impl ServerMessage {
    const KINDS: [&'static str; 7] =
        ["welcome", "ack", "keyframe_request", "viewers", "notice", "complete", "error"];

    /// Parses a text message from a server.
    ///
    /// # Errors
    /// [`ControlError`]: not JSON, an unknown type, or a body of the wrong form.
    pub fn parse(text: &str) -> Result<Self, ControlError> {
        parse(text, &Self::KINDS)
    }

    /// The message as the text that goes over the wire.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("control messages are plain values")
    }
}

/// Parses in two steps, so that an unknown type, another version and a broken body are told apart.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(
    text: &str,
    kinds: &[&'static str],
) -> Result<T, ControlError> {
    #[derive(Deserialize)]
    struct Envelope {
        r#type: String,
        version: Option<serde_json::Value>,
    }

    if text.len() > MAX_CONTROL_BYTES {
        return Err(ControlError::TooLarge);
    }
    let envelope: Envelope = serde_json::from_str(text).map_err(|_| ControlError::NotAMessage)?;
    let Some(kind) = kinds.iter().find(|kind| **kind == envelope.r#type) else {
        let shown: String = envelope.r#type.chars().take(32).collect();
        return Err(ControlError::UnknownType(shown));
    };
    if let Some(version) = envelope.version.as_ref().and_then(serde_json::Value::as_u64)
        && version != u64::from(PROTOCOL_VERSION)
    {
        return Err(ControlError::Version(version));
    }
    // serde's reasons name fields and types; values that are echoed are cut short.
    serde_json::from_str(text).map_err(|error| ControlError::Invalid {
        kind,
        reason: error.to_string().chars().take(200).collect(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HELLO: &str = r#"{"type":"hello","version":1,"session":"01890a5d-ac96-774b-bcce-b302099a8057",
        "resume_key":"00112233445566778899aabbccddeeff","room":"studio","track":"audio",
        "params":[{"from_unit":0,"parameters":{"codec":"opus","channels":1,"pre_skip_48k":312}}],
        "device":{"name":"Desk","platform":"linux","app":"longtake 0.1.0"},"started_unix_ms":1700000000000}"#;

    fn code(text: &str) -> ErrorCode {
        PublisherMessage::parse(text).unwrap_err().code()
    }

    #[test]
    fn a_hello_parses_and_writes_back_to_the_same_value() {
        let hello = PublisherMessage::parse(HELLO).unwrap();
        let again = PublisherMessage::parse(&hello.to_json()).unwrap();
        assert_eq!(hello.to_json(), again.to_json());
    }

    #[test]
    fn broken_messages_have_their_own_codes() {
        assert_eq!(code(""), ErrorCode::InvalidMessage);
        assert_eq!(code("[]"), ErrorCode::InvalidMessage);
        assert_eq!(code(r#"{"type":7}"#), ErrorCode::InvalidMessage);
        assert_eq!(code(r#"{"type":"dance"}"#), ErrorCode::UnknownMessage);
        assert_eq!(code(r#"{"type":"ack","durable":[]}"#), ErrorCode::UnknownMessage);
        assert_eq!(code(&HELLO.replace("\"version\":1", "\"version\":2")), ErrorCode::UnsupportedVersion);
        assert_eq!(code(&HELLO.replace("\"version\":1", "\"version\":-1")), ErrorCode::InvalidMessage);
        assert_eq!(code(&HELLO.replace("studio", "../etc")), ErrorCode::InvalidMessage);
        assert_eq!(code(&HELLO.replace("01890a5d-", "../../a-")), ErrorCode::InvalidMessage);
        assert_eq!(code(&HELLO.replace("1700000000000", "1e400")), ErrorCode::InvalidMessage);
        assert_eq!(code(&HELLO.replace("1700000000000", "-1")), ErrorCode::InvalidMessage);
        assert_eq!(code(&HELLO.replace("1700000000000", "NaN")), ErrorCode::InvalidMessage);
        assert_eq!(code(&HELLO.replace("\"track\"", "\"extra\":1,\"track\"")), ErrorCode::InvalidMessage);
        assert_eq!(code(&HELLO.replace("Desk", &"x".repeat(300))), ErrorCode::InvalidMessage);
        assert_eq!(code(&" ".repeat(MAX_CONTROL_BYTES + 1)), ErrorCode::TooLarge);
        let finish = |lost: &str, unwitnessed: &str| {
            let (key, signature) = ("0".repeat(64), "0".repeat(128));
            format!(
                r#"{{"type":"finish","units":3,"lost":{lost},"unwitnessed":{unwitnessed},"digest":"{key}",
                "device_key":"{key}","signature":"{signature}"}}"#
            )
        };
        assert!(PublisherMessage::parse(&finish("[[1,1]]", "[[2,2]]")).is_ok());
        for (lost, unwitnessed) in [("[[1,3]]", "[]"), ("[[2,1]]", "[]"), ("[]", "[[3,3]]"), ("[]", "7")] {
            assert_eq!(code(&finish(lost, unwitnessed)), ErrorCode::InvalidMessage);
        }
        assert_eq!(code(&finish("[]", "[]").replace("00", "0")), ErrorCode::InvalidMessage);
        assert_eq!(code(r#"{"type":"finish","units":3,"lost":[]}"#), ErrorCode::InvalidMessage);
    }

    #[test]
    fn debug_output_of_a_hello_does_not_hold_the_resume_key() {
        let hello = PublisherMessage::parse(HELLO).unwrap();
        assert!(!format!("{hello:?}").contains("00112233"));
    }
}
