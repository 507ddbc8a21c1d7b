//! Segments: which part starts a new one.

use protocol::Track;

use crate::part::Part;

/// Where a part goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// At the end of the open segment.
    Append,
    /// At the start of a new segment; the open one is complete.
    NewSegment,
}

/// What a segment holds so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// When its first unit is to be shown, in 1/90000 s since the session's start.
    pub pts_90k: u64,
    /// When its last unit ends, on the same clock.
    pub end_90k: u64,
    /// The number of its first unit.
    pub first_unit: u64,
    /// The number of the unit that would follow its last one.
    pub next_unit: u64,
}

impl Span {
    /// A segment of one part.
    #[must_use]
    pub const fn of(part: &Part) -> Self {
        Self {
            pts_90k: part.pts_90k,
            end_90k: part.end_90k(),
            first_unit: part.first_unit,
            next_unit: part.next_unit(),
        }
    }

    /// The segment with one more part at its end.
    #[must_use]
    pub const fn with(self, part: &Part) -> Self {
        Self { end_90k: part.end_90k(), next_unit: part.next_unit(), ..self }
    }

    /// How long it lasts, in 1/90000 s.
    #[must_use]
    pub const fn duration_90k(&self) -> u64 {
        self.end_90k.saturating_sub(self.pts_90k)
    }
}

/// When a segment is long enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentRule {
    /// A segment that lasts at least this long takes no further part, in 1/90000 s; a video segment
    /// takes parts until one starts with an IDR picture.
    pub target_duration_90k: u64,
}

impl SegmentRule {
    /// Where the next part goes, given the open segment of its track.
    ///
    /// A change of codec parameters needs a new segment as well; only the caller knows of it.
    #[must_use]
    pub fn place(&self, open: &Span, next: &Part) -> Placement {
        let reached = open.duration_90k() >= self.target_duration_90k;
        let may_cut = next.track == Track::Audio || next.key;
        if next.first_unit != open.next_unit || (reached && may_cut) {
            Placement::NewSegment
        } else {
            Placement::Append
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use protocol::unit::Lane;

    use super::*;

    fn part(track: Track, first_unit: u64, key: bool) -> Part {
        Part {
            track,
            lane: Lane::Live,
            first_unit,
            unit_count: 10,
            pts_90k: first_unit * 3000,
            duration_90k: 30_000,
            key,
            payload_bytes: 100,
            capture_us: 0,
            digests: Vec::new(),
            fragment: Bytes::new(),
        }
    }

    #[test]
    fn parts_are_placed_by_order_length_and_key() {
        let rule = SegmentRule { target_duration_90k: 60_000 };
        let place = |track, parts_before: u64, first_unit, key| {
            let mut open = Span::of(&part(track, 0, true));
            for before in 1..parts_before {
                open = open.with(&part(track, before * 10, false));
            }
            rule.place(&open, &part(track, first_unit, key))
        };
        use Placement::{Append, NewSegment};
        let table = [
            ("short video", place(Track::Video, 1, 10, false), Append),
            ("short video before an IDR picture", place(Track::Video, 1, 10, true), Append),
            ("long video", place(Track::Video, 2, 20, false), Append),
            ("long video before an IDR picture", place(Track::Video, 2, 20, true), NewSegment),
            ("video with a hole", place(Track::Video, 1, 11, false), NewSegment),
            ("video that repeats", place(Track::Video, 2, 10, true), NewSegment),
            ("short audio", place(Track::Audio, 1, 10, true), Append),
            ("long audio", place(Track::Audio, 2, 20, true), NewSegment),
            ("audio with a hole", place(Track::Audio, 1, 20, true), NewSegment),
        ];
        for (case, placement, expected) in table {
            assert_eq!(placement, expected, "{case}");
        }
    }

    #[test]
    fn a_span_follows_its_parts() {
        let span = Span::of(&part(Track::Audio, 5, true)).with(&part(Track::Audio, 15, true));
        assert_eq!((span.first_unit, span.next_unit), (5, 25));
        assert_eq!((span.pts_90k, span.end_90k, span.duration_90k()), (15_000, 75_000, 60_000));
    }
}
