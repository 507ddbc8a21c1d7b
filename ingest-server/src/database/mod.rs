//! The rows: what is known of sessions and of the parts that are durable. One interface, SQLite behind it.

mod sqlite;

use std::fmt;

use futures_util::future::BoxFuture;
use protocol::api::SessionStatus;
use protocol::certificate::Signed;
use protocol::codec::{CodecParameters, Params};
use protocol::control::{Device, Event, Finish};
use protocol::digest::{UnitDigest, UnitDigests};
use protocol::room::{AuditEntry, TokenBan, TokenId, ViewerId};
use protocol::{RoomName, SessionId, Track, UnitRange};

use crate::ingest::StoredTrack;
use crate::rooms::Ban;
use crate::store::SegmentKey;

pub use sqlite::SqliteDatabase;

/// What is known of a session from its first hello on.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// The session's id.
    pub id: SessionId,
    /// Its room.
    pub room: RoomName,
    /// SHA-256 of the key with which its publisher comes back.
    pub resume_key_sha256: [u8; 32],
    /// What publishes it.
    pub device: Device,
    /// When it began by the publisher's wall clock, in ms since 1970.
    pub started_unix_ms: u64,
}

impl fmt::Debug for SessionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionInfo").field("id", &self.id).field("room", &self.room).finish_non_exhaustive()
    }
}

/// A session as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSession {
    /// What is known of it.
    pub info: SessionInfo,
    /// Its status when that last changed.
    pub status: SessionStatus,
    /// When the server last heard of it, in ms since 1970.
    pub last_activity_unix_ms: u64,
    /// The tracks that said hello.
    pub tracks: Vec<(Track, StoredTrack)>,
}

/// A segment's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentRow {
    /// Its name in the store.
    pub key: SegmentKey,
    /// The length of the init segment in front of its parts.
    pub init_bytes: u64,
    /// The parameters that decode all of it.
    pub parameters: CodecParameters,
}

/// A part's row. While it stands, the store holds its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartRow {
    /// The segment that holds it.
    pub segment: SegmentKey,
    /// Its first unit.
    pub first_unit: u64,
    /// How many units.
    pub unit_count: u32,
    /// Where it starts in the segment.
    pub offset_bytes: u64,
    /// The length of its fragment.
    pub length_bytes: u64,
    /// Bytes of the units' payloads.
    pub payload_bytes: u64,
    /// When its first unit is to be shown, in 1/90000 s since the session's start.
    pub pts_90k: u64,
    /// How long it lasts.
    pub duration_90k: u64,
    /// Whether decoding can start with it.
    pub key: bool,
    /// CRC-32 of the fragment.
    pub crc32: u32,
    /// When the device captured its first unit, in µs since the session's start.
    pub capture_us: u64,
    /// When it was stored, in ms since 1970.
    pub stored_unix_ms: u64,
}

impl PartRow {
    /// The number of the unit that follows its last one.
    #[must_use]
    pub const fn next_unit(&self) -> u64 {
        self.first_unit + self.unit_count as u64
    }

    /// Where its fragment ends in the segment.
    #[must_use]
    pub const fn end_bytes(&self) -> u64 {
        self.offset_bytes + self.length_bytes
    }
}

/// How many parts a session has, and their fragments' bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartsVersion {
    /// Parts of both tracks.
    pub parts: u64,
    /// Bytes of their fragments.
    pub bytes: u64,
}

/// One change. What a change refers to must be there or come before it in the same transaction.
#[derive(Debug, Clone)]
pub enum Change {
    /// Session and track exist. Of a session that is known only status and parameters change.
    Opened {
        /// The session.
        info: SessionInfo,
        /// The track.
        track: Track,
        /// All codec parameters so far.
        params: Vec<Params>,
        /// Whether the session is active from now on, whatever it was.
        reopens: bool,
        /// Now, in ms since 1970.
        unix_ms: u64,
    },
    /// New codec parameters.
    Params(SessionId, Track, Params),
    /// A new event, or another text for one.
    Event(SessionId, Track, Event),
    /// The track has ended. What was proven before is not any more.
    Finish(SessionId, Track, Finish),
    /// The track's units are those of its finish; nothing happens if it has another one by now.
    Proven(SessionId, Track, Finish),
    /// A new segment, or another attempt at one that failed.
    Segment(SegmentRow),
    /// A durable part.
    Part {
        /// Its row.
        row: PartRow,
        /// Its units' digests, in their order.
        digests: Vec<UnitDigest>,
    },
    /// The session's status, and what is durable of its tracks now. Nothing happens for an unknown session.
    Status {
        /// The session.
        id: SessionId,
        /// The status.
        status: SessionStatus,
        /// When the server last heard of it, in ms since 1970.
        last_activity_unix_ms: u64,
        /// Its tracks; only totals are taken.
        tracks: Vec<(Track, StoredTrack)>,
        /// The certificate of a session that is complete. A session that is not has none.
        certificate: Option<Signed>,
    },
    /// Parts of which the store has lost the bytes.
    Forget(Vec<PartRow>),
    /// Who moderates the room has ended the session; when, in ms since 1970.
    Ended(SessionId, u64),
    /// A room is there also while nobody is in it; since when, in ms since 1970.
    KeepRoom(RoomName, u64),
    /// A room is like any other again.
    ForgetRoom(RoomName),
    /// A viewer is kept out; an earlier ban of it is replaced.
    Ban(Ban),
    /// A viewer may come back.
    LiftBan(RoomName, ViewerId),
    /// A token is kept out; an earlier ban of it from the same room, or from everywhere, is replaced.
    BanToken(TokenBan),
    /// A token may come back to a room, or counts again.
    LiftTokenBan(TokenId, Option<RoomName>),
    /// What somebody did; the entry's number is drawn by the database. Very old entries go.
    Audit(AuditEntry),
}

