//! Units that wait in memory only.

use std::collections::VecDeque;

use protocol::UnitRanges;
use protocol::unit::Unit;

use super::{Backlog, Entry, Fill, GivenUp, Health, Note, OVERHEAD_BYTES, Overflow, Spool, note_given_up};

/// A [`Spool`] in memory: what it holds ends with the program.
#[derive(Debug)]
pub struct MemorySpool {
    units: VecDeque<Unit>,
    bytes: u64,
    capacity_bytes: u64,
    overflow: Overflow,
    /// The start of the newest GOP was given up: its other units are, too, when they come.
    skip_to_key: bool,
}

impl MemorySpool {
    /// An empty queue that holds at most `capacity_bytes` of payload and overhead.
    #[must_use]
    pub const fn new(capacity_bytes: u64, overflow: Overflow) -> Self {
        Self { units: VecDeque::new(), bytes: 0, capacity_bytes, overflow, skip_to_key: false }
    }

    fn cost(unit: &Unit) -> u64 {
        unit.payload.len() as u64 + OVERHEAD_BYTES
    }

    fn pop_oldest(&mut self, given_up: &mut Vec<GivenUp>) {
        let Some(unit) = self.units.pop_front() else { return };
        self.bytes -= Self::cost(&unit);
        note_given_up(given_up, unit.number, unit.pts_90k);
    }

    /// Gives up one GOP or one unit.
    fn make_room(&mut self, given_up: &mut Vec<GivenUp>) {
        self.pop_oldest(given_up);
        if self.overflow == Overflow::OldestGop {
            while self.units.front().is_some_and(|unit| !unit.key) {
                self.pop_oldest(given_up);
            }
            self.skip_to_key = self.units.is_empty();
        }
    }
}

impl Spool for MemorySpool {
    fn push(&mut self, unit: Unit) -> Vec<GivenUp> {
        let mut given_up = Vec::new();
        let cost = Self::cost(&unit);
        while !self.units.is_empty() && self.bytes + cost > self.capacity_bytes {
            self.make_room(&mut given_up);
        }
        if self.skip_to_key && !unit.key || cost > self.capacity_bytes {
            note_given_up(&mut given_up, unit.number, unit.pts_90k);
            self.skip_to_key = self.overflow == Overflow::OldestGop;
            return given_up;
        }
        self.skip_to_key = false;
        self.bytes += cost;
        self.units.push_back(unit);
        given_up
    }

    fn next_from(&mut self, number: u64) -> Option<Unit> {
        let at = self.units.partition_point(|unit| unit.number < number);
        self.units.get(at).cloned()
    }

    fn entry_from(&self, number: u64) -> Option<Entry> {
        let at = self.units.partition_point(|unit| unit.number < number);
        self.units.get(at).map(Entry::from)
    }

    fn key_from(&self, number: u64) -> Option<Entry> {
        let at = self.units.partition_point(|unit| unit.number < number);
        self.units.range(at..).find(|unit| unit.key).map(Entry::from)
    }

    fn key_from_pts(&self, pts_90k: u64) -> Option<Entry> {
        let at = self.units.partition_point(|unit| unit.pts_90k < pts_90k);
        self.units.range(at..).find(|unit| unit.key).map(Entry::from)
    }

    fn forget(&mut self, units: &UnitRanges) {
        for range in units.as_slice() {
            let start = self.units.partition_point(|unit| unit.number < range.first);
            let end = self.units.partition_point(|unit| unit.number <= range.last);
            for unit in self.units.drain(start..end) {
                self.bytes -= Self::cost(&unit);
            }
        }
    }

    fn held(&self) -> UnitRanges {
        let mut held = UnitRanges::new();
        for unit in &self.units {
            held.insert(unit.number);
        }
        held
    }

    fn backlog(&self) -> Backlog {
        let (Some(oldest), Some(newest)) = (self.units.front(), self.units.back()) else {
            return Backlog::default();
        };
        let end_90k = newest.pts_90k.saturating_add(u64::from(newest.duration_90k));
        Backlog {
            units: self.units.len() as u64,
            bytes: self.bytes,
            duration_ms: end_90k.saturating_sub(oldest.pts_90k) / 90,
        }
    }

    /// What is in memory ends with the program, and so does what belongs to it.
    fn note(&mut self, _: Note) {}

    fn take_given_up(&mut self) -> Vec<GivenUp> {
        Vec::new()
    }

