//! The session's clock: microseconds since the session's start, the same for both tracks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The time that everything in a session is measured by.
///
/// It never goes backwards. Capture times, pacing, back-off and the stall watchdog all read it, so that
/// tests decide what time it is.
pub trait SessionClock: Send + Sync {
    /// Microseconds since the session's start.
    fn now_us(&self) -> u64;

    /// Returns when [`now_us`](Self::now_us) has reached `at_us`; at once when that is past.
    fn sleep_until_us(&self, at_us: u64);
}

/// The operating system's monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct MonotonicClock {
    start: Instant,
}

impl MonotonicClock {
    /// The session starts now.
    #[must_use]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }
}

impl SessionClock for MonotonicClock {
    fn now_us(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
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
