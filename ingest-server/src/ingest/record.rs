//! What a track asks the recorder to make durable, and what it finds again after a restart.

use std::time::Duration;

use media::part::Part;
use protocol::codec::{CodecParameters, Params};
use protocol::control::{Event, Finish};
use protocol::{UnitRange, UnitRanges};

/// Names a [`Record`] of one track, so that its outcome can be told. Never used twice by a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// One thing that a track wants durable. Records of a track are recorded in the order in which they come.
#[derive(Debug, Clone)]
pub enum Record {
    /// A publisher said hello: session and track exist, with these parameters.
    Opened {
        /// All codec parameters of the track so far.
        params: Vec<Params>,
        /// Whether the track will take units, so that a session that had ended is active again.
        reopens: bool,
    },
    /// New codec parameters.
    Params(Params),
    /// Something that a viewer should know.
    Event(Event),
    /// Units.
    Part(PartRecord),
    /// The publisher said that the track has ended.
    Finish(Finish),
    /// Every unit is durable: are they those of this finish? The outcome is an error with
    /// [`ErrorCode::DigestMismatch`](protocol::error::ErrorCode::DigestMismatch) if not.
    Proof(Finish),
    /// No further part will follow for now: open segments are complete.
    Seal,
}

/// A part and what its row and its segment need besides.
#[derive(Debug, Clone)]
pub struct PartRecord {
    /// The part.
    pub part: Part,
    /// The parameters that decode it.
    pub parameters: CodecParameters,
    /// When its first unit arrived, on the server's monotonic clock.
    pub received: Duration,
}

/// What is durable of a track.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredTrack {
    /// Codec parameters, ascending by unit.
    pub params: Vec<Params>,
    /// The publisher's word that the track has ended.
    pub finish: Option<Finish>,
    /// Whether the digest in `finish` is that of the units.
    pub is_proven: bool,
    /// The units.
    pub durable: UnitRanges,
    /// Their payload bytes.
    pub durable_bytes: u64,
    /// When the first part starts, in 1/90000 s since the session's start.
    pub start_90k: Option<u64>,
    /// When the latest part starts.
    pub last_pts_90k: Option<u64>,
    /// When the latest part ends.
    pub end_90k: Option<u64>,
    /// What viewers should know, ascending by number.
    pub events: Vec<Event>,
}

impl StoredTrack {
    /// Takes in that a part is durable.
    pub fn insert(&mut self, units: UnitRange, payload_bytes: u64, pts_90k: u64, end_90k: u64) {
        self.durable.insert_range(units);
        self.durable_bytes += payload_bytes;
        self.start_90k = Some(self.start_90k.map_or(pts_90k, |start| start.min(pts_90k)));
        self.last_pts_90k = self.last_pts_90k.max(Some(pts_90k));
        self.end_90k = self.end_90k.max(Some(end_90k));
    }

    /// Takes in an event; one of the same number is replaced.
    pub fn put_event(&mut self, event: Event) {
        match self.events.binary_search_by_key(&event.number, |have| have.number) {
            Ok(at) => self.events[at] = event,
            Err(at) => self.events.insert(at, event),
        }
    }

    /// Whether the track has ended, and its units are all there and are those that the publisher made.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.finish.is_some() && self.is_proven
    }

    /// Whether the units that are not durable are exactly those that the publisher has given up.
    ///
    /// A publisher that names more has not heard yet that they are durable: it will, and finish anew. Only one whose
    /// list is too long for a message names more on purpose.
    #[must_use]
    pub fn has_all(&self) -> bool {
        let Some(finish) = &self.finish else { return false };
        let gaps = self.durable.gaps_below(finish.units);
        let is_lost = |gap: &UnitRange| {
            finish.lost.contains(gap.first) && finish.lost.first_missing_from(gap.first) > gap.last
        };
        gaps == finish.lost || finish.is_coarse() && gaps.as_slice().iter().all(is_lost)
    }
}
