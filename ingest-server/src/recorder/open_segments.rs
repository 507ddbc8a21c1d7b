//! Which segment takes the next part, and what goes into a segment's line in the log. Pure.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use media::mp4::{Mp4Error, init_segment};
use media::segment::{Placement, SegmentRule, Span};
use protocol::codec::CodecParameters;
use protocol::unit::Lane;
use protocol::{SessionId, Track};

use crate::ingest::PartRecord;
use crate::log::SegmentLine;
use crate::store::SegmentKey;

/// Where a part goes.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) key: SegmentKey,
    /// Where the part's fragment starts.
    pub(super) offset: u64,
    /// The init segment, when the part starts a new segment.
    pub(super) init: Option<Bytes>,
}

/// The segments that may still grow: at most two a track, one a lane.
#[derive(Debug)]
pub(super) struct OpenSegments {
    rule: SegmentRule,
    open: HashMap<(SessionId, Track, Lane), Open>,
    /// Segments that take no further part, until what they hold is durable and their line is written.
    complete: Vec<Open>,
    /// How many segments each track has had.
    ordinals: HashMap<(SessionId, Track), u64>,
}

#[derive(Debug)]
struct Open {
    key: SegmentKey,
    span: Span,
    parameters: CodecParameters,
    length: u64,
    line: SegmentLine,
}

impl OpenSegments {
    pub(super) fn new(rule: SegmentRule) -> Self {
        Self { rule, open: HashMap::new(), complete: Vec::new(), ordinals: HashMap::new() }
    }

    /// Whether the track's segments are counted.
    pub(super) fn knows(&self, session: SessionId, track: Track) -> bool {
        self.ordinals.contains_key(&(session, track))
    }

    /// Counts a track's segments on from so many.
    pub(super) fn number_from(&mut self, session: SessionId, track: Track, segments: u64) {
        self.ordinals.insert((session, track), segments);
    }

    /// Places a part.
    ///
    /// # Errors
    /// [`Mp4Error`] when a new segment is due and its parameters cannot be written; they were checked before.
    pub(super) fn place(&mut self, session: SessionId, record: &PartRecord) -> Result<Place, Mp4Error> {
        let part = &record.part;
        let slot = (session, part.track, part.lane);
        let length = part.fragment.len() as u64;
        if let Some(open) = self.open.get_mut(&slot)
            && open.parameters == record.parameters
            && self.rule.place(&open.span, part) == Placement::Append
        {
            let offset = open.length;
            open.length += length;
            open.span = open.span.with(part);
            open.line.add(record, open.span.duration_90k());
            return Ok(Place { key: open.key, offset, init: None });
        }
        let init = init_segment(part.track, &record.parameters)?;
        self.complete.extend(self.open.remove(&slot));
        let ordinal = self.ordinals.entry((session, part.track)).or_insert(0);
        *ordinal += 1;
        let key = SegmentKey { session, track: part.track, first_unit: part.first_unit };
        let offset = init.len() as u64;
        let mut line = SegmentLine::new(session, part.track, *ordinal);
        let span = Span::of(part);
        line.add(record, span.duration_90k());
        let parameters = record.parameters.clone();
        self.open.insert(slot, Open { key, span, parameters, length: offset + length, line });
        Ok(Place { key, offset, init: Some(init) })
    }

    /// No further part comes for now.
    pub(super) fn seal(&mut self, session: SessionId, track: Track) {
        for lane in [Lane::Live, Lane::Backfill] {
            self.complete.extend(self.open.remove(&(session, track, lane)));
        }
    }

    /// The session has ended: nothing of it is remembered.
    pub(super) fn end(&mut self, session: SessionId) {
        for track in Track::ALL {
            self.seal(session, track);
            self.ordinals.remove(&(session, track));
        }
    }

    /// A segment could not be written: nothing is appended to it any more, and it gets no line.
    pub(super) fn forget(&mut self, key: SegmentKey) {
        self.open.retain(|_, open| open.key != key);
        self.complete.retain(|open| open.key != key);
    }

    /// Parts became durable; each with its segment and when its first unit arrived.
    pub(super) fn made_durable(&mut self, parts: &[(SegmentKey, Duration)], now: Duration) {
        for segment in self.open.values_mut().chain(&mut self.complete) {
            for (_, received) in parts.iter().filter(|(key, _)| *key == segment.key) {
                segment.line.durable_in = segment.line.durable_in.max(now.saturating_sub(*received));
            }
        }
    }

    /// The lines of segments that are complete, and durable.
    pub(super) fn take_complete(&mut self) -> Vec<SegmentLine> {
        self.complete.drain(..).map(|open| open.line).collect()
    }

    /// The lines of all segments.
    pub(super) fn close_all(&mut self) -> Vec<SegmentLine> {
        self.complete.extend(self.open.drain().map(|(_, open)| open));
        self.take_complete()
    }
}
