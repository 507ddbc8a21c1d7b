use std::ops::RangeInclusive;

use capture::{AudioConfig, MicrophoneChoice, Preset};
use protocol::room::MAX_ALIAS_CHARS;
use protocol::{RoomName, Secret};
use publisher::spool::disk;
use publisher::{AddressError, ServerAddress};
use serde::{Deserialize, Serialize};

use crate::api::{
    Problem, ProblemCode, Quality, QualityPreset, SettingsChange, Source, TokenChange, WhenFull, WhenSlow,
};

/// What is remembered across runs, but the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Choices {
    /// As it was typed.
    pub(crate) server: Option<String>,
    pub(crate) room: RoomName,
    /// The name in chats.
    pub(crate) alias: Option<String>,
    #[serde(with = "source_text")]
    pub(crate) camera: Source,
    #[serde(with = "source_text")]
    pub(crate) microphone: Source,
    pub(crate) mirrored: bool,
    pub(crate) when_slow: WhenSlow,
    pub(crate) spool_bytes: u64,
    pub(crate) when_full: WhenFull,
    // Last, as TOML wants tables behind plain values.
    pub(crate) quality: Quality,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            server: None,
            room: "studio".to_owned().try_into().expect("a room's name"),
            alias: None,
            camera: Source::Auto,
            microphone: Source::Auto,
            // What is filmed is seldom oneself, and writing in it shall be readable.
            mirrored: false,
            when_slow: WhenSlow::default(),
            spool_bytes: disk::DEFAULT_CAPACITY_BYTES,
            when_full: WhenFull::default(),
            quality: quality(&capture::Quality::default().preset()),
        }
    }
}

impl Choices {
    /// Whether every figure is in its range.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        check_quality(&self.quality)?;
        check_spool(self.spool_bytes)
    }
}

/// In the settings file a source is the text that also names it on a command line.
mod source_text {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::api::Source;

    pub(super) fn serialize<S: Serializer>(source: &Source, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(source.as_text())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Source, D::Error> {
        String::deserialize(from).map(|text| Source::from_text(&text))
    }
}

/// The named qualities, from the lowest to the highest.
pub(crate) fn presets() -> Vec<QualityPreset> {
    let named = |one: capture::Quality| {
        let preset = one.preset();
        QualityPreset { name: preset.name.to_owned(), quality: quality(&preset) }
    };
    capture::Quality::ALL.into_iter().map(named).collect()
}

fn quality(preset: &Preset) -> Quality {
    let audio = AudioConfig::new(MicrophoneChoice::Synthetic, 1);
    Quality {
        width: preset.width,
        height: preset.height,
        fps: preset.fps,
        video_bitrate_bps: preset.bitrate_bps,
        audio_bitrate_bps: audio.bitrate_bps,
        channels: audio.channels,
    }
}

fn check_quality(quality: &Quality) -> Result<(), Problem> {
    let within = |what: &str, value: u32, range: RangeInclusive<u32>, unit: &str| {
        if range.contains(&value) {
            return Ok(());
        }
        let (from, to) = range.into_inner();
        let message = format!("The {what} cannot be {value}{unit}. Choose {from} to {to}{unit}.");
        Err(Problem::new(ProblemCode::BadSetting, message))
    };
    within("width", quality.width, 64..=3840, " pixels")?;
    within("height", quality.height, 64..=2160, " pixels")?;
    within("frame rate", quality.fps, 1..=120, " frames per second")?;
    within("picture's bit rate", quality.video_bitrate_bps, 50_000..=100_000_000, " bit/s")?;
    within("sound's bit rate", quality.audio_bitrate_bps, 6_000..=510_000, " bit/s")?;
    within("number of sound channels", quality.channels.into(), 1..=2, "")
}

fn check_spool(bytes: u64) -> Result<(), Problem> {
    if (1 << 20..=1 << 40).contains(&bytes) {
        return Ok(());
    }
    let message = format!("A recording cannot take {bytes} bytes on this device. Choose 1 MiB to 1 TiB.");
    Err(Problem::new(ProblemCode::BadSetting, message))
}

/// A change of settings that has been checked.
#[derive(Debug, Default)]
pub(crate) struct Change {
    /// `Some(None)` forgets it.
    pub(crate) server: Option<Option<String>>,
    /// `Some(None)` forgets it.
    pub(crate) token: Option<Option<Secret>>,
    pub(crate) room: Option<RoomName>,
    /// `Some(None)` forgets it.
    pub(crate) alias: Option<Option<String>>,
    pub(crate) camera: Option<Source>,
    pub(crate) microphone: Option<Source>,
    pub(crate) quality: Option<Quality>,
    pub(crate) when_slow: Option<WhenSlow>,
    pub(crate) spool_bytes: Option<u64>,
    pub(crate) when_full: Option<WhenFull>,
    pub(crate) mirrored: Option<bool>,
}

impl TryFrom<SettingsChange> for Change {
    type Error = Problem;

