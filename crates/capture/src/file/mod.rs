//! Files played as if they were live: a thread reads ahead, the pace is the file's own.

pub(crate) mod wav;
pub(crate) mod y4m;

use std::fs::File;
use std::io::{BufReader, Read};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{SessionClock, duration_us};
use crate::device::{Next, Stop};
use crate::device_thread::{DeviceThread, Gate, Outlet};
use crate::error::{DeviceError, DeviceKind, FileError};

/// The path that means standard input.
pub const STANDARD_INPUT: &str = "-";

/// Frames or runs of sound that are read ahead.
const READ_AHEAD: usize = 4;

/// A file, or standard input.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    path: String,
}

impl Input {
    pub(crate) fn new(path: &str) -> Self {
        Self { path: path.to_owned() }
    }

    /// How messages call it.
    pub(crate) fn name(&self) -> String {
        if self.path == STANDARD_INPUT { "standard input".to_owned() } else { self.path.clone() }
    }

    fn open(&self) -> Result<Box<dyn Read + Send>, FileError> {
        if self.path == STANDARD_INPUT {
            return Ok(Box::new(BufReader::new(std::io::stdin())));
        }
        match File::open(&self.path) {
            Ok(file) => Ok(Box::new(BufReader::with_capacity(1 << 18, file))),
            Err(error) => Err(self.unreadable(&error)),
        }
    }

    fn unreadable(&self, error: &std::io::Error) -> FileError {
        FileError::Read { path: self.name(), detail: error.to_string() }
    }

    pub(crate) fn malformed(&self, format: &'static str, detail: impl Into<String>) -> FileError {
        FileError::Malformed { path: self.name(), format, detail: detail.into() }
    }

    /// Reads as many bytes as there are, `buffer.len()` at most: fewer only at the file's end.
    pub(crate) fn read_up_to(&self, reader: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, FileError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match reader.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(bytes) => filled += bytes,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.unreadable(&error)),
            }
        }
        Ok(filled)
    }
}

/// Starts to read a file: `read` parses the header, calls [`Outlet::opened`] and gives the items.
///
/// # Errors
/// What opening the file or parsing its header fails with.
pub(crate) fn read_ahead<T: Send + 'static>(
    kind: DeviceKind,
    input: &Input,
    stop: &Stop,
    read: impl FnOnce(&Input, Box<dyn Read + Send>, &Outlet<T>) -> Result<(), DeviceError> + Send + 'static,
) -> Result<DeviceThread<T>, DeviceError> {
    let own = input.clone();
    let body = move |outlet: &Outlet<T>| read(&own, own.open()?, outlet);
    let thread = DeviceThread::spawn(kind, &Gate::default(), READ_AHEAD, &Arc::default(), body)?;
    thread.wait_until_open(stop)?;
    Ok(thread)
}

/// Lets items out when they are due.
///
/// The first item is due when it arrives. When the writer of a pipe falls behind by more than
/// [`LATE_US`], what follows is due that much later: live sources do not catch up.
pub(crate) struct Pace<T> {
    clock: Arc<dyn SessionClock>,
    thread: DeviceThread<T>,
    held: Option<T>,
    /// When position 0 of the file is due.
    start_us: Option<u64>,
}

/// How late an item may be before the rest of the file is shifted.
const LATE_US: u64 = 100_000;

impl<T: Send + 'static> Pace<T> {
    pub(crate) fn new(clock: Arc<dyn SessionClock>, thread: DeviceThread<T>) -> Self {
        Self { clock, thread, held: None, start_us: None }
    }

    /// The next item and its capture time. `position_us` tells where the item begins in the file, and
    /// `length_us` how long a live source takes to capture it before it can deliver it.
    pub(crate) fn next(
        &mut self,
        patience: Duration,
        position_us: impl Fn(&T) -> u64,
        length_us: impl Fn(&T) -> u64,
    ) -> Result<Next<(T, u64)>, DeviceError> {
        let give_up_us = self.clock.now_us().saturating_add(duration_us(patience));
        let item = match self.held.take() {
            Some(item) => item,
            None => match self.thread.next(patience)? {
                Next::Ready(item) => item,
                Next::Nothing => return Ok(Next::Nothing),
                Next::Ended => return Ok(Next::Ended),
            },
        };
        let now_us = self.clock.now_us();
        let (position_us, length_us) = (position_us(&item), length_us(&item));
        let start_us = self.start_us.get_or_insert(now_us);
        if now_us > *start_us + position_us + length_us + LATE_US {
            *start_us = now_us.saturating_sub(position_us + length_us);
        }
        let capture_us = *start_us + position_us;
        let due_us = capture_us + length_us;
        self.clock.sleep_until_us(due_us.min(give_up_us));
        if self.clock.now_us() < due_us {
            self.held = Some(item);
            return Ok(Next::Nothing);
        }
        Ok(Next::Ready((item, capture_us)))
    }
}
