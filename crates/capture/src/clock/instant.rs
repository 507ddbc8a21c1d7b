//! Windows: `Instant` reads the performance counter, which counts while the system sleeps.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Time since an arbitrary moment.
pub(super) fn now() -> Duration {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    ORIGIN.get_or_init(Instant::now).elapsed()
}
