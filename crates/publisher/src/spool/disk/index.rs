//! What is known of the units of a log without reading their payloads, and where those are.

use std::collections::VecDeque;

use protocol::{UnitRange, UnitRanges};

use crate::spool::{Backlog, Entry, OVERHEAD_BYTES};

/// Where a unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Not on disk yet.
    Memory,
    /// In a segment file.
    File { segment: u32, offset: u32, length_bytes: u32 },
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) entry: Entry,
    pub(super) place: Place,
}

impl Slot {
    fn cost(&self) -> u64 {
        u64::from(self.entry.payload_bytes) + OVERHEAD_BYTES
    }
}

/// The units of a log, ascending by number. Those that are not on disk are the newest ones.
#[derive(Debug, Default)]
pub(super) struct Index {
    slots: VecDeque<Slot>,
    bytes: u64,
    /// How many of the newest are not on disk, and their bytes.
    unwritten: usize,
    unwritten_bytes: u64,
}

impl Index {
    /// Takes the newest unit.
    pub(super) fn push(&mut self, entry: Entry, place: Place) {
        let slot = Slot { entry, place };
        self.bytes += slot.cost();
        if place == Place::Memory {
            self.unwritten += 1;
            self.unwritten_bytes += slot.cost();
        }
        self.slots.push_back(slot);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) const fn unwritten_bytes(&self) -> u64 {
        self.unwritten_bytes
    }

    pub(super) fn newest(&self) -> Option<&Entry> {
        self.slots.back().map(|slot| &slot.entry)
    }

    /// The oldest unit that is not on disk.
    pub(super) fn first_unwritten(&self) -> Option<&Entry> {
        self.slots.get(self.slots.len() - self.unwritten).map(|slot| &slot.entry)
    }

    /// The oldest unit that is not on disk is in a file now.
    pub(super) fn written(&mut self, place: Place) {
        let at = self.slots.len() - self.unwritten;
        if let Some(slot) = self.slots.get_mut(at) {
            slot.place = place;
            self.unwritten -= 1;
            self.unwritten_bytes -= slot.cost();
        }
    }

    fn at(&self, number: u64) -> usize {
        self.slots.partition_point(|slot| slot.entry.number < number)
    }

    /// The first unit with a number at or above this.
    pub(super) fn slot_from(&self, number: u64) -> Option<&Slot> {
        self.slots.get(self.at(number))
    }

    /// The first key unit with a number at or above this.
    pub(super) fn key_from(&self, number: u64) -> Option<Entry> {
        self.key_at(self.at(number))
    }

    /// The first key unit at or after this time.
    pub(super) fn key_from_pts(&self, pts_90k: u64) -> Option<Entry> {
        self.key_at(self.slots.partition_point(|slot| slot.entry.pts_90k < pts_90k))
    }

    fn key_at(&self, at: usize) -> Option<Entry> {
        self.slots.range(at..).map(|slot| slot.entry).find(|entry| entry.key)
    }

    /// Takes the units of these numbers out.
    pub(super) fn remove(&mut self, numbers: UnitRange, mut removed: impl FnMut(Slot)) {
        let (start, end) = (self.at(numbers.first), self.at(numbers.last.saturating_add(1)));
        let first_unwritten = self.slots.len() - self.unwritten;
        self.unwritten -= end.saturating_sub(start.max(first_unwritten));
        for slot in self.slots.drain(start..end) {
            self.bytes -= slot.cost();
            if slot.place == Place::Memory {
                self.unwritten_bytes -= slot.cost();
            }
            removed(slot);
        }
    }

    /// The numbers from the first unit at or above `number` to the last one before the next key unit.
    pub(super) fn gop_from(&self, number: u64) -> Option<UnitRange> {
        let at = self.at(number);
        let first = self.slots.get(at)?.entry.number;
        let next = self.slots.range(at + 1..).position(|slot| slot.entry.key);
        let last = next.map_or(self.slots.len() - 1, |next| at + next);
        Some(UnitRange::new(first, self.slots[last].entry.number))
    }

