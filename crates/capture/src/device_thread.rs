//! A device whose calls can block for ever gets a thread of its own.
//!
//! The reader waits on a bounded channel with a time-out. When it gives up, the thread is abandoned: it
//! is marked as unwanted, and when its blocking call returns at last, it sees the mark, releases the
//! device and ends. A [`Gate`] lets in no second thread before that, so that at most one is ever abandoned.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use crate::device::{Next, Stop};
use crate::error::{DeviceError, DeviceKind};

/// How long opening a device may take before it counts as stalled.
const OPEN_PATIENCE: Duration = Duration::from_secs(8);

/// How often somebody who waits looks whether the session stops.
const STOP_POLL: Duration = Duration::from_millis(50);

/// Admits one thread at a time to one device.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<AtomicBool>);

/// Frees the gate when it is dropped.
struct Admission(Arc<AtomicBool>);

impl Gate {
    fn enter(&self) -> Option<Admission> {
        (!self.0.swap(true, Ordering::AcqRel)).then(|| Admission(Arc::clone(&self.0)))
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

enum Message<T> {
    Opened(String),
    Item(T),
    Ended(Result<(), DeviceError>),
}

/// The thread's side: where it puts what the device delivers.
pub(crate) struct Outlet<T> {
    messages: SyncSender<Message<T>>,
    unwanted: Arc<AtomicBool>,
    dropped: Arc<AtomicU64>,
}

impl<T> Clone for Outlet<T> {
    fn clone(&self) -> Self {
        Self {
            messages: self.messages.clone(),
            unwanted: Arc::clone(&self.unwanted),
            dropped: Arc::clone(&self.dropped),
        }
    }
}

impl<T> Outlet<T> {
    /// Tells the opener that the device works, and its plain name.
    pub(crate) fn opened(&self, name: String) {
        let _ = self.messages.send(Message::Opened(name));
    }

    /// Whether anybody still reads. A thread that is not wanted ends.
    pub(crate) fn wanted(&self) -> bool {
        !self.unwanted.load(Ordering::Acquire)
    }

    /// Hands an item on without waiting; when the channel is full, the item is dropped and counted.
    pub(crate) fn offer(&self, item: T) {
        match self.messages.try_send(Message::Item(item)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
            Err(TrySendError::Disconnected(_)) => self.unwanted.store(true, Ordering::Release),
        }
    }

    /// Hands an item on, waiting for room: only for files, which wait without loss.
    pub(crate) fn give(&self, item: T) {
        if self.messages.send(Message::Item(item)).is_err() {
            self.unwanted.store(true, Ordering::Release);
        }
    }

    /// Reports that the device failed, from a callback.
    pub(crate) fn fail(&self, error: DeviceError) {
        let _ = self.messages.try_send(Message::Ended(Err(error)));
    }
}

/// The reader's side. Dropping it abandons the thread.
pub(crate) struct DeviceThread<T> {
    kind: DeviceKind,
    messages: Receiver<Message<T>>,
    unwanted: Arc<AtomicBool>,
}

impl<T: Send + 'static> DeviceThread<T> {
    /// Runs `body` on a thread. It opens the device, calls [`Outlet::opened`], and delivers until it is
    /// no longer [wanted](Outlet::wanted).
    ///
    /// `capacity` bounds the items that wait for the reader; `dropped` counts those that found it full.
    ///
    /// # Errors
    /// [`DeviceError::Stalled`] while an abandoned thread still holds the device.
    pub(crate) fn spawn(
        kind: DeviceKind,
        gate: &Gate,
        capacity: usize,
        dropped: &Arc<AtomicU64>,
        body: impl FnOnce(&Outlet<T>) -> Result<(), DeviceError> + Send + 'static,
    ) -> Result<Self, DeviceError> {
        let admission = gate.enter().ok_or(DeviceError::Stalled(kind))?;
        let (sender, messages) = sync_channel(capacity);
        let unwanted = Arc::new(AtomicBool::new(false));
        let outlet =
            Outlet { messages: sender, unwanted: Arc::clone(&unwanted), dropped: Arc::clone(dropped) };
        std::thread::Builder::new()
            .name(kind.to_string())
            .spawn(move || {
                let ended = catch_unwind(AssertUnwindSafe(|| body(&outlet)))
                    .unwrap_or_else(|_| Err(ended_early(kind)));
                // The device is released by now: whoever reads of its end may open it again at once.
                drop(admission);
                let _ = outlet.messages.send(Message::Ended(ended));
            })
            .map_err(|error| DeviceError::Failed { kind, detail: error.to_string() })?;
        Ok(Self { kind, messages, unwanted })
    }

    /// Waits until the device is open; its plain name.
    ///
    /// # Errors
    /// What opening it failed with; [`DeviceError::Stalled`] when it takes longer than
    /// eight seconds or the session stops meanwhile.
    pub(crate) fn wait_until_open(&self, stop: &Stop) -> Result<String, DeviceError> {
        let mut waited = Duration::ZERO;
        while waited < OPEN_PATIENCE && !stop.is_requested() {
            match self.messages.recv_timeout(STOP_POLL) {
                Ok(Message::Opened(name)) => return Ok(name),
                Ok(Message::Ended(Err(error))) => return Err(error),
                // A callback may deliver before its stream is known to run; those milliseconds are let go.
                Ok(Message::Item(_)) => {}
                Ok(Message::Ended(Ok(()))) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(ended_early(self.kind));
                }
                Err(RecvTimeoutError::Timeout) => waited += STOP_POLL,
            }
        }
        Err(DeviceError::Stalled(self.kind))
    }

