use std::time::Duration;

use fastrand::Rng;

/// How long to wait before the next attempt to connect: twice as long after each failure, with
/// jitter, so that the publishers and viewers of a server that restarts do not all come back at one instant.
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
    rng: Rng,
}

impl Backoff {
    /// Waits of `first` up to `longest`.
    #[must_use]
    pub fn new(first: Duration, longest: Duration, seed: u64) -> Self {
        Self { first, longest, failures: 0, rng: Rng::with_seed(seed) }
    }

    /// The wait after one more failure: between half of the exponential step and the whole of it.
    pub fn next_wait(&mut self) -> Duration {
        let step = self.first.saturating_mul(1 << self.failures.min(20)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        step.mul_f64(0.5 + 0.5 * self.rng.f64())
    }

    /// The connection proved good: the next failure starts from the first step again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_anew_after_a_good_connection() {
        for seed in 0..100 {
            let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(5), seed);
            for step_ms in [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000] {
                let wait = backoff.next_wait();
                let step = Duration::from_millis(step_ms);
                assert!(step / 2 <= wait && wait <= step, "seed {seed}: {wait:?} after {step:?}");
            }
            backoff.reset();
            assert!(backoff.next_wait() <= Duration::from_millis(250));
        }
    }
}
