//! The session's clock: microseconds since the session's start, the same for both tracks.

#[cfg_attr(any(target_os = "linux", target_os = "android"), path = "boottime.rs")]
#[cfg_attr(target_vendor = "apple", path = "continuous.rs")]
#[cfg_attr(
    not(any(target_os = "linux", target_os = "android", target_vendor = "apple")),
    path = "instant.rs"
)]
mod system;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The time that everything in a session is measured by.
///
/// It never goes backwards, and it goes on while the system sleeps. Capture times, pacing, back-off and the stall watchdog all read it, so that
/// tests decide what time it is.
pub trait SessionClock: Send + Sync {
    /// Microseconds since the session's start.
    fn now_us(&self) -> u64;

    /// Returns when [`now_us`](Self::now_us) has reached `at_us`; at once when that is past.
    fn sleep_until_us(&self, at_us: u64);
}

/// The operating system's monotonic clock, in the form that counts sleep: a recording is as long as the time that passed.
#[derive(Debug, Clone, Copy)]
pub struct MonotonicClock {
    start: Duration,
}

impl MonotonicClock {
    /// The session starts now.
    #[must_use]
    pub fn start() -> Self {
        Self { start: system::now() }
    }
}

impl SessionClock for MonotonicClock {
    fn now_us(&self) -> u64 {
        duration_us(system::now().saturating_sub(self.start))
    }

    fn sleep_until_us(&self, at_us: u64) {
        let wait_us = at_us.saturating_sub(self.now_us());
        if wait_us > 0 {
            std::thread::sleep(Duration::from_micros(wait_us));
        }
    }
}

/// A clock that tests move: sleeping advances it, and nothing else does but [`advance_us`](Self::advance_us).
#[derive(Debug, Default)]
pub struct SimulatedClock {
    now_us: AtomicU64,
}

impl SimulatedClock {
    /// Moves the time forward.
    pub fn advance_us(&self, by_us: u64) {
        self.now_us.fetch_add(by_us, Ordering::SeqCst);
    }
}

impl SessionClock for SimulatedClock {
    fn now_us(&self) -> u64 {
        self.now_us.load(Ordering::SeqCst)
    }

    fn sleep_until_us(&self, at_us: u64) {
        self.now_us.fetch_max(at_us, Ordering::SeqCst);
    }
}

/// Converts a duration to whole microseconds.
pub(crate) fn duration_us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Converts microseconds to 1/90000 s, rounded to the nearest.
pub(crate) fn us_to_90k(us: u64) -> u64 {
    u64::try_from((u128::from(us) * 9 + 50) / 100).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_starts_at_zero_and_reaches_what_is_waited_for() {
        let clock = MonotonicClock::start();
        let first_us = clock.now_us();
        assert!(first_us < 3_600_000_000, "since the start, not since the system's");
        clock.sleep_until_us(first_us + 2_000);
        assert!(clock.now_us() >= first_us + 2_000);
    }
}
