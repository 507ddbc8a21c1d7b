//! Files played as if they were live, at the pace that is their own.

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

/// Far less than a plane of a picture, which is read past the buffer then, straight to its place.
const BUFFER_BYTES: usize = 1 << 14;

/// Frames or runs of sound that are read ahead of a pipe.
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

    /// Whether it is a file on a disk: not a pipe, not a device.
    fn is_file(&self) -> bool {
        self.path != STANDARD_INPUT && std::fs::metadata(&self.path).is_ok_and(|file| file.is_file())
    }

    fn open(&self) -> Result<Box<dyn Read + Send>, FileError> {
        if self.path == STANDARD_INPUT {
            return Ok(Box::new(BufReader::new(std::io::stdin())));
        }
        match File::open(&self.path) {
            Ok(file) => Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, file))),
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

/// What a file holds, item by item.
pub(crate) trait Contents<T>: Send + Sized + 'static {
    /// Reads up to the first item.
    fn open(input: Input, reader: Box<dyn Read + Send>) -> Result<Self, FileError>;

    /// Reads the next item; none at the end.
    fn next(&mut self) -> Result<Option<T>, FileError>;
}

/// Where items come from.
enum Feed<T> {
    /// From a file, which answers at once.
    File(Box<dyn FnMut() -> Result<Option<T>, FileError> + Send>),
    /// From a pipe, whose writer may take any time, by a thread that reads ahead.
    Pipe(DeviceThread<T>),
}

impl<T: Send + 'static> Feed<T> {
    fn open<C: Contents<T>>(kind: DeviceKind, input: &Input, stop: &Stop) -> Result<Self, DeviceError> {
        let own = input.clone();
        if input.is_file() {
            let reader = input.open()?;
            let mut contents = C::open(own, reader)?;
            return Ok(Self::File(Box::new(move || contents.next())));
        }
        let body = move |outlet: &Outlet<T>| {
            let reader = own.open()?;
            let mut contents = C::open(own.clone(), reader)?;
            outlet.opened(own.name());
            while outlet.wanted() {
                match contents.next()? {
                    Some(item) => outlet.give(item),
                    None => return Ok(()),
                }
            }
            Ok(())
        };
        let thread = DeviceThread::spawn(kind, &Gate::default(), READ_AHEAD, &Arc::default(), body)?;
        thread.wait_until_open(stop)?;
        Ok(Self::Pipe(thread))
    }

    fn next(&mut self, patience: Duration) -> Result<Next<T>, DeviceError> {
        match self {
            Self::File(next) => Ok(next()?.map_or(Next::Ended, Next::Ready)),
            Self::Pipe(thread) => thread.next(patience),
        }
    }
}

/// Lets items out when they are due.
///
/// The first item is due when it arrives. When the writer of a pipe falls behind by more than
/// [`LATE_US`], what follows is due that much later: live sources do not catch up.
pub(crate) struct Pace<T> {
    clock: Arc<dyn SessionClock>,
    feed: Feed<T>,
    held: Option<T>,
    /// When position 0 of the file is due.
    start_us: Option<u64>,
}

/// How late an item may be before the rest of the file is shifted.
const LATE_US: u64 = 100_000;

impl<T: Send + 'static> Pace<T> {
    /// Opens a file, or standard input.
    ///
    /// # Errors
    /// What opening it or parsing its header fails with.
    pub(crate) fn open<C: Contents<T>>(
        kind: DeviceKind,
        input: &Input,
        clock: &Arc<dyn SessionClock>,
        stop: &Stop,
    ) -> Result<Self, DeviceError> {
        let feed = Feed::open::<C>(kind, input, stop)?;
        Ok(Self { clock: Arc::clone(clock), feed, held: None, start_us: None })
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
            None => match self.feed.next(patience)? {
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
