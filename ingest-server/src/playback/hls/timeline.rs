//! A track cut into HLS segments. Pure.
//!
//! A segment's media sequence number is a stretch of the session's time, [`CELL_90K`] long: number 15 begins a minute
//! into the session, whatever has arrived of what comes before it. So the numbers need no bookkeeping, are the same after a restart, and do
//! not move when a gap fills: the segments of a gap are there from the start, marked as missing.
//!
//! A video segment begins with the first IDR picture of its stretch and goes on to the next segment's. Publishers of this
//! project make an IDR picture every 2 s, so there is one in each stretch. Other encoders make fewer: a stretch without one has its
//! segment from the part on that reaches its end, which then does not begin with an IDR picture. So no segment lasts longer than two
//! stretches, and what is missing is the only thing marked as such.

use std::ops::Range;

use protocol::{Track, UnitRange, UnitRanges};

use crate::database::PartRow;

/// The stretch of time that a segment's number stands for, in 1/90000 s. Longer than the distance of two IDR pictures.
pub(crate) const CELL_90K: u64 = 4 * 90_000;
/// No segment lasts longer, in 1/90000 s: it begins in its stretch, and the next one in the next. The exception is one whose number
/// runs ahead of the time and behind which time is missing: there are no numbers to mark that with.
pub(crate) const LONGEST_90K: u64 = 2 * CELL_90K;
/// What begins later is not listed, in 1/90000 s since the session's start: a week. Each stretch before it costs memory and a line of the
/// playlist, whether or not anything was sent in it, and a publisher may give its units any time.
const LAST_90K: u64 = 7 * 24 * 3_600 * 90_000;
/// How far from the end of a stretch a part may end and yet reach it, in 1/90000 s: two pictures at 15 fps, as the next may come a
/// little late.
const REACH_90K: u64 = 12_000;

/// One segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Its media sequence number.
    pub(crate) number: u64,
    /// When it starts, in 1/90000 s since the session's start.
    pub(crate) start_90k: u64,
    /// Its parts' places among the timeline's; none for a segment of a gap.
    pub(crate) parts: Range<usize>,
    /// From which unit on its codec parameters hold. Of a gap: those of the segment before it.
    pub(crate) params_from: u64,
}

impl Segment {
    pub(crate) const fn is_gap(&self) -> bool {
        self.parts.start >= self.parts.end
    }
}

/// What is durable of a track, part by part, and the segments that it makes.
#[derive(Debug)]
pub(crate) struct Timeline {
    track: Track,
    /// From which units on codec parameters hold, ascending.
    params_from: Vec<u64>,
    known: UnitRanges,
    /// Ascending by first unit.
    parts: Vec<PartRow>,
    segments: Vec<Segment>,
    /// Where the timeline ended when a part last came that was not the newest.
    healed_90k: Option<u64>,
}

impl Timeline {
    pub(crate) const fn new(track: Track) -> Self {
        Self {
            track,
            params_from: Vec::new(),
            known: UnitRanges::new(),
            parts: Vec::new(),
            segments: Vec::new(),
            healed_90k: None,
        }
    }

    /// The units of `durable` whose parts are not known yet.
    pub(crate) fn unknown(&self, durable: &UnitRanges) -> Vec<UnitRange> {
        let mut unknown = Vec::new();
        for range in durable.as_slice() {
            let mut next = range.first;
            while next <= range.last {
                let first = self.known.first_missing_from(next);
                if first > range.last {
                    break;
                }
                let known_from = self.known.as_slice().iter().map(|known| known.first).find(|&at| at > first);
                let last = known_from.map_or(range.last, |from| range.last.min(from - 1));
                unknown.push(UnitRange::new(first, last));
                next = last + 1;
            }
        }
        unknown
    }

