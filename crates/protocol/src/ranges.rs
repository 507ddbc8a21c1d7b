use std::fmt;

use serde::{Deserialize, Serialize};

/// Consecutive unit numbers, both ends included. On the wire `[first, last]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(type = "[number, number]"))]
#[serde(try_from = "(u64, u64)", into = "(u64, u64)")]
pub struct UnitRange {
    /// The lowest number in the range.
    pub first: u64,
    /// The highest number in the range; never below `first`.
    pub last: u64,
}

impl UnitRange {
    /// The range from `first` to `last`, both included.
    ///
    /// # Panics
    /// When `last` is below `first`; use `TryFrom<(u64, u64)>` for numbers from outside.
    #[must_use]
    pub fn new(first: u64, last: u64) -> Self {
        assert!(first <= last, "a range ends at or after its start: {first}–{last}");
        Self { first, last }
    }

    /// How many units the range spans; never zero.
    #[must_use]
    pub fn count(&self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }
}

/// `last` is below `first`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a range of units ends at or after its start")]
pub struct RangeError;

impl TryFrom<(u64, u64)> for UnitRange {
    type Error = RangeError;

    fn try_from((first, last): (u64, u64)) -> Result<Self, RangeError> {
        if first <= last { Ok(Self { first, last }) } else { Err(RangeError) }
    }
}

impl From<UnitRange> for (u64, u64) {
    fn from(range: UnitRange) -> Self {
        (range.first, range.last)
    }
}

/// A set of unit numbers as sorted, disjoint, non-adjacent ranges. On the wire `[[first, last], …]`.
///
/// Adding is idempotent and commutative, so that acknowledgements may repeat or overlap. Input from
/// the wire may list ranges in any order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(type = "Array<[number, number]>"))]
#[serde(from = "Vec<UnitRange>", into = "Vec<UnitRange>")]
pub struct UnitRanges(Vec<UnitRange>);

impl UnitRanges {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The ranges, ascending.
    #[must_use]
    pub fn as_slice(&self) -> &[UnitRange] {
        &self.0
    }

    /// Whether the set holds no unit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many units the set holds.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum, range| sum.saturating_add(range.count()))
    }

    /// The highest unit number in the set.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        self.0.last().map(|range| range.last)
    }

    /// Whether the set holds this unit.
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        let at = self.0.partition_point(|range| range.last < number);
        self.0.get(at).is_some_and(|range| range.first <= number)
    }

    /// The lowest number at or above `from` that is not in the set.
    #[must_use]
    pub fn first_missing_from(&self, from: u64) -> u64 {
        let at = self.0.partition_point(|range| range.last < from);
        match self.0.get(at) {
            Some(range) if range.first <= from => range.last.saturating_add(1),
            _ => from,
        }
    }

    /// Adds one unit.
    pub fn insert(&mut self, number: u64) {
        self.insert_range(UnitRange::new(number, number));
    }

    /// Adds all units of a range.
    pub fn insert_range(&mut self, range: UnitRange) {
        // The common case: the newest unit extends the newest range.
        if let Some(newest) = self.0.last_mut()
            && range.first >= newest.first
            && range.first <= newest.last.saturating_add(1)
        {
            newest.last = newest.last.max(range.last);
            return;
        }
        // All ranges that overlap or touch the new one melt into it.
        let start = self.0.partition_point(|have| have.last.saturating_add(1) < range.first);
        let end = self.0.partition_point(|have| have.first <= range.last.saturating_add(1));
        let melted = self.0[start..end].iter().fold(range, |sum, have| UnitRange {
            first: sum.first.min(have.first),
            last: sum.last.max(have.last),
        });
        self.0.splice(start..end, [melted]);
    }

    /// Adds all units of another set.
    pub fn extend(&mut self, other: &Self) {
        for &range in &other.0 {
            self.insert_range(range);
        }
    }

    /// The numbers from 0 to `count - 1` that are not in the set.
    #[must_use]
    pub fn gaps_below(&self, count: u64) -> Self {
        let mut gaps = Vec::new();
        let mut next = 0;
        for range in &self.0 {
            if range.first >= count {
                break;
            }
            if range.first > next {
                gaps.push(UnitRange::new(next, range.first - 1));
            }
            next = range.last.saturating_add(1);
        }
        if next < count {
            gaps.push(UnitRange::new(next, count - 1));
        }
        Self(gaps)
    }
}

impl From<Vec<UnitRange>> for UnitRanges {
    fn from(ranges: Vec<UnitRange>) -> Self {
        ranges.into_iter().collect()
    }
}

impl From<UnitRanges> for Vec<UnitRange> {
    fn from(ranges: UnitRanges) -> Self {
        ranges.0
    }
}

impl FromIterator<UnitRange> for UnitRanges {
    fn from_iter<I: IntoIterator<Item = UnitRange>>(ranges: I) -> Self {
        let mut sorted: Vec<UnitRange> = ranges.into_iter().collect();
        sorted.sort_unstable_by_key(|range| range.first);
        let mut set = Self::new();
        for range in sorted {
            set.insert_range(range);
        }
        set
    }
}

impl fmt::Display for UnitRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (index, range) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            if range.first == range.last {
                write!(f, "{comma}{}", range.first)?;
            } else {
                write!(f, "{comma}{}–{}", range.first, range.last)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(ranges: &[(u64, u64)]) -> UnitRanges {
        ranges.iter().map(|&(first, last)| UnitRange::new(first, last)).collect()
    }

    #[test]
    fn gaps_are_what_is_missing_below_the_count() {
        assert_eq!(set(&[(2, 3), (6, 9)]).gaps_below(12), set(&[(0, 1), (4, 5), (10, 11)]));
        assert_eq!(set(&[(0, 9)]).gaps_below(10), set(&[]));
        assert_eq!(set(&[(5, 9)]).gaps_below(3), set(&[(0, 2)]));
        assert_eq!(set(&[]).gaps_below(0), set(&[]));
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let mut ranges = set(&[(0, u64::MAX)]);
        ranges.insert(u64::MAX);
        assert_eq!(ranges.count(), u64::MAX);
        assert_eq!(ranges.first_missing_from(3), u64::MAX);
    }

    #[test]
    fn json_is_pairs_in_any_order_but_never_backwards() {
        let ranges: UnitRanges = serde_json::from_str("[[5,6],[0,3],[4,4]]").unwrap();
        assert_eq!(serde_json::to_string(&ranges).unwrap(), "[[0,6]]");
        assert!(serde_json::from_str::<UnitRanges>("[[3,1]]").is_err());
    }

    proptest! {
        #[test]
        fn ranges_are_a_set_of_numbers(inserts in prop::collection::vec((0u64..60, 0u64..8), 0..40), from in 0u64..70) {
            let mut ranges = UnitRanges::new();
            let mut model = BTreeSet::new();
            for (first, more) in inserts {
                ranges.insert_range(UnitRange::new(first, first + more));
                model.extend(first..=first + more);
            }
            prop_assert_eq!(ranges.count(), model.len() as u64);
            prop_assert_eq!(ranges.last(), model.last().copied());
            for number in 0..70 {
                prop_assert_eq!(ranges.contains(number), model.contains(&number));
            }
            prop_assert_eq!(ranges.first_missing_from(from), (from..).find(|n| !model.contains(n)).unwrap());
            for pair in ranges.as_slice().windows(2) {
                prop_assert!(pair[0].last + 1 < pair[1].first, "disjoint and not adjacent");
            }
        }
    }
}