    fn health(&self) -> Health {
        let fill = match self.bytes {
            bytes if bytes >= self.capacity_bytes => Fill::Full,
            bytes if bytes / 4 >= self.capacity_bytes / 5 => Fill::Warning,
            _ => Fill::Room,
        };
        Health { fill, ..Health::default() }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use protocol::UnitRange;
    use protocol::unit::Lane;

    use super::*;

    const PAYLOAD_BYTES: u64 = 104;
    /// What one unit of these tests costs.
    const UNIT_BYTES: u64 = PAYLOAD_BYTES + OVERHEAD_BYTES;

    fn unit(number: u64, key: bool) -> Unit {
        Unit {
            lane: Lane::Live,
            key,
            number,
            pts_90k: number * 3_000,
            duration_90k: 3_000,
            capture_us: 0,
            payload: Bytes::from(vec![0; PAYLOAD_BYTES as usize]),
        }
    }

    fn numbers(spool: &MemorySpool) -> Vec<u64> {
        spool.units.iter().map(|unit| unit.number).collect()
    }

    fn range(first: u64, last: u64) -> UnitRange {
        UnitRange::new(first, last)
    }

    #[test]
    fn a_full_video_queue_gives_up_whole_gops_from_the_oldest_on() {
        let mut spool = MemorySpool::new(6 * UNIT_BYTES, Overflow::OldestGop);
        for number in 0..6 {
            assert_eq!(spool.push(unit(number, number % 3 == 0)), []);
        }
        assert_eq!(spool.push(unit(6, true)), [GivenUp { units: range(0, 2), pts_90k: 0 }]);
        assert_eq!(numbers(&spool), [3, 4, 5, 6]);
    }

    #[test]
    fn a_gop_whose_start_is_given_up_is_given_up_to_its_end() {
        let mut spool = MemorySpool::new(2 * UNIT_BYTES, Overflow::OldestGop);
        assert_eq!(spool.push(unit(0, true)), []);
        assert_eq!(spool.push(unit(1, false)), []);
        assert_eq!(spool.push(unit(2, false)), [GivenUp { units: range(0, 2), pts_90k: 0 }]);
        assert_eq!(spool.push(unit(3, false)), [GivenUp { units: range(3, 3), pts_90k: 9_000 }]);
        assert_eq!(spool.push(unit(4, true)), []);
        assert_eq!(numbers(&spool), [4]);
    }

    #[test]
    fn a_full_audio_queue_gives_up_its_oldest_packet() {
        let mut spool = MemorySpool::new(3 * UNIT_BYTES, Overflow::OldestUnit);
        for number in 0..3 {
            assert_eq!(spool.push(unit(number, true)), []);
        }
        assert_eq!(spool.push(unit(3, true)), [GivenUp { units: range(0, 0), pts_90k: 0 }]);
        assert_eq!(numbers(&spool), [1, 2, 3]);
    }

    #[test]
    fn a_unit_larger_than_the_queue_is_given_up_itself() {
        let mut spool = MemorySpool::new(UNIT_BYTES - 1, Overflow::OldestUnit);
        assert_eq!(spool.push(unit(0, true)), [GivenUp { units: range(0, 0), pts_90k: 0 }]);
        assert_eq!(spool.backlog(), Backlog::default());
    }

    #[test]
    fn forgetting_leaves_the_other_units_in_order() {
        let mut spool = MemorySpool::new(100 * UNIT_BYTES, Overflow::OldestGop);
        for number in 0..10 {
            spool.push(unit(number, number == 0));
        }
        spool.forget(&[range(0, 2), range(5, 6), range(20, 30)].into_iter().collect());
        assert_eq!(numbers(&spool), [3, 4, 7, 8, 9]);
        assert_eq!(spool.next_from(5).unwrap().number, 7);
        assert_eq!(spool.next_from(10), None);
        assert_eq!(spool.held().to_string(), "3–4, 7–9");
        assert_eq!(spool.backlog(), Backlog { units: 5, bytes: 5 * UNIT_BYTES, duration_ms: 233 });
    }

    proptest! {
        #[test]
        fn every_unit_is_held_or_forgotten_or_given_up_and_the_bound_holds(
            steps in prop::collection::vec((any::<bool>(), 0u64..300, 0u64..80, 0u64..40), 1..200),
            capacity_bytes in 200u64..4_000, video: bool,
        ) {
            let overflow = if video { Overflow::OldestGop } else { Overflow::OldestUnit };
            let mut spool = MemorySpool::new(capacity_bytes, overflow);
            let mut gone = UnitRanges::new();
            for (number, (key, payload_bytes, forget_from, forget_more)) in steps.iter().copied().enumerate() {
                let number = number as u64;
                let payload = Bytes::from(vec![0; payload_bytes as usize]);
                for run in spool.push(Unit { payload, ..unit(number, key || !video) }) {
                    prop_assert!((run.units.first..=run.units.last).all(|lost| !gone.contains(lost)));
                    gone.insert_range(run.units);
                }
                if forget_from + forget_more <= number {
                    let forgotten = range(forget_from, forget_from + forget_more);
                    spool.forget(&[forgotten].into_iter().collect());
                    gone.insert_range(forgotten);
                }
                let mut all = spool.held();
                prop_assert_eq!(all.count() + gone.count(), number + 1);
                all.extend(&gone);
                prop_assert_eq!(all.gaps_below(number + 1).count(), 0);
                prop_assert!(spool.backlog().bytes <= capacity_bytes);
                let counted: u64 = spool.units.iter().map(MemorySpool::cost).sum();
                prop_assert_eq!(counted, spool.bytes);
            }
        }
    }
}