    fn try_from(change: SettingsChange) -> Result<Self, Problem> {
        let server = change.server.map(|text| checked_server(&text)).transpose()?;
        let room = change.room.map(|text| checked_room(&text)).transpose()?;
        let alias = change.alias.map(|text| checked_alias(&text)).transpose()?;
        change.quality.as_ref().map_or(Ok(()), check_quality)?;
        change.spool_bytes.map_or(Ok(()), check_spool)?;
        let token = change.token.map(|token| match token {
            // What is pasted often has a line's end with it.
            TokenChange::Set(token) if !token.trim().is_empty() => Some(Secret::new(token.trim())),
            TokenChange::Set(_) | TokenChange::Clear => None,
        });
        let SettingsChange {
            camera, microphone, quality, when_slow, spool_bytes, when_full, mirrored, ..
        } = change;
        Ok(Self {
            server,
            token,
            room,
            alias,
            camera,
            microphone,
            quality,
            when_slow,
            spool_bytes,
            when_full,
            mirrored,
        })
    }
}

fn checked_server(text: &str) -> Result<Option<String>, Problem> {
    match text.parse::<ServerAddress>() {
        Ok(_) => Ok(Some(text.trim().to_owned())),
        Err(AddressError::Empty) if text.trim().is_empty() => Ok(None),
        Err(error) => Err(Problem::from(&error)),
    }
}

/// The server makes of it what it shows.
fn checked_alias(text: &str) -> Result<Option<String>, Problem> {
    let text = text.trim();
    if text.chars().count() > MAX_ALIAS_CHARS {
        let message = format!("A name in a chat has {MAX_ALIAS_CHARS} characters at the most.");
        return Err(Problem::new(ProblemCode::BadSetting, message));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// The room of this name.
pub(super) fn checked_room(text: &str) -> Result<RoomName, Problem> {
    text.trim().parse().map_err(|_| {
        let message =
            "A room's name has 1 to 64 letters, digits, - or _, and starts with a letter or a digit.";
        Problem::new(ProblemCode::BadSetting, message)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn code(change: SettingsChange) -> Option<ProblemCode> {
        Change::try_from(change).err().map(|problem| problem.code)
    }

    #[test]
    fn what_is_out_of_range_is_refused_with_its_range() {
        let good = presets()[0].quality;
        for (quality, says) in [
            (Quality { width: 63, ..good }, "64 to 3840 pixels"),
            (Quality { height: 2161, ..good }, "64 to 2160 pixels"),
            (Quality { fps: 0, ..good }, "1 to 120 frames"),
            (Quality { video_bitrate_bps: 49_999, ..good }, "50000 to 100000000 bit/s"),
            (Quality { audio_bitrate_bps: 510_001, ..good }, "6000 to 510000 bit/s"),
            (Quality { channels: 3, ..good }, "1 to 2"),
        ] {
            let change = SettingsChange { quality: Some(quality), ..SettingsChange::default() };
            let problem = Change::try_from(change).unwrap_err();
            assert_eq!(problem.code, ProblemCode::BadSetting);
            assert!(problem.message.contains(says), "{}", problem.message);
        }
        for preset in presets() {
            check_quality(&preset.quality).unwrap();
        }
    }

    #[test]
    fn what_waits_here_is_bounded_both_ways() {
        let spool = |bytes| SettingsChange { spool_bytes: Some(bytes), ..SettingsChange::default() };
        for (bytes, refused) in
            [((1 << 20) - 1, true), (1 << 20, false), (1 << 40, false), ((1 << 40) + 1, true)]
        {
            assert_eq!(code(spool(bytes)), refused.then_some(ProblemCode::BadSetting), "{bytes}");
        }
    }

    #[test]
    fn texts_are_trimmed_and_checked() {
        let server =
            |text: &str| SettingsChange { server: Some(text.to_owned()), ..SettingsChange::default() };
        assert_eq!(Change::try_from(server(" studio-pc ")).unwrap().server, Some(Some("studio-pc".into())));
        assert_eq!(Change::try_from(server("  ")).unwrap().server, Some(None));
        assert_eq!(code(server("http://")), Some(ProblemCode::BadAddress));
        assert_eq!(code(server("ftp://a")), Some(ProblemCode::BadAddress));
        let room = |text: &str| SettingsChange { room: Some(text.to_owned()), ..SettingsChange::default() };
        assert_eq!(Change::try_from(room(" stage ")).unwrap().room.unwrap().as_str(), "stage");
        assert_eq!(code(room("a b")), Some(ProblemCode::BadSetting));
        let alias = |text: &str| SettingsChange { alias: Some(text.to_owned()), ..SettingsChange::default() };
        assert_eq!(Change::try_from(alias(" Ada ")).unwrap().alias, Some(Some("Ada".into())));
        assert_eq!(Change::try_from(alias(" ")).unwrap().alias, Some(None));
        assert_eq!(code(alias(&"ä".repeat(40))), None);
        assert_eq!(code(alias(&"ä".repeat(41))), Some(ProblemCode::BadSetting));
        let token = |token| SettingsChange { token: Some(token), ..SettingsChange::default() };
        let set = Change::try_from(token(TokenChange::Set(" abc\n".into()))).unwrap().token.unwrap();
        assert_eq!(set.unwrap().expose(), "abc");
        assert!(Change::try_from(token(TokenChange::Set(" ".into()))).unwrap().token.unwrap().is_none());
    }
}