    /// All numbers. Takes time by the number of runs, not of units.
    pub(super) fn held(&self) -> UnitRanges {
        let mut held = UnitRanges::new();
        let mut at = 0;
        while let Some(slot) = self.slots.get(at) {
            let first = slot.entry.number;
            // Numbers ascend, and so what lies between a number and its place never gets less.
            let (mut end, mut beyond) = (at + 1, self.slots.len());
            while end < beyond {
                let middle = usize::midpoint(end, beyond);
                if self.slots[middle].entry.number - first == (middle - at) as u64 {
                    end = middle + 1;
                } else {
                    beyond = middle;
                }
            }
            held.insert_range(UnitRange::new(first, self.slots[end - 1].entry.number));
            at = end;
        }
        held
    }

    pub(super) fn backlog(&self) -> Backlog {
        let (Some(oldest), Some(newest)) = (self.slots.front(), self.slots.back()) else {
            return Backlog::default();
        };
        let end_90k = newest.entry.pts_90k.saturating_add(u64::from(newest.entry.duration_90k));
        Backlog {
            units: self.slots.len() as u64,
            bytes: self.bytes,
            duration_ms: end_90k.saturating_sub(oldest.entry.pts_90k) / 90,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(number: u64) -> Entry {
        let key = number.is_multiple_of(4);
        Entry { number, key, pts_90k: number * 3_000, duration_90k: 3_000, payload_bytes: 4 }
    }

    #[test]
    fn key_units_are_found_by_number_and_by_time() {
        let mut index = Index::default();
        (0..10).for_each(|number| index.push(entry(number), Place::Memory));
        let number = |entry: Option<Entry>| entry.map(|entry| entry.number);
        assert_eq!(number(index.key_from(0)), Some(0));
        assert_eq!(number(index.key_from(1)), Some(4));
        assert_eq!(number(index.key_from(9)), None);
        assert_eq!(number(index.key_from_pts(12_000)), Some(4));
        assert_eq!(number(index.key_from_pts(12_001)), Some(8));
        assert_eq!(index.gop_from(5), Some(UnitRange::new(5, 7)));
        assert_eq!(index.gop_from(8), Some(UnitRange::new(8, 9)));
        assert_eq!(index.gop_from(10), None);
    }

    proptest! {
        #[test]
        fn the_index_is_a_set_of_numbers_with_the_unwritten_ones_last(
            steps in prop::collection::vec((0u64..120, 0u64..9, 0u8..3), 1..120),
        ) {
            let mut index = Index::default();
            let (mut model, mut unwritten) = (UnitRanges::new(), Vec::new());
            for (number, (first, more, kind)) in steps.into_iter().enumerate() {
                let number = number as u64;
                index.push(entry(number), Place::Memory);
                model.insert(number);
                unwritten.push(number);
                if kind == 0 {
                    prop_assert_eq!(index.first_unwritten().map(|entry| entry.number), unwritten.first().copied());
                    index.written(Place::File { segment: 0, offset: 0, length_bytes: 1 });
                    unwritten.remove(0);
                }
                if kind == 1 {
                    let range = UnitRange::new(first, first + more);
                    let mut removed = 0;
                    index.remove(range, |_| removed += 1);
                    let kept: Vec<u64> = (0..=number).filter(|&n| model.contains(n) && !(first..=first + more).contains(&n)).collect();
                    prop_assert_eq!(removed, model.count() as usize - kept.len());
                    model = kept.iter().map(|&n| UnitRange::new(n, n)).collect();
                    unwritten.retain(|n| kept.contains(n));
                }
                prop_assert_eq!(index.held(), model.clone());
                prop_assert_eq!(index.unwritten_bytes(), unwritten.len() as u64 * (4 + OVERHEAD_BYTES));
                prop_assert_eq!(index.backlog().bytes, model.count() * (4 + OVERHEAD_BYTES));
            }
        }
    }
}
