//! How long acknowledgements take, in a fixed amount of memory.

use std::time::Duration;

/// Buckets per doubling: the error of a percentile stays below 2.2 %.
const PER_DOUBLING: usize = 32;
/// The lowest bucket ends here.
const LOWEST_US: u64 = 128;
/// 128 µs doubled 22 times is 9 minutes; the last bucket holds everything above.
const BUCKETS: usize = 22 * PER_DOUBLING + 1;

/// A histogram of durations from 0.1 ms to minutes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latency {
    counts: Box<[u32; BUCKETS]>,
    longest: Duration,
}

impl Default for Latency {
    fn default() -> Self {
        Self { counts: Box::new([0; BUCKETS]), longest: Duration::ZERO }
    }
}

impl Latency {
    /// Counts one duration.
    pub fn record(&mut self, duration: Duration) {
        let count = &mut self.counts[bucket(duration)];
        *count = count.saturating_add(1);
        self.longest = self.longest.max(duration);
    }

    /// Adds everything that another histogram counted.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts.iter()) {
            *count = count.saturating_add(*more);
        }
        self.longest = self.longest.max(other.longest);
    }

    /// How many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|&count| u64::from(count)).sum()
    }

    /// The longest duration, exactly.
    #[must_use]
    pub const fn longest(&self) -> Duration {
        self.longest
    }

    /// The duration that `share` (0 to 1) of the counted ones do not exceed, rounded up to the
    /// bucket's end; none when nothing was counted.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Option<Duration> {
        let total = self.count();
        let rank = ((total as f64 * share).ceil() as u64).clamp(1, total.max(1));
        let mut seen = 0;
        for (index, &count) in self.counts.iter().enumerate() {
            seen += u64::from(count);
            if seen >= rank {
                return Some(bucket_end(index).min(self.longest));
            }
        }
        None
    }
}

fn bucket(duration: Duration) -> usize {
    let doublings = (duration.as_micros() as f64 / LOWEST_US as f64).log2();
    // Below the lowest bucket the logarithm is negative or -inf, and the cast yields 0.
    let index = (doublings * PER_DOUBLING as f64).ceil() as usize;
    index.min(BUCKETS - 1)
}

fn bucket_end(index: usize) -> Duration {
    if index == BUCKETS - 1 {
        return Duration::MAX;
    }
    let end_us = LOWEST_US as f64 * (index as f64 / PER_DOUBLING as f64).exp2();
    Duration::from_nanos((end_us * 1_000.0) as u64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_within_one_part_in_forty() {
        let mut latency = Latency::default();
        assert_eq!(latency.percentile(0.5), None);
        for ms in 1..=1_000 {
            latency.record(Duration::from_millis(ms));
        }
        for (share, expected_ms) in [(0.5, 500.0), (0.95, 950.0), (0.0, 1.0)] {
            let found_ms = latency.percentile(share).unwrap().as_secs_f64() * 1_000.0;
            assert!((found_ms / expected_ms - 1.0).abs() < 0.025, "{share}: {found_ms}");
        }
        assert_eq!(latency.percentile(1.0), Some(Duration::from_secs(1)));
        assert_eq!(latency.longest(), Duration::from_secs(1));
    }

    #[test]
    fn extremes_are_counted_and_histograms_add_up() {
        let mut latency = Latency::default();
        latency.record(Duration::ZERO);
        let mut other = Latency::default();
        other.record(Duration::from_secs(100_000));
        latency.merge(&other);
        assert_eq!(latency.count(), 2);
        assert_eq!(latency.percentile(0.5), Some(Duration::from_micros(128)));
        assert_eq!(latency.percentile(1.0), Some(Duration::from_secs(100_000)));
    }
}
