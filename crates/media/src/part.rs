//! Parts: short runs of units, each written as one fMP4 fragment.

use bytes::Bytes;
use protocol::Track;
use protocol::digest::{UnitDigest, unit_digest};
use protocol::limits::MAX_DURATION_90K;
use protocol::unit::{Lane, Unit};

use crate::mp4;

/// Units in one part, whatever the limits say. It bounds what one part makes a reader hold.
pub const MAX_PART_UNITS: usize = 1_024;

/// Payload bytes at which a part closes, whatever the limits say. A part may exceed it by one unit.
pub const MAX_PART_BYTES: usize = 64 * 1024 * 1024;

/// A short run of consecutive units of one track and lane, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The track.
    pub track: Track,
    /// The lane in which the units came.
    pub lane: Lane,
    /// The number of the first unit.
    pub first_unit: u64,
    /// How many units; never zero, at most [`MAX_PART_UNITS`].
    pub unit_count: u32,
    /// When the first unit is to be shown, in 1/90000 s since the session's start.
    pub pts_90k: u64,
    /// From the first unit's start to the last unit's end, in 1/90000 s.
    pub duration_90k: u64,
    /// Whether decoding can start with the first unit. No later unit of a video part is key.
    pub key: bool,
    /// Bytes of the units' payloads.
    pub payload_bytes: u64,
    /// When the device captured the first unit, in µs since the session's start.
    pub capture_us: u64,
    /// The units' digests, in their order.
    pub digests: Vec<UnitDigest>,
    /// One fMP4 fragment, `moof` and `mdat`, that holds the units.
    pub fragment: Bytes,
}

impl Part {
    /// The number of the unit that follows the last one.
    #[must_use]
    pub const fn next_unit(&self) -> u64 {
        self.first_unit + self.unit_count as u64
    }

    /// Where the payloads start, in bytes from the fragment's start; they end where it ends.
    #[must_use]
    pub const fn payload_offset(&self) -> usize {
        self.fragment.len().saturating_sub(self.payload_bytes as usize)
    }

    /// When the last unit ends, in 1/90000 s since the session's start.
    #[must_use]
    pub const fn end_90k(&self) -> u64 {
        self.pts_90k.saturating_add(self.duration_90k)
    }
}

/// When a part is large enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartLimits {
    /// A part closes with the unit by which it lasts at least this long, in 1/90000 s.
    pub duration_90k: u64,
    /// A part closes with the unit by which its payloads hold at least this many bytes.
    pub payload_bytes: usize,
}

/// Gathers the units of one track and lane into parts.
///
/// Payloads are shared, not copied, until a part closes; then each is copied once, into the
/// fragment. Invariant: the units held form a part, that is, they are consecutive in number,
/// ascend in time by steps of at most 10 s, share one lane, and only the first of a video part is
/// key.
#[derive(Debug)]
pub struct PartAssembler {
    track: Track,
    limits: PartLimits,
    units: Vec<Unit>,
    payload_bytes: usize,
}

impl PartAssembler {
    /// An assembler that holds nothing.
    #[must_use]
    pub const fn new(track: Track, limits: PartLimits) -> Self {
        Self { track, limits, units: Vec::new(), payload_bytes: 0 }
    }

    /// Takes a unit and yields the part that it closed: the one before it when the unit starts
    /// another (it does not follow on in number or time, comes in the other lane, or is an IDR
    /// picture), else the one that it completed by reaching a limit.
    ///
    /// A unit that does both, an IDR picture that reaches a limit alone, is held until the next
    /// call. When codec parameters change, call [`Self::flush`] before the first unit that needs them.
    pub fn push(&mut self, unit: Unit) -> Option<Part> {
        let closed = if self.takes(&unit) { None } else { self.flush() };
        self.payload_bytes += unit.payload.len();
        self.units.push(unit);
        if closed.is_none() && self.full() { self.flush() } else { closed }
    }

    /// Closes the part that is being gathered, if any.
    pub fn flush(&mut self) -> Option<Part> {
        let (first, last) = (self.units.first()?, self.units.last()?);
        let part = Part {
            track: self.track,
            lane: first.lane,
            first_unit: first.number,
            unit_count: self.units.len() as u32,
            pts_90k: first.pts_90k,
            duration_90k: end_90k(last) - first.pts_90k,
            key: first.key,
            payload_bytes: self.payload_bytes as u64,
            capture_us: first.capture_us,
            digests: self.units.iter().map(|unit| unit_digest(self.track, unit)).collect(),
            fragment: mp4::write_fragment(self.track, &self.units, self.payload_bytes),
        };
        self.units.clear();
        self.payload_bytes = 0;
        Some(part)
    }

