//! One track's socket as a sans-IO state machine: [`TrackMachine`].
//!
//! Time, units and what the socket reports are inputs; what to do with the socket and what to write to
//! it are outputs. The machine reads no clock, starts no task and draws randomness only from its seed,
//! so that the same inputs always give the same outputs.
//!
//! # Using it
//! After every input, drain [`TrackMachine::poll_command`]; whenever the socket can take a message,
//! write what [`TrackMachine::poll_frame`] gives, or [`TrackMachine::poll_message`] where messages must go whole; and at [`TrackMachine::next_timeout`] call
//! [`TrackMachine::timeout`]. `now` is a time since any fixed instant and never goes backwards.
//!
//! # Invariants
//! 1. A unit leaves the spool only when the server has said that it is durable, or when a full spool
//!    gives it up; a unit that is given up is counted, and named in `finish`.
//! 2. No unit is written before `welcome`, and none that `welcome` or an ack of the same connection
//!    has named.
//! 3. On a connection each unit is written at most once, in ascending order within the backfill lane and
//!    within the live lane, and codec parameters before the units that need them. The live lane comes first; it
//!    starts at a key unit, and is never further behind than [`Pace::live_backlog`].
//! 4. Every event, and after the last unit the `finish`, is written again after every `welcome`, until
//!    `complete`. It says what is known when it is written, and is written anew when that changes.
//! 5. Units in flight (written, not acknowledged) stay within [`Pace::in_flight_bytes`], and bytes under way
//!    (written, not arrived) within a window that keeps queues on the path short, except that one message, or one piece of
//!    it, may always be.
//! 6. At most one connection exists: `Connect` comes only after the former one is closed or
//!    `Disconnect` was given.

mod acceptable;
mod lanes;
mod link;
mod losses;
mod machine;
mod refusal;
mod window;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::digest::TrackDigest;
use protocol::error::ErrorBody;
use protocol::unit::UnitError;
use protocol::{ResumeKey, RoomName, SessionId, Track, control::Device};
use signing::SigningKey;

pub use machine::TrackMachine;
pub(crate) use refusal::{printable, shown};
pub use refusal::{refusal_of_close, refusal_of_http};

/// Which session a track belongs to; the same for both tracks, and on every connection.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The session.
    pub session: SessionId,
    /// What proves that this is the publisher that began it.
    pub resume_key: ResumeKey,
    /// The room that the session is in.
    pub room: RoomName,
    /// What publishes.
    pub device: Device,
    /// The wall clock at the session's start, in ms since 1970.
    pub started_unix_ms: u64,
    /// What the device signs its word on a track's end with.
    pub device_key: Arc<SigningKey>,
}

/// The times and sizes that a track's socket keeps to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long a connection may take to open, and then once more until the server's `welcome`.
    pub connect_timeout: Duration,
    /// How often a ping is written. The server's idle time may make it shorter.
    pub ping_interval: Duration,
    /// A connection on which nothing was heard for this long is given up; on a slow path, for four round trips, and after
    /// connections that came to nothing, up to four times as long.
    pub dead_after: Duration,
    /// The first wait before a reconnect.
    pub backoff_first: Duration,
    /// The longest wait before a reconnect.
    pub backoff_longest: Duration,
    /// Bytes written and not acknowledged.
    pub in_flight_bytes: u64,
    /// Ready units share a message up to this size in bytes.
    pub shared_message_bytes: usize,
    /// How long a unit may be held back so that others can share its message.
    pub hold: Duration,
    /// A backlog of more than this is called catching up; the live lane is never further behind than this.
    pub live_backlog: Duration,
}

impl Pace {
    /// The defaults of a track.
    ///
    /// The window bounds what a slow server keeps in flight; with acks after half a second it still
    /// lets a backlog drain at about 60 Mbit/s (video) or 4 Mbit/s (audio).
    #[must_use]
    pub const fn of(track: Track) -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(1),
            dead_after: Duration::from_secs(5),
            backoff_first: Duration::from_millis(250),
            backoff_longest: Duration::from_secs(5),
            in_flight_bytes: match track {
                Track::Video => 4 * 1024 * 1024,
                Track::Audio => 256 * 1024,
            },
            shared_message_bytes: 16 * 1024,
            hold: Duration::ZERO,
            live_backlog: Duration::from_secs(2),
        }
    }
}

