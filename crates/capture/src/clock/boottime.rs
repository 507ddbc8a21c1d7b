//! Linux and Android: `CLOCK_BOOTTIME` counts while the system sleeps, `CLOCK_MONOTONIC` (which `Instant` reads) does not.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Time since an arbitrary moment.
pub(super) fn now() -> Duration {
    // Both parts are never negative.
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
}