    /// How many units are held.
    #[must_use]
    pub const fn pending_units(&self) -> usize {
        self.units.len()
    }

    /// How many payload bytes are held.
    #[must_use]
    pub const fn pending_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// When the oldest unit that is held is to be shown, in 1/90000 s since the session's start.
    #[must_use]
    pub fn pending_since_90k(&self) -> Option<u64> {
        self.units.first().map(|unit| unit.pts_90k)
    }

    fn takes(&self, unit: &Unit) -> bool {
        let Some(last) = self.units.last() else { return true };
        let starts_group = self.track == Track::Video && unit.key;
        !self.full() && !starts_group && last.lane == unit.lane && mp4::follows(last, unit)
    }

    fn full(&self) -> bool {
        let (Some(first), Some(last)) = (self.units.first(), self.units.last()) else { return false };
        self.units.len() >= MAX_PART_UNITS
            || self.payload_bytes >= self.limits.payload_bytes.min(MAX_PART_BYTES)
            || end_90k(last) - first.pts_90k >= self.limits.duration_90k
    }
}

/// When a unit ends. A duration out of the protocol's range is cut, so that it cannot distort a file.
pub(crate) fn end_90k(unit: &Unit) -> u64 {
    unit.pts_90k.saturating_add(u64::from(unit.duration_90k.min(MAX_DURATION_90K)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mp4::read_fragment;

    const LIMITS: PartLimits = PartLimits { duration_90k: 27_000, payload_bytes: 1_000 };

    fn unit(number: u64, key: bool, payload_bytes: usize) -> Unit {
        Unit {
            lane: Lane::Live,
            key,
            number,
            pts_90k: number * 3_000,
            duration_90k: 3_000,
            capture_us: number * 33_333,
            payload: Bytes::from(vec![number as u8; payload_bytes]),
        }
    }

    /// First units and numbers of units of the parts that come out, and how many units are still held.
    fn assemble(track: Track, units: impl IntoIterator<Item = Unit>) -> (Vec<(u64, u32)>, usize) {
        let mut assembler = PartAssembler::new(track, LIMITS);
        let parts = units.into_iter().filter_map(|unit| assembler.push(unit));
        let parts = parts.map(|part| (part.first_unit, part.unit_count)).collect();
        (parts, assembler.pending_units())
    }

    #[test]
    fn a_part_closes_with_the_unit_that_reaches_a_limit() {
        let video =
            |numbers: std::ops::Range<u64>, bytes| numbers.map(move |number| unit(number, false, bytes));
        assert_eq!(assemble(Track::Video, video(0..8, 10)), (vec![], 8));
        assert_eq!(assemble(Track::Video, video(0..9, 10)), (vec![(0, 9)], 0));
        assert_eq!(assemble(Track::Video, video(5..25, 10)), (vec![(5, 9), (14, 9)], 2));
        assert_eq!(assemble(Track::Video, video(0..3, 500)), (vec![(0, 2)], 1));
        assert_eq!(assemble(Track::Video, video(0..2, 5_000)), (vec![(0, 1), (1, 1)], 0));
    }

    #[test]
    fn a_part_closes_before_a_unit_that_does_not_belong_in_it() {
        let four = |change: fn(&mut Unit)| {
            let mut units: Vec<Unit> = (0..4).map(|number| unit(number, number == 0, 10)).collect();
            change(&mut units[2]);
            units
        };
        let split = (vec![(0, 2)], 2);
        assert_eq!(assemble(Track::Video, four(|_| {})), (vec![], 4));
        assert_eq!(assemble(Track::Video, four(|unit| unit.key = true)), split);
        assert_eq!(assemble(Track::Audio, four(|unit| unit.key = true)), (vec![], 4));
        let twice = assemble(Track::Video, four(|unit| unit.number = 1));
        assert_eq!(twice, (vec![(0, 2), (1, 1)], 1));
        assert_eq!(assemble(Track::Video, four(|unit| unit.lane = Lane::Backfill)).0, [(0, 2), (2, 1)]);
        assert_eq!(assemble(Track::Video, four(|unit| unit.pts_90k = 3_000)), split);
        assert_eq!(assemble(Track::Video, four(|unit| unit.pts_90k = 1_000_000)).0, [(0, 2), (2, 1)]);
    }

    #[test]
    fn a_key_unit_that_reaches_a_limit_alone_waits_for_the_next_one() {
        let units = [unit(0, true, 10), unit(1, true, 5_000), unit(2, false, 10), unit(3, false, 10)];
        assert_eq!(assemble(Track::Video, units), (vec![(0, 1), (1, 1)], 2));
    }

    #[test]
    fn a_part_describes_its_units() {
        let mut assembler = PartAssembler::new(Track::Video, LIMITS);
        assert_eq!(assembler.flush(), None);
        assert_eq!(assembler.pending_since_90k(), None);
        assert_eq!(assembler.push(unit(7, true, 20)), None);
        assert_eq!(assembler.push(unit(8, false, 30)), None);
        assert_eq!((assembler.pending_units(), assembler.pending_bytes()), (2, 50));
        assert_eq!(assembler.pending_since_90k(), Some(21_000));
        let part = assembler.flush().unwrap();
        assert_eq!((part.first_unit, part.unit_count, part.next_unit()), (7, 2, 9));
        assert_eq!((part.pts_90k, part.duration_90k, part.end_90k()), (21_000, 6_000, 27_000));
        assert_eq!((part.key, part.payload_bytes, part.capture_us), (true, 50, 233_331));
        assert_eq!(part.fragment[part.payload_offset()..], [vec![7; 20], vec![8; 30]].concat());
        assert_eq!((assembler.pending_units(), assembler.pending_bytes()), (0, 0));
    }

    proptest! {
        #[test]
        fn every_unit_comes_out_once_and_in_order(
            video: bool,
            units in prop::collection::vec(
                (0..4u64, prop::bool::weighted(0.1), prop::bool::weighted(0.1), 1..300usize,
                 prop_oneof![0..9_000u64, Just(1 << 20)], prop_oneof![0..9_000u32, any::<u32>()]), 1..80),
            start_90k in prop_oneof![0..100_000u64, u64::MAX - 1_000_000..u64::MAX],
        ) {
            let track = if video { Track::Video } else { Track::Audio };
            let (mut number, mut pts_90k) = (0, start_90k);
            let units: Vec<Unit> = units.into_iter().map(|(skip, key, backfill, bytes, step_90k, duration_90k)| {
                number += skip.saturating_sub(2) + 1;
                pts_90k = pts_90k.saturating_add(step_90k);
                let lane = if backfill { Lane::Backfill } else { Lane::Live };
                Unit { pts_90k, duration_90k, lane, ..unit(number, key || !video, bytes) }
            }).collect();
            let mut assembler = PartAssembler::new(track, LIMITS);
            let mut parts: Vec<Part> = units.iter().cloned().filter_map(|unit| assembler.push(unit)).collect();
            parts.extend(assembler.flush());

            let mut rest = &units[..];
            for part in &parts {
                let (own, after) = rest.split_at(part.unit_count as usize);
                rest = after;
                let index = read_fragment(&part.fragment).unwrap();
                prop_assert_eq!((index.track, index.samples.len()), (track, own.len()));
                prop_assert_eq!(index.sequence_number, part.first_unit as u32 + 1);
                prop_assert_eq!(index.total_bytes, part.fragment.len() as u64);
                prop_assert_eq!(index.payload_offset as usize, part.payload_offset());
                prop_assert!(part.pts_90k - index.pts_90k <= u64::from(!video));
                let mut payload = &part.fragment[part.payload_offset()..];
                let mut time = index.base_decode_time;
                let digests: Vec<UnitDigest> = own.iter().map(|unit| unit_digest(track, unit)).collect();
                prop_assert_eq!(&part.digests, &digests);
                for (at, (unit, sample)) in own.iter().zip(&index.samples).enumerate() {
                    let (bytes, after) = payload.split_at(sample.bytes as usize);
                    payload = after;
                    prop_assert_eq!(bytes, &unit.payload[..]);
                    prop_assert_eq!(sample.key, unit.key);
                    prop_assert_eq!(unit.number, part.first_unit + at as u64);
                    prop_assert_eq!(unit.lane, part.lane);
                    prop_assert!(!video || !unit.key || at == 0);
                    prop_assert_eq!(time, crate::time::media_time(track, unit.pts_90k));
                    time += u64::from(sample.duration);
                }
                prop_assert!(payload.is_empty());
                prop_assert_eq!(time, crate::time::media_time(track, part.end_90k()));
            }
            prop_assert!(rest.is_empty());
        }
    }
}