impl Change {
    /// The session that it concerns.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        match self {
            Self::Opened { info, .. } => Some(info.id),
            Self::Params(id, ..)
            | Self::Event(id, ..)
            | Self::Finish(id, ..)
            | Self::Proven(id, ..)
            | Self::Ended(id, _)
            | Self::Status { id, .. } => Some(*id),
            Self::Segment(row) => Some(row.key.session),
            Self::Part { row, .. } => Some(row.segment.session),
            Self::Forget(rows) => rows.first().map(|row| row.segment.session),
            Self::KeepRoom(..)
            | Self::ForgetRoom(_)
            | Self::Ban(_)
            | Self::LiftBan(..)
            | Self::BanToken(_)
            | Self::LiftTokenBan(..)
            | Self::Audit(_) => None,
        }
    }
}

/// Which sessions a list shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Only sessions with a lower id, which are older.
    pub before: Option<SessionId>,
    /// Only sessions of this status.
    pub status: Option<SessionStatus>,
    /// Only sessions of this room.
    pub room: Option<RoomName>,
    /// How many at the most.
    pub limit: u32,
}

/// Which entries of the audit log a list shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    /// Only entries with a lower number, which are older.
    pub before: Option<u64>,
    /// Only entries of this room.
    pub room: Option<RoomName>,
    /// How many at the most.
    pub limit: u32,
}

/// Why the database could not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The database refused: it is locked, full, or broken.
    #[error("the database failed: {0}")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A row that this server did not write so.
    #[error("the database holds a broken {0}")]
    Broken(&'static str),
}

/// Keeps rows.
pub trait Database: fmt::Debug + Send + Sync {
    /// Makes all changes in one transaction, durably, or none.
    fn commit<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<(), DatabaseError>>;

    /// A session with exact totals, counted from its parts.
    fn session(&self, id: SessionId) -> BoxFuture<'_, Result<Option<StoredSession>, DatabaseError>>;

    /// Sessions by id, highest (newest) first, with totals as of the last change of their status.
    fn sessions(&self, page: Page) -> BoxFuture<'_, Result<Vec<StoredSession>, DatabaseError>>;

    /// The ids of all sessions, ascending.
    fn ids(&self) -> BoxFuture<'_, Result<Vec<SessionId>, DatabaseError>>;

    /// The ids of sessions that are neither completed nor abandoned.
    fn unfinished(&self) -> BoxFuture<'_, Result<Vec<SessionId>, DatabaseError>>;

    /// A session's segments, ascending by track and first unit.
    fn segments(&self, id: SessionId) -> BoxFuture<'_, Result<Vec<SegmentRow>, DatabaseError>>;

    /// A session's parts, ascending by track and first unit.
    fn parts(&self, id: SessionId) -> BoxFuture<'_, Result<Vec<PartRow>, DatabaseError>>;

    /// The parts of a track that begin with these units, ascending.
    fn parts_in(
        &self,
        id: SessionId,
        track: Track,
        units: UnitRange,
    ) -> BoxFuture<'_, Result<Vec<PartRow>, DatabaseError>>;

    /// The digests of a track's durable units.
    fn digests(&self, id: SessionId, track: Track) -> BoxFuture<'_, Result<UnitDigests, DatabaseError>>;

    /// The certificate of a session that is complete.
    fn certificate(&self, id: SessionId) -> BoxFuture<'_, Result<Option<Signed>, DatabaseError>>;

    /// What tells whether a session's parts have changed; `None` for an unknown session.
    fn version(&self, id: SessionId) -> BoxFuture<'_, Result<Option<PartsVersion>, DatabaseError>>;

    /// Removes a session's rows and remembers that it was deleted. Says whether there was one.
    fn delete(&self, id: SessionId, unix_ms: u64) -> BoxFuture<'_, Result<bool, DatabaseError>>;

    /// Whether a session was deleted.
    fn is_deleted(&self, id: SessionId) -> BoxFuture<'_, Result<bool, DatabaseError>>;

    /// Whether who moderates its room has ended the session.
    fn is_ended(&self, id: SessionId) -> BoxFuture<'_, Result<bool, DatabaseError>>;

    /// The room of a session; `None` for an unknown session.
    fn room(&self, id: SessionId) -> BoxFuture<'_, Result<Option<RoomName>, DatabaseError>>;

    /// The rooms that were made beforehand, by name.
    fn kept_rooms(&self) -> BoxFuture<'_, Result<Vec<RoomName>, DatabaseError>>;

    /// All bans, also those that have ended.
    fn bans(&self) -> BoxFuture<'_, Result<Vec<Ban>, DatabaseError>>;

    /// All bans of tokens, also those that have ended.
    fn token_bans(&self) -> BoxFuture<'_, Result<Vec<TokenBan>, DatabaseError>>;

    /// Entries of the audit log, newest first.
    fn audit(&self, page: AuditPage) -> BoxFuture<'_, Result<Vec<AuditEntry>, DatabaseError>>;

    /// Whether the database answers.
    fn ping(&self) -> BoxFuture<'_, Result<(), DatabaseError>>;

    /// Waits for what is running and closes.
    fn close(&self) -> BoxFuture<'_, ()>;
}
