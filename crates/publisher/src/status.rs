//! The answer to "is it arriving?", per track.

use std::fmt;
use std::time::Duration;

use protocol::Track;
use protocol::error::ErrorBody;

use crate::rate::Target;
use crate::spool::{Backlog, Health};

/// Where a track is, as a person would say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// No unit and no codec parameters yet: the device has not delivered anything.
    Waiting,
    /// The first connection is being made.
    Connecting,
    /// What the device delivers is durable on the server shortly after.
    Live,
    /// Connected, but the server does not have everything yet: see the backlog.
    CatchingUp,
    /// Not connected; units are kept here, and connecting goes on by itself.
    Offline {
        /// Since when, on the clock that the state machine is given.
        since: Duration,
        /// Why, in words for a person.
        reason: String,
    },
    /// The track has ended, and the server has said so.
    Complete,
    /// The server refused in a way that trying again cannot heal. Units are kept here until
    /// somebody does something and reconnects.
    NeedsYou(ErrorBody),
}

impl Phase {
    /// The phase's name, for logs and scripts.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::CatchingUp => "catching up",
            Self::Offline { .. } => "offline",
            Self::Complete => "complete",
            Self::NeedsYou(_) => "needs you",
        }
    }
}

/// What happened to a track so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Units that the encoder made.
    pub units: u64,
    /// Their payload bytes.
    pub payload_bytes: u64,
    /// Units written to a socket, repetitions after a reconnect included.
    pub sent_units: u64,
    /// Bytes of those, headers included.
    pub sent_bytes: u64,
    /// The part of `sent_units` that had been sent before, on an earlier connection.
    pub repeated_units: u64,
    /// Units that the server acknowledged as durable.
    pub durable_units: u64,
    /// Units that were given up and that the server does not have.
    pub lost_units: u64,
    /// Connections that the server welcomed.
    pub connections: u32,
    /// Events that were not told because the session has as many as the protocol allows.
    pub dropped_events: u32,
    /// Units sent on the present connection and not acknowledged.
    pub in_flight_units: u64,
    /// Bytes of those.
    pub in_flight_bytes: u64,
    /// The newest measured time from a ping to its pong.
    pub round_trip: Option<Duration>,
}

impl Counters {
    /// How often the connection was made anew.
    #[must_use]
    pub const fn reconnects(&self) -> u32 {
        self.connections.saturating_sub(1)
    }
}

/// One track's state at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackStatus {
    /// Where it is.
    pub phase: Phase,
    /// What is kept here because the server has not acknowledged it.
    pub backlog: Backlog,
    /// What happened so far.
    pub counters: Counters,
    /// Whether what is kept here is kept safely.
    pub spool: Health,
    /// What the encoder should make, where the bit rate follows the network.
    pub target: Option<Target>,
}

impl fmt::Display for TrackStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.phase.name())?;
        let Backlog { units, bytes, duration_ms } = self.backlog;
        match &self.phase {
            Phase::CatchingUp => write!(f, " ({units} units, {:.1} s)", duration_ms as f64 / 1_000.0)?,
            Phase::Offline { reason, .. } => write!(f, " ({reason}; {} KiB kept here)", bytes / 1_024)?,
            Phase::NeedsYou(error) => write!(f, " ({})", error.message)?,
            Phase::Waiting | Phase::Connecting | Phase::Live | Phase::Complete => {}
        }
        Ok(())
    }
}

/// Both tracks' state; none for a track that the session does not have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// The picture.
    pub video: Option<TrackStatus>,
    /// The sound.
    pub audio: Option<TrackStatus>,
    /// How many people watch, when the server has told.
    pub viewers: Option<u32>,
}

impl Status {
    /// One track's status.
    #[must_use]
    pub const fn track(&self, track: Track) -> Option<&TrackStatus> {
        match track {
            Track::Video => self.video.as_ref(),
            Track::Audio => self.audio.as_ref(),
        }
    }

    pub(crate) const fn track_mut(&mut self, track: Track) -> &mut Option<TrackStatus> {
        match track {
            Track::Video => &mut self.video,
            Track::Audio => &mut self.audio,
        }
    }

    /// The tracks that the session has.
    pub fn tracks(&self) -> impl Iterator<Item = (Track, &TrackStatus)> {
        Track::ALL.into_iter().filter_map(|track| Some((track, self.track(track)?)))
    }
}
