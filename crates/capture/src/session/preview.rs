use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::frame::Frame;

/// A mailbox with one slot: it holds the newest frame, and a newer one replaces it.
///
/// Clones share the slot: a frame is fetched once. A consumer that is slow misses frames and slows nothing down.
#[derive(Debug, Clone, Default)]
pub struct Preview {
    slot: Arc<(Mutex<Option<Frame>>, Condvar)>,
    frames: Arc<AtomicU64>,
}

impl Preview {
    /// Takes the newest frame, if one has come since the last.
    #[must_use]
    pub fn take(&self) -> Option<Frame> {
        self.slot.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Waits for a frame that has not been taken yet.
    #[must_use]
    pub fn wait(&self, patience: Duration) -> Option<Frame> {
        let slot = self.slot.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.slot.1.wait_timeout_while(slot, patience, |slot| slot.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.take()
    }

    /// How many frames have come so far, fetched or not.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    pub(super) fn put(&self, frame: Frame) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        // The replaced frame is freed after the lock is.
        let replaced = self.slot.0.lock().unwrap_or_else(PoisonError::into_inner).replace(frame);
        self.slot.1.notify_one();
        drop(replaced);
    }
}
