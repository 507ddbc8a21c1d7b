//! The bodies of the HTTP API's answers. Errors are [`crate::error::ErrorBody`].

use serde::{Deserialize, Serialize};

use crate::certificate::PublicKey;
use crate::codec::CodecParameters;
use crate::control::{Device, Event};
use crate::{PROTOCOL_VERSION, RoomName, SessionId, UnitRanges};

/// Where a session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum SessionStatus {
    /// A publisher is connected.
    Active,
    /// No publisher is connected; it may come back.
    Interrupted,
    /// Every track has finished and is durable.
    Completed,
    /// The publisher did not come back in time. What arrived plays.
    Abandoned,
}

impl SessionStatus {
    /// The name used in JSON, in the database and in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Interrupted => "interrupted",
            Self::Completed => "completed",
            Self::Abandoned => "abandoned",
        }
    }
}

/// One session, as `GET /api/sessions/{id}` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Session {
    /// The session's id.
    pub id: SessionId,
    /// Its room.
    pub room: RoomName,
    /// Where it is in its life.
    pub status: SessionStatus,
    /// What publishes it.
    pub device: Device,
    /// When it began by the publisher's wall clock, in ms since 1970.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub started_unix_ms: u64,
    /// When the server last heard of it, in ms since 1970.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub last_activity_unix_ms: u64,
    /// The picture, if the session has one.
    pub video: Option<TrackState>,
    /// The sound, if the session has one.
    pub audio: Option<TrackState>,
}

/// One track of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct TrackState {
    /// Units that the track is known to have: one more than the highest number seen or finished.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub units: u64,
    /// Units that are durable.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub durable_units: u64,
    /// Payload bytes that are durable.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub durable_bytes: u64,
    /// From the first durable unit's start to the last one's end, in ms.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub duration_ms: u64,
    /// The newest codec parameters.
    pub codec: CodecParameters,
    /// The RFC 6381 codec string.
    pub codec_string: String,
    /// Whether a publisher's socket for this track is open.
    pub connected: bool,
    /// Whether the publisher has said that the track has ended.
    pub finished: bool,
    /// Units that are not durable yet.
    pub gaps: UnitRanges,
    /// The part of the gaps that will never come, by the publisher's word.
    pub lost: UnitRanges,
    /// What the publisher told about the track.
    pub events: Vec<Event>,
}

/// A page of sessions, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct SessionList {
    /// The sessions of this page.
    pub sessions: Vec<Session>,
    /// What to pass as `before` for the next page, if there is one.
    pub next_before: Option<SessionId>,
}

/// The answer of `/api/server-key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct ServerKey {
    /// The key that the server signs certificates with.
    #[cfg_attr(feature = "typescript", ts(type = "string"))]
    pub server_key: PublicKey,
}

/// What an ingest server of this project calls itself in [`Health`].
pub const SERVER_NAME: &str = "longtake-ingest";

/// The answer of `/health`: the process is up, and what it is. Every version of the server answers with at least
/// these fields, so that a publisher can tell what it has reached before it says anything else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Health {
    /// Always `ok`.
    pub status: String,
    /// Always [`SERVER_NAME`].
    pub server: String,
    /// The server's version.
    pub version: String,
    /// The version of the wire protocol that the server speaks.
    pub protocol_version: u8,
}

impl Health {
    /// The answer of a server that is up, of the given version.
    #[must_use]
    pub fn ok(version: &str) -> Self {
        Self {
            status: "ok".to_owned(),
            server: SERVER_NAME.to_owned(),
            version: version.to_owned(),
            protocol_version: PROTOCOL_VERSION,
        }
    }
}

/// The answer of `/ready`: whether the server can record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Ready {
    /// Whether everything below is.
    pub ready: bool,
    /// Whether the database answers.
    pub database: bool,
    /// Whether the store takes writes.
    pub store: bool,
    /// Whether the server is on its way out.
    pub shutting_down: bool,
}
