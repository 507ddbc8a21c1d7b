//! Units that were given up, and how the recording is told of them.

use std::time::Duration;

use protocol::{UnitRange, UnitRanges};

use crate::spool::GivenUp;

/// While units are being given up, the recording is told of it this often.
const EVENT_INTERVAL: Duration = Duration::from_secs(10);

/// Units that were given up and that the recording has not been told of.
#[derive(Debug, Default)]
pub(super) struct Losses {
    units: UnitRanges,
    at_90k: u64,
    quiet_until: Duration,
}

impl Losses {
    pub(super) fn add(&mut self, given_up: GivenUp) {
        if self.units.is_empty() {
            self.at_90k = given_up.pts_90k;
        }
        self.units.insert_range(given_up.units);
    }

    /// When the recording is to be told; none when there is nothing to tell.
    pub(super) fn due_at(&self) -> Option<Duration> {
        (!self.units.is_empty()).then_some(self.quiet_until)
    }

    /// When the first unit was to be shown, and a text about all that are really lost; none when all of them
    /// arrived after all: they may have been in flight when they were given up.
    pub(super) fn take(&mut self, now: Duration, lost: &UnitRanges) -> Option<(u64, String)> {
        let Self { units, at_90k, .. } = std::mem::take(self);
        self.quiet_until = now + EVENT_INTERVAL;
        let lost: UnitRanges = lost.as_slice().iter().filter_map(|&range| overlap(range, &units)).collect();
        let text = || format!("{} units given up: {lost}", lost.count());
        (!lost.is_empty()).then(|| (at_90k, text()))
    }
}

/// The part of a range that spans the set's units within it; none if there are none.
fn overlap(range: UnitRange, set: &UnitRanges) -> Option<UnitRange> {
    let within = |have: &&UnitRange| have.first <= range.last && have.last >= range.first;
    let first = set.as_slice().iter().find(within)?.first.max(range.first);
    let last = set.as_slice().iter().rfind(within)?.last.min(range.last);
    Some(UnitRange::new(first, last))
}

/// The set in at most `ranges` ranges: everything from the last of them on melts into one.
pub(super) fn coarser(set: &UnitRanges, ranges: usize) -> UnitRanges {
    let (kept, rest) = set.as_slice().split_at(ranges.saturating_sub(1).min(set.as_slice().len()));
    let mut coarse: UnitRanges = kept.iter().copied().collect();
    if let (Some(first), Some(last)) = (rest.first(), rest.last()) {
        coarse.insert_range(UnitRange::new(first.first, last.last));
    }
    coarse
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn ranges(pairs: &[(u64, u64)]) -> UnitRanges {
        pairs.iter().map(|&(first, last)| UnitRange::new(first, last)).collect()
    }

    #[test]
    fn only_what_is_lost_for_good_is_told() {
        let mut losses = Losses::default();
        assert_eq!(losses.due_at(), None);
        losses.add(GivenUp { units: UnitRange::new(3, 9), pts_90k: 900 });
        losses.add(GivenUp { units: UnitRange::new(20, 29), pts_90k: 6_000 });
        assert_eq!(losses.due_at(), Some(Duration::ZERO));
        let (at_90k, text) = losses.take(Duration::ZERO, &ranges(&[(0, 5), (25, 60)])).unwrap();
        assert_eq!((at_90k, text.as_str()), (900, "8 units given up: 3–5, 25–29"));
        losses.add(GivenUp { units: UnitRange::new(30, 31), pts_90k: 9_000 });
        assert_eq!(losses.due_at(), Some(EVENT_INTERVAL));
        assert_eq!(losses.take(EVENT_INTERVAL, &ranges(&[(0, 5)])), None);
    }

    #[test]
    fn a_coarser_set_holds_at_least_the_same_units() {
        let set = ranges(&[(0, 1), (3, 4), (6, 7), (9, 9)]);
        assert_eq!(coarser(&set, 2), ranges(&[(0, 1), (3, 9)]));
        assert_eq!(coarser(&set, 1), ranges(&[(0, 9)]));
        assert_eq!(coarser(&set, 4), set);
        assert_eq!(coarser(&UnitRanges::new(), 3), UnitRanges::new());
    }
}