    /// Takes in codec parameters and parts, ascending. What is known already may be repeated.
    pub(crate) fn extend(&mut self, params_from: Vec<u64>, rows: Vec<PartRow>) {
        let known = self.params_from.len();
        let is_only_more = params_from.starts_with(&self.params_from)
            && params_from[known..].iter().all(|from| *from >= self.next_unit());
        let mut must_cut = !is_only_more;
        self.params_from = params_from;
        for row in rows.into_iter().filter(|row| row.unit_count > 0) {
            self.known.insert_range(UnitRange::new(row.first_unit, row.next_unit() - 1));
            if row.pts_90k >= LAST_90K {
                continue;
            }
            match self.parts.binary_search_by_key(&row.first_unit, |part| part.first_unit) {
                Ok(at) if self.parts[at] == row => {}
                Ok(at) => {
                    self.parts[at] = row;
                    must_cut = true;
                }
                Err(at) if at == self.parts.len() => {
                    self.parts.push(row);
                    if !must_cut {
                        self.place(at);
                    }
                }
                Err(at) => {
                    self.parts.insert(at, row);
                    self.healed_90k = Some(self.end_90k());
                    must_cut = true;
                }
            }
        }
        if must_cut {
            self.segments.clear();
            for at in 0..self.parts.len() {
                self.place(at);
            }
        }
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The parts of a segment.
    pub(crate) fn parts(&self, segment: &Segment) -> &[PartRow] {
        self.parts.get(segment.parts.clone()).unwrap_or_default()
    }

    /// A part by its first unit.
    pub(crate) fn part(&self, first_unit: u64) -> Option<&PartRow> {
        let at = self.parts.binary_search_by_key(&first_unit, |part| part.first_unit).ok()?;
        self.parts.get(at)
    }

    /// The segment of a number.
    pub(crate) fn segment(&self, number: u64) -> Option<&Segment> {
        let at = self.segments.binary_search_by_key(&number, |segment| segment.number).ok()?;
        self.segments.get(at)
    }

    /// The unit that the next part is expected to begin with.
    pub(crate) fn next_unit(&self) -> u64 {
        self.parts.last().map_or(0, PartRow::next_unit)
    }

    /// When the newest part ends, in 1/90000 s since the session's start.
    pub(crate) fn end_90k(&self) -> u64 {
        self.parts.last().map_or(0, end_90k)
    }

    /// Whether a gap filled while the last so much came.
    pub(crate) fn has_healed_within(&self, span_90k: u64) -> bool {
        self.healed_90k.is_some_and(|at| at + span_90k > self.end_90k())
    }

    /// How long a segment lasts: to the start of the next one, so that the sum is the time of the session.
    pub(crate) fn duration_90k(&self, segment: &Segment) -> u64 {
        let at = self.segments.partition_point(|other| other.number <= segment.number);
        let end = self.segments.get(at).map_or_else(|| self.end_90k(), |next| next.start_90k);
        end.saturating_sub(segment.start_90k)
    }

    fn params_for(&self, unit: u64) -> u64 {
        let at = self.params_from.partition_point(|from| *from <= unit);
        at.checked_sub(1).and_then(|at| self.params_from.get(at)).copied().unwrap_or(0)
    }

    /// Finds the segment of a part; those before it have theirs.
    fn place(&mut self, at: usize) {
        let part = &self.parts[at];
        let (cell, params_from) = (part.pts_90k / CELL_90K, self.params_for(part.first_unit));
        let start_90k = part.pts_90k;
        let Some(current) = self.segments.last_mut() else {
            // What comes before the first picture is a gap as well.
            self.segments.extend((0..cell).map(|number| gap(number, number * CELL_90K, params_from)));
            self.segments.push(Segment { number: cell, start_90k, parts: at..at + 1, params_from });
            return;
        };
        let may_begin_here = self.track == Track::Audio || part.key;
        let reaches = |time_90k: u64| end_90k(part) + REACH_90K >= time_90k;
        let is_next = cell > current.number && (may_begin_here || reaches((cell + 1) * CELL_90K));
        // New codec parameters need a new segment, also within a stretch: its number then runs ahead of the time. Segments are
        // longer until the time has caught up.
        let is_long = reaches(current.start_90k + LONGEST_90K)
            || may_begin_here && start_90k >= current.start_90k + LONGEST_90K - CELL_90K / 2;
        if !(is_next || is_long || params_from != current.params_from) {
            current.parts.end = at + 1;
            return;
        }
        let (previous, previous_params) = (current.number, current.params_from);
        let number = cell.max(previous + 1);
        let gap_start_90k = at.checked_sub(1).map_or(0, |before| end_90k(&self.parts[before]));
        let gaps = (previous + 1..number).map(|number| {
            gap(number, (number * CELL_90K).max(gap_start_90k).min(start_90k), previous_params)
        });
        self.segments.extend(gaps);
        self.segments.push(Segment { number, start_90k, parts: at..at + 1, params_from });
    }
}

const fn gap(number: u64, start_90k: u64, params_from: u64) -> Segment {
    Segment { number, start_90k, parts: 0..0, params_from }
}

pub(super) const fn end_90k(part: &PartRow) -> u64 {
    part.pts_90k.saturating_add(part.duration_90k)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use protocol::SessionId;
    use protocol::limits::MAX_PTS_90K;

    use super::*;
    use crate::store::SegmentKey;

    /// A part of `unit_count` units of a 30th of a second each.
    pub(crate) fn part(track: Track, first_unit: u64, unit_count: u32, pts_90k: u64, key: bool) -> PartRow {
        let session = SessionId::from_bytes([7; 16]);
        PartRow {
            segment: SegmentKey { session, track, first_unit: 0 },
            first_unit,
            unit_count,
            offset_bytes: first_unit * 1_000,
            length_bytes: u64::from(unit_count) * 1_000,
            payload_bytes: u64::from(unit_count) * 900,
            pts_90k,
            duration_90k: u64::from(unit_count) * 3_000,
            key,
            crc32: 0,
            capture_us: 0,
            stored_unix_ms: 0,
        }
    }

    /// Parts of 0.4 s with an IDR picture every `group` parts, from `shift` on.
    pub(crate) fn parts(range: Range<u64>, group: u64, shift_90k: u64) -> Vec<PartRow> {
        let made = range.map(|n| part(Track::Video, n * 12, 12, shift_90k + n * 36_000, n % group == 0));
        made.collect()
    }

    fn timeline(rows: Vec<PartRow>) -> Timeline {
        let mut timeline = Timeline::new(Track::Video);
        timeline.extend(vec![0], rows);
        timeline
    }

    /// Number, start in ms, duration in ms, first unit (or none for a gap).
    fn shape(timeline: &Timeline) -> Vec<(u64, u64, u64, Option<u64>)> {
        let shape = |segment: &Segment| {
            let first = timeline.parts(segment).first().map(|part| part.first_unit);
            (segment.number, segment.start_90k / 90, timeline.duration_90k(segment) / 90, first)
        };
        timeline.segments().iter().map(shape).collect()
    }

    #[test]
    fn segments_begin_with_the_first_idr_picture_of_their_stretch() {
        // IDR pictures at 0.3, 2.3, 4.3 … s.
        let timeline = timeline(parts(0..30, 5, 27_000));
        assert_eq!(
            shape(&timeline),
            [(0, 300, 4_000, Some(0)), (1, 4_300, 4_000, Some(120)), (2, 8_300, 4_000, Some(240))]
        );
    }

    #[test]
    fn a_gap_has_its_numbers_and_fills_without_moving_what_comes_after() {
        let all = parts(0..60, 5, 0);
        let (before, missing, after) = (all[..8].to_vec(), all[8..35].to_vec(), all[35..].to_vec());
        let mut timeline = timeline([before, after].concat());
        assert_eq!(
            shape(&timeline),
            [
                (0, 0, 4_000, Some(0)),
                (1, 4_000, 4_000, None),
                (2, 8_000, 6_000, None),
                (3, 14_000, 2_000, Some(35 * 12)),
                (4, 16_000, 4_000, Some(40 * 12)),
                (5, 20_000, 4_000, Some(50 * 12)),
            ]
        );
        assert!(!timeline.has_healed_within(u64::MAX / 2));
        let durable = UnitRanges::from_iter([UnitRange::new(0, 719)]);
        assert_eq!(timeline.unknown(&durable), [UnitRange::new(96, 419)]);
        timeline.extend(vec![0], missing);
        assert_eq!(timeline.unknown(&durable), []);
        assert!(timeline.has_healed_within(1));
        let healed: Vec<_> = shape(&timeline).iter().map(|(number, start, ..)| (*number, *start)).collect();
        assert_eq!(healed, [(0, 0), (1, 4_000), (2, 8_000), (3, 12_000), (4, 16_000), (5, 20_000)]);
        assert!(timeline.segments().iter().all(|segment| !segment.is_gap()));
    }

    #[test]
    fn what_comes_late_at_the_start_is_a_gap() {
        let timeline = timeline(parts(25..35, 5, 0));
        assert_eq!(
            shape(&timeline),
            [
                (0, 0, 4_000, None),
                (1, 4_000, 6_000, None),
                (2, 10_000, 2_000, Some(300)),
                (3, 12_000, 2_000, Some(360))
            ]
        );
    }

    #[test]
    fn a_stretch_without_an_idr_picture_has_its_segment_at_its_end() {
        // An IDR picture every 6 s: none from 8 to 12 s.
        let timeline = timeline(parts(0..40, 15, 0));
        assert_eq!(
            shape(&timeline),
            [
                (0, 0, 6_000, Some(0)),
                (1, 6_000, 5_600, Some(15 * 12)),
                (2, 11_600, 400, Some(29 * 12)),
                (3, 12_000, 4_000, Some(30 * 12)),
            ]
        );
    }

    #[test]
    fn other_codec_parameters_begin_another_segment() {
        let mut timeline = Timeline::new(Track::Video);
        timeline.extend(vec![0, 60, 120], parts(0..30, 5, 0));
        let shape: Vec<_> =
            timeline.segments().iter().map(|s| (s.number, s.start_90k / 90, s.params_from)).collect();
        assert_eq!(shape, [(0, 0, 0), (1, 2_000, 60), (2, 4_000, 120), (3, 10_000, 120)]);
    }

    #[test]
    fn times_far_in_the_future_cost_nothing() {
        let far = part(Track::Video, 12, 12, MAX_PTS_90K - 1, true);
        let timeline = timeline(vec![part(Track::Video, 0, 12, 0, true), far]);
        assert_eq!(shape(&timeline), [(0, 0, 400, Some(0))]);
        assert_eq!(
            timeline.unknown(&UnitRanges::from_iter([UnitRange::new(0, 23)])),
            [],
            "it is not looked for again"
        );
    }

    #[test]
    fn numbers_that_ran_ahead_of_the_time_make_no_segment_too_long_and_wait_for_it() {
        let mut timeline = Timeline::new(Track::Video);
        // A browser's picture that grows: other parameters with the first four IDR pictures, two a second.
        timeline.extend(vec![0, 24, 48, 72], parts(0..150, 2, 0));
        let shape: Vec<_> =
            shape(&timeline).into_iter().map(|(number, start, length, _)| (number, start, length)).collect();
        assert_eq!(shape[..4], [(0, 0, 800), (1, 800, 800), (2, 1_600, 800), (3, 2_400, 6_400)]);
        assert!(shape.iter().all(|(.., length)| *length <= LONGEST_90K / 90), "{shape:?}");
        assert_eq!(shape.last().map(|(number, start, _)| (*number, *start)), Some((14, 56_000)), "{shape:?}");
    }

    proptest! {
        #[test]
        fn whatever_arrives_in_whatever_order_makes_the_same_segments(
            order in Just((0_u64..80).collect::<Vec<_>>()).prop_shuffle(),
            kept in prop::collection::vec(any::<bool>(), 80),
            group in 1_u64..60,
            shift_90k in 0_u64..400_000,
        ) {
            let all = parts(0..80, group, shift_90k);
            let wanted: Vec<PartRow> = all.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(part, _)| *part).collect();
            let at_once = timeline(wanted.clone());
            let mut one_by_one = Timeline::new(Track::Video);
            for at in order {
                if kept[at as usize] {
                    one_by_one.extend(vec![0], vec![all[at as usize]]);
                }
            }
            prop_assert_eq!(at_once.segments(), one_by_one.segments());
            let numbers: Vec<u64> = at_once.segments().iter().map(|segment| segment.number).collect();
            prop_assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "no number is missing: {:?}", numbers);
            prop_assert!(numbers.first().is_none_or(|first| *first == 0));
            let held: Vec<u64> = at_once.segments().iter().flat_map(|segment| at_once.parts(segment)).map(|part| part.first_unit).collect();
            let expected: Vec<u64> = wanted.iter().map(|part| part.first_unit).collect();
            prop_assert_eq!(held, expected, "each part is in one segment");
            for pair in at_once.segments().windows(2) {
                prop_assert!(pair[0].start_90k <= pair[1].start_90k);
            }
        }

        #[test]
        fn without_a_gap_no_segment_is_one_and_none_is_too_long(group in 1_u64..100, shift_90k in 0_u64..CELL_90K) {
            let timeline = timeline(parts(0..100, group, shift_90k));
            let segments = timeline.segments();
            prop_assert!(segments.iter().all(|segment| !segment.is_gap()), "{:?}", shape(&timeline));
            for segment in segments {
                prop_assert!((1..=LONGEST_90K).contains(&timeline.duration_90k(segment)), "{:?}", shape(&timeline));
            }
        }
    }
}
