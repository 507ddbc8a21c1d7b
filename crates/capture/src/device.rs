//! What a camera and a microphone have in common: they are opened, they deliver, they fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::error::DeviceError;

/// What a device has for its reader.
#[derive(Debug, PartialEq)]
pub enum Next<T> {
    /// A frame, or a run of sound.
    Ready(T),
    /// Nothing came within the reader's patience. That alone is no failure.
    Nothing,
    /// The source has come to its proper end (a file does, a camera does not).
    Ended,
}

/// An open camera (`T` is [`Frame`](crate::Frame)) or microphone (`T` is [`PcmBlock`](crate::PcmBlock)).
///
/// Dropping it releases it. After an error it is of no use any more.
pub trait Device<T>: Send {
    /// Waits for the next item, but hardly longer than `patience`: an implementation never blocks for ever.
    ///
    /// # Errors
    /// [`DeviceError`] when the device will not deliver any more.
    fn next(&mut self, patience: Duration) -> Result<Next<T>, DeviceError>;
}

/// What can be opened to get a [`Device`], again after the device was lost.
pub trait Source<T>: Send {
    /// Opens the device. Called from one thread only; blocks for seconds at most.
    ///
    /// # Errors
    /// [`DeviceError`] with the reason.
    fn open(&mut self) -> Result<Box<dyn Device<T>>, DeviceError>;

    /// What to do when the device fails.
    fn persistence(&self) -> Persistence;

    /// A plain name for people; it may be known only once the device has been opened.
    fn name(&self) -> String;
}

/// Whether a lost source can come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// A device: a stall or a failure is followed by attempts to open it again.
    Reopens,
    /// A file: silence only means that its writer is slow, and a failure is final.
    Once,
}

/// A request to stop, shared by the threads of a session.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks every thread to come to its end.
    pub(crate) fn request(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether somebody has asked.
    pub(crate) fn is_requested(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