    /// Waits for the next item.
    pub(crate) fn next(&self, patience: Duration) -> Result<Next<T>, DeviceError> {
        match self.messages.recv_timeout(patience) {
            Ok(Message::Item(item)) => Ok(Next::Ready(item)),
            Ok(Message::Opened(_)) | Err(RecvTimeoutError::Timeout) => Ok(Next::Nothing),
            Ok(Message::Ended(Ok(()))) => Ok(Next::Ended),
            Ok(Message::Ended(Err(error))) => Err(error),
            Err(RecvTimeoutError::Disconnected) => Err(ended_early(self.kind)),
        }
    }
}

fn ended_early(kind: DeviceKind) -> DeviceError {
    DeviceError::Failed { kind, detail: "its driver ended unexpectedly".to_owned() }
}

impl<T> Drop for DeviceThread<T> {
    fn drop(&mut self) {
        self.unwanted.store(true, Ordering::Release);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn spawn(
        gate: &Gate,
        body: impl FnOnce(&Outlet<u32>) -> Result<(), DeviceError> + Send + 'static,
    ) -> Result<DeviceThread<u32>, DeviceError> {
        DeviceThread::spawn(DeviceKind::Camera, gate, 2, &Arc::default(), body)
    }

    #[test]
    fn a_blocked_thread_is_abandoned_once_and_releases_the_device_when_it_wakes() {
        let gate = Gate::default();
        let (wake, blocked) = sync_channel::<()>(0);
        let (report, released) = sync_channel(1);
        let stalled = spawn(&gate, move |outlet| {
            outlet.opened("stuck".to_owned());
            let _ = blocked.recv();
            report.send(outlet.wanted()).unwrap();
            Ok(())
        })
        .unwrap();
        assert_eq!(stalled.wait_until_open(&Stop::default()).unwrap(), "stuck");
        assert_eq!(stalled.next(Duration::ZERO).unwrap(), Next::Nothing);
        drop(stalled);
        let second = spawn(&gate, |_| Ok(())).err();
        assert_eq!(second, Some(DeviceError::Stalled(DeviceKind::Camera)));
        wake.send(()).unwrap();
        assert!(!released.recv().unwrap(), "the thread sees that nobody wants it");
        while gate.0.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        assert!(spawn(&gate, |_| Ok(())).is_ok());
    }

    #[test]
    fn a_backend_that_panics_is_a_failed_device_and_leaves_the_gate_open() {
        let gate = Gate::default();
        let broken = spawn(&gate, |_| panic!("a driver's bug (this message is part of the test)")).unwrap();
        assert_eq!(broken.wait_until_open(&Stop::default()).unwrap_err().code(), "device_failed");
        assert!(spawn(&gate, |_| Ok(())).is_ok());
    }

    #[test]
    fn what_nobody_fetches_is_dropped_and_counted() {
        let dropped = Arc::new(AtomicU64::new(0));
        let (done, delivered) = sync_channel(1);
        let thread = DeviceThread::spawn(DeviceKind::Camera, &Gate::default(), 2, &dropped, move |outlet| {
            (0..5).for_each(|item| outlet.offer(item));
            done.send(()).unwrap();
            Ok(())
        })
        .unwrap();
        delivered.recv().unwrap();
        assert_eq!(dropped.load(Ordering::Relaxed), 3);
        assert_eq!(thread.next(Duration::ZERO).unwrap(), Next::Ready(0));
    }
}
