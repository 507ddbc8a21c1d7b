//! Where the bytes of segments are kept: one interface, a local folder behind it.
//!
//! The interface asks for no more than an object store can give: an append may become an object of its own whose
//! key ends in the offset, a read a set of ranges, a cut the removal of the objects behind it.

mod filesystem;
mod local;

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use protocol::{SessionId, Track};

pub use local::LocalStore;

/// Names one segment. The first unit tells a track's segments apart: no unit is stored twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentKey {
    /// The session.
    pub session: SessionId,
    /// The track.
    pub track: Track,
    /// The number of the segment's first unit.
    pub first_unit: u64,
}

impl fmt::Display for SegmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sessions/{}/{}/{:010}.mp4", self.session, self.track, self.first_unit)
    }
}

/// Bytes that belong at the end of a segment.
#[derive(Debug, Clone)]
pub struct Append {
    /// The segment.
    pub key: SegmentKey,
    /// Where they go: the segment's length so far, 0 for a new one. What lies behind was never acknowledged.
    pub offset: u64,
    /// The bytes, in order.
    pub bytes: Vec<Bytes>,
}

/// A segment that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredSegment {
    /// Its name.
    pub key: SegmentKey,
    /// Its length.
    pub bytes: u64,
}

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no such segment, or it ends before the bytes that were asked for.
    #[error("{key} does not hold the bytes {} to {}", range.start, range.end)]
    Missing {
        /// The segment.
        key: SegmentKey,
        /// The bytes.
        range: Range<u64>,
    },
    /// The system refused: the disk is full, failing, or not writable.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The system's word.
        source: std::io::Error,
    },
}

/// Keeps segments.
pub trait Store: fmt::Debug + Send + Sync {
    /// Appends to segments, each named once, and makes all of them durable. The outcomes are in the order of the
    /// appends; one that failed has left its segment as it was, or with bytes behind the old end that the next
    /// append at that offset removes.
    fn append(&self, appends: Vec<Append>) -> BoxFuture<'_, Vec<Result<(), StoreError>>>;

    /// Reads ranges of a segment, in the order given.
    fn read(&self, key: SegmentKey, ranges: Vec<Range<u64>>)
    -> BoxFuture<'_, Result<Vec<Bytes>, StoreError>>;

    /// The sessions that have segments, ascending.
    fn sessions(&self) -> BoxFuture<'_, Result<Vec<SessionId>, StoreError>>;

    /// A session's segments, ascending; none for a session that has none.
    fn segments(&self, session: SessionId) -> BoxFuture<'_, Result<Vec<StoredSegment>, StoreError>>;

    /// Cuts a segment to a length, durably; to 0 removes it.
    fn cut(&self, key: SegmentKey, bytes: u64) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Removes all segments of a session, durably. None is fine.
    fn delete(&self, session: SessionId) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Whether the store takes writes now.
    fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}