/// How the sound fares on its way, which the picture may share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AudioState {
    /// The time that its messages spend in queues.
    pub delay: Duration,
    /// Units of it that were left behind are being sent.
    pub catches_up: bool,
}

/// What to do with the track's socket, or whom to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Open a connection and report [`SocketEvent::Opened`] or [`SocketEvent::ConnectFailed`].
    Connect,
    /// Close the connection, or stop opening it, and report nothing of it any more.
    Disconnect,
    /// Tell the encoder or the person.
    Tell(Tell),
}

/// What the server wants the encoder or the person to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tell {
    /// Somebody joined in mid-GOP: the next frame should be an IDR.
    KeyframeRequest,
    /// How many people watch.
    Viewers(u32),
    /// The server has something to say; nothing is refused.
    Notice(ErrorBody),
}

/// What to write to the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A control message.
    Text(String),
    /// Units.
    Binary(Bytes),
    /// A ping with this number as its payload, big-endian; report [`SocketEvent::Pong`] when its answer comes.
    Ping(u32),
}

/// What to write to the socket, where large messages go in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A whole message.
    Whole(Message),
    /// A piece of a binary message: a frame of a fragmented one (RFC 6455, section 5.4).
    Piece {
        /// Its bytes.
        bytes: Bytes,
        /// Whether the message begins with it.
        is_first: bool,
        /// Whether the message ends with it.
        is_last: bool,
    },
}

/// What happened at the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketEvent {
    /// The WebSocket is open.
    Opened,
    /// A text message came.
    Text(String),
    /// A binary message came, which no server may send.
    Binary,
    /// The pong of the ping with this number came.
    Pong(u32),
    /// Something else came that proves the peer alive, such as a ping.
    Heard,
    /// The connection is gone.
    Closed {
        /// The close code, if the peer closed in order.
        code: Option<u16>,
        /// What is known of the reason; may be empty.
        reason: String,
    },
    /// No connection came about.
    ConnectFailed(ConnectFailure),
}

/// Why no connection came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectFailure {
    /// The server answered, and refused.
    Refused(ErrorBody),
    /// There was no answer to use: no name, no trust in the certificate, nothing that listens.
    Unreachable(String),
    /// This device has no network, or none that leads there. Trying again soon burdens nobody, and finds out at once
    /// when there is one.
    NoNetwork(String),
}

/// How a track ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completion {
    /// Units that the encoder made.
    pub units: u64,
    /// Units that are durable on the server.
    pub durable_units: u64,
    /// The digest that server and device agree on; none for a track that the server never heard of.
    pub digest: Option<TrackDigest>,
}

impl Completion {
    /// Units that the server does not have and never will.
    #[must_use]
    pub const fn lost_units(&self) -> u64 {
        self.units - self.durable_units
    }
}

/// Why a unit, or codec parameters, cannot be taken. Each is a fault of the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// Units are numbered without holes.
    #[error("unit {number} does not follow: unit {expected} comes next")]
    NotConsecutive {
        /// The unit's number.
        number: u64,
        /// The number that it should have.
        expected: u64,
    },
    /// The unit cannot go over the wire.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// Codec parameters come before the first unit.
    #[error("codec parameters come before the first unit")]
    NoParameters,
    /// Codec parameters must ascend by unit, be of the track's codec, and be for units to come.
    #[error("codec parameters from unit {from_unit} on do not fit: unit {expected} comes next")]
    Parameters {
        /// The first unit that needs the parameters.
        from_unit: u64,
        /// The number of the next unit.
        expected: u64,
    },
    /// As many changes of codec parameters as a session can hold.
    #[error("the session has changed its codec parameters too often; start a new session")]
    TooManyParameters,
    /// The track has ended.
    #[error("the track has ended and takes nothing more")]
    Finished,
}

#[cfg(test)]
mod tests;
