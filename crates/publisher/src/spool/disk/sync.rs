//! The thread that makes durable what has been written.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::files::Files;
use super::log::{TrackLog, lock};
use super::segments::Unsynced;

/// From a write to the beginning of its sync, at most. With a sync of less than half a second, a power cut costs
/// the last second.
const INTERVAL: Duration = Duration::from_millis(500);

/// Syncs logs until it is dropped, and then once more.
pub(super) struct Syncer {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    /// # Errors
    /// When the system refuses a thread.
    pub(super) fn start(files: Arc<dyn Files>, logs: Vec<Arc<Mutex<TrackLog>>>) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let body = move || {
            let mut left: Vec<Unsynced> = logs.iter().map(|_| Unsynced::default()).collect();
            loop {
                let is_over = stopped.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout);
                for (log, left) in logs.iter().zip(&mut left) {
                    sync(&*files, log, left);
                }
                if is_over {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("spool-sync".to_owned()).spawn(body)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it has been told by the thread.
            thread.join().ok();
        }
    }
}

/// Syncs what is new, and what failed the last time. The log is not locked meanwhile.
pub(super) fn sync(files: &dyn Files, log: &Mutex<TrackLog>, left: &mut Unsynced) {
    let mut unsynced = lock(log).take_unsynced();
    unsynced.files.append(&mut left.files);
    unsynced.names |= std::mem::take(&mut left.names);
    if unsynced.files.is_empty() && !unsynced.names {
        return;
    }
    let synced = unsynced.files.iter().try_for_each(|file| file.sync());
    let result = synced.and_then(|()| if unsynced.names { files.sync_names() } else { Ok(()) });
    if let Err(error) = &result {
        tracing::warn!(%error, "the spool cannot be made durable; trying again");
        *left = unsynced;
        // Each file once is enough, and a disk that fails for hours must not fill the memory.
        left.files.truncate(8);
    }
    lock(log).synced(&result);
}
