//! What the tracks share about their way: how late the sound is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The time that the sound's messages spend in queues, as its own connection measures it. The picture's connection
/// makes room when it grows: both may share a bottleneck, and sound comes first.
#[derive(Debug, Default)]
pub(crate) struct AudioDelay(AtomicU64);

impl AudioDelay {
    pub(crate) fn set(&self, delay: Duration) {
        let delay_us = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        self.0.store(delay_us, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}
