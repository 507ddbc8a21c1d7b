use protocol::{ClockDrift, RoomName, SessionId};
use serde::{Deserialize, Serialize};

use super::Problem;

/// The session that runs, or the last one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// The room it is in.
    pub room: RoomName,
    /// The server's address.
    pub server: String,
    /// Where the recording can be fetched, also while it runs.
    pub recording_url: String,
    /// When it was started, in ms since the Unix epoch.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub started_unix_ms: u64,
    /// How long it has lasted, in ms; it stands still once the session is stopped.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub elapsed_ms: u64,
    /// Where it is.
    pub phase: SessionPhase,
    /// How many people watch, when the server has told.
    pub viewers: Option<u32>,
    /// Why this device cannot keep what waits, or soon cannot; none while there is room.
    pub storage: Option<Problem>,
    /// The picture's track.
    pub video: Option<Track>,
    /// The sound's track.
    pub audio: Option<Track>,
}

/// Where a session is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum SessionPhase {
    /// It captures.
    Running,
    /// It is stopped; what the server does not have yet is still being sent.
    Finishing,
    /// The server has everything.
    Complete,
    /// It has ended, and the server does not have everything.
    Incomplete {
        /// Why, and what is missing.
        problem: Problem,
    },
}

/// One track of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Track {
    /// Where it is.
    pub phase: TrackPhase,
    /// What was made, what has arrived, and what waits here.
    pub arrival: Arrival,
    /// The bit rate that the encoder makes, over the last two seconds, in bit/s.
    pub bitrate_bps: u32,
    /// The bit rate that it is asked for now, in bit/s: less than the full one where the network carries less.
    pub wanted_bitrate_bps: u32,
    /// The bit rate of the quality that was chosen, in bit/s.
    pub full_bitrate_bps: u32,
    /// The picture does not go live for now, as the network carries only the sound. It is kept here.
    pub is_paused: bool,
    /// Units per second that the encoder makes, over the last two seconds: frames of a picture.
    pub units_per_second: f32,
    /// Frames or runs of sound that were dropped before they were encoded, since the start.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub dropped: u64,
    /// The part of real time that encoding takes, 0 to 1 and above, over the last two seconds.
    pub encoder_load: f32,
    /// The newest time from a question to the server to its answer, in ms.
    pub round_trip_ms: Option<u32>,
    /// The microphone's clock, and how far the sound is from the picture; none for the picture's track.
    pub clock: Option<ClockDrift>,
}

/// Whether a track arrives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum TrackPhase {
    /// The device has not delivered yet.
    Waiting,
    /// The first connection is being made.
    Connecting,
    /// It arrives.
    Live,
    /// It arrives, and what an outage left behind is being sent.
    CatchingUp,
    /// The server is not reached; everything is kept here, and connecting goes on by itself.
    Offline {
        /// Why, for a person.
        reason: String,
    },
    /// The track has ended, and the server has every unit of it.
    Complete,
    /// The track has ended, and units are missing.
    Incomplete,
    /// The server refuses until somebody does something.
    Refused {
        /// What happened and what to do.
        problem: Problem,
    },
}

/// What a track's units have come to. A unit is an encoded picture or an Opus packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Arrival {
    /// Made by the encoder.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub units: u64,
    /// Durable on the server.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub durable_units: u64,
    /// Given up because too many were waiting.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub lost_units: u64,
    /// Units that are kept here.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub backlog_units: u64,
    /// Their bytes.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub backlog_bytes: u64,
    /// Their duration, in ms.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub backlog_ms: u64,
}
