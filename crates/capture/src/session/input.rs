//! The thread of one track: it keeps its device delivering, shows what comes, and encodes it while a take runs.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::time::Duration;

use protocol::Track;

use super::take::Take;
use super::{CaptureEvent, InputEvent, StartError};
use crate::clock::SessionClock;
use crate::device::{Source, Stop};
use crate::error::DeviceKind;
use crate::level::Level;
use crate::supervise::{Step, Supervisor};

/// How often a thread that has no device looks whether its take is over.
const IDLE_PATIENCE: Duration = Duration::from_millis(100);

/// What the thread is told.
pub(super) enum Command<T> {
    /// Close the device, and open this source, if any.
    Open(Option<Opening<T>>),
    /// Encode from now on.
    Begin(Take<T>),
}

/// A source that is to be opened.
pub(super) struct Opening<T> {
    pub(super) source: Box<dyn Source<T>>,
    /// Ends an attempt to open it that takes long.
    pub(super) stop: Stop,
    /// It stands in for a device that a person has switched off.
    pub(super) is_stand_in: bool,
}

/// Sees each item before it is encoded; it may find a level to tell.
pub(super) type Watch<T> = Box<dyn FnMut(&T) -> Option<Level> + Send>;

/// The state of the thread.
pub(super) struct Input<T> {
    pub(super) track: Track,
    pub(super) clock: Arc<dyn SessionClock>,
    pub(super) commands: Receiver<Command<T>>,
    pub(super) watch: Watch<T>,
    /// Who is told about the device beside the session. Nobody but the session when there is none.
    pub(super) listener: Option<SyncSender<InputEvent>>,
    pub(super) device: Option<Supervisor<T>>,
    /// Whether the device stands in for one that a person has switched off.
    pub(super) is_stand_in: bool,
    pub(super) take: Option<Take<T>>,
}

impl<T: Send + 'static> Input<T> {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`StartError::Thread`].
    pub(super) fn spawn(self) -> Result<(), StartError> {
        std::thread::Builder::new()
            .name(self.track.to_string())
            .spawn(|| self.run())
            .map(drop)
            .map_err(|error| StartError::Thread(error.to_string()))
    }
}

impl<T> Input<T> {
    /// Runs until nobody can command it any more and its take is over.
    pub(super) fn run(mut self) {
        while self.obey() {
            if self.take.as_ref().is_some_and(Take::is_over) {
                self.end_take(None);
                continue;
            }
            let Some(device) = &mut self.device else { continue };
            let step = device.step();
            self.follow(step);
        }
    }

    /// Does what it was told. `false` when it is no longer needed.
    fn obey(&mut self) -> bool {
        loop {
            let command = if self.device.is_some() {
                self.commands.try_recv()
            } else {
                self.commands.recv_timeout(IDLE_PATIENCE).map_err(|error| match error {
                    RecvTimeoutError::Timeout => TryRecvError::Empty,
                    RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
                })
            };
            match command {
                Ok(Command::Open(opening)) => self.open(opening),
                Ok(Command::Begin(take)) => {
                    self.end_take(None);
                    self.take = Some(take);
                }
                Err(TryRecvError::Empty) => return true,
                // Without a device nothing can come any more, and without a take nobody is there for it.
                Err(TryRecvError::Disconnected) if self.take.is_some() && self.device.is_some() => {
                    return true;
                }
                Err(TryRecvError::Disconnected) => {
                    self.end_take(None);
                    return false;
                }
            }
        }
    }

    fn open(&mut self, opening: Option<Opening<T>>) {
        // Released before the next one is opened: it may be the same device with another format.
        self.device = None;
        let Some(Opening { source, stop, is_stand_in }) = opening else { return };
        self.is_stand_in = is_stand_in;
        let kind = kind_of(self.track);
        self.device = Some(Supervisor::opening(kind, source, Arc::clone(&self.clock), stop));
    }

    fn follow(&mut self, step: Step<T>) {
        let track = self.track;
        match step {
            Step::Item(item) => self.item(item),
            Step::Opened => {
                let name = self.device.as_ref().map(Supervisor::name).unwrap_or_default();
                if let Some(take) = &mut self.take {
                    take.tell(if self.is_stand_in {
                        CaptureEvent::SwitchedOff { track }
                    } else {
                        CaptureEvent::DeviceSwitched { track, name: name.clone() }
                    });
                }
                self.report(if self.is_stand_in {
                    InputEvent::Off { track }
                } else {
                    InputEvent::Opened { track, name }
                });
            }
            Step::NotOpened(error) => {
                tracing::warn!(%error, "{} not opened", kind_of(track));
                if let Some(take) = &mut self.take {
                    take.tell(CaptureEvent::DeviceLost { track, error: error.clone() });
                }
                self.report(InputEvent::NotOpened { track, error });
            }
            Step::Lost(error) => {
                tracing::warn!(%error, "{} lost", kind_of(track));
                if let Some(take) = &mut self.take {
                    take.tell(CaptureEvent::DeviceLost { track, error: error.clone() });
                }
                self.report(InputEvent::Lost { track, error });
            }
            Step::Restored { away_us } => {
                tracing::info!(away_ms = away_us / 1000, "{} is back", kind_of(track));
                if let Some(take) = &mut self.take {
                    take.tell(CaptureEvent::DeviceRestored { track, away_us });
                }
                self.report(InputEvent::Restored { track, away_us });
            }
            Step::Idle => {}
            Step::Ended => {
                self.device = None;
                self.end_take(None);
                self.report(InputEvent::Ended { track, error: None });
            }
            Step::Failed(error) => {
                self.device = None;
                self.end_take(Some(error.clone().into()));
                self.report(InputEvent::Ended { track, error: Some(error) });
            }
        }
    }

    fn item(&mut self, item: T) {
        let level = (self.watch)(&item);
        if let Some(take) = &mut self.take
            && let Err(failure) = take.put(item)
        {
            self.end_take(Some(failure));
        }
        let Some(level) = level else { return };
        match (&self.listener, &mut self.take) {
            (Some(listener), _) => drop(listener.try_send(InputEvent::Level(level))),
            (None, Some(take)) => drop(take.offer(CaptureEvent::Level(level))),
            (None, None) => {}
        }
    }

    fn end_take(&mut self, failure: Option<super::Failure>) {
        if let Some(take) = self.take.take() {
            take.end(failure);
        }
    }

    fn report(&self, event: InputEvent) {
        if let Some(listener) = &self.listener {
            // A listener that is gone has no wish to know.
            let _ = listener.send(event);
        }
    }
}

const fn kind_of(track: Track) -> DeviceKind {
    match track {
        Track::Video => DeviceKind::Camera,
        Track::Audio => DeviceKind::Microphone,
    }
}
