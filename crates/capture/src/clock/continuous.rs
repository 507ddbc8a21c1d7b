//! Apple's systems: their `CLOCK_MONOTONIC` counts while the system sleeps, `CLOCK_UPTIME_RAW` (which `Instant` reads)
//! does not; see `clock_gettime(3)` there.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Time since an arbitrary moment.
pub(super) fn now() -> Duration {
    // Both parts are never negative.
    Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default()
}
