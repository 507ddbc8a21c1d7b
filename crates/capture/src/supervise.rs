//! Keeps a source delivering: watches for stalls, reports losses once, reopens with back-off.
//!
//! A state machine that is stepped by one thread and reads time only from the session's clock.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{SessionClock, duration_us};
use crate::device::{Device, Next, Persistence, Source, Stop};
use crate::error::{DeviceError, DeviceKind};

/// A device that delivers nothing for this long has stalled. Cameras may take two seconds to start.
const STALL_AFTER: Duration = Duration::from_secs(3);

/// The pause before the first attempt to reopen; each further one is twice as long.
const FIRST_RETRY: Duration = Duration::from_millis(250);

/// The longest pause between two attempts to reopen.
const LONGEST_RETRY: Duration = Duration::from_secs(2);

/// The longest wait in one step, so that a request to stop is seen soon.
const STEP_PATIENCE: Duration = Duration::from_millis(100);

/// What one step brought.
#[derive(Debug)]
pub(crate) enum Step<T> {
    /// The device delivered.
    Item(T),
    /// The source is open for the first time.
    Opened,
    /// The source cannot be opened for the first time, or now for another reason. Further attempts follow.
    NotOpened(DeviceError),
    /// The device was lost, or its failure changed. Attempts to reopen it follow.
    Lost(DeviceError),
    /// The device delivers again; its item comes with the next step.
    Restored {
        /// How long nothing was delivered, in µs.
        away_us: u64,
    },
    /// Nothing yet.
    Idle,
    /// The source has ended properly.
    Ended,
    /// The source failed and cannot come back.
    Failed(DeviceError),
}

enum State<T> {
    Open {
        device: Box<dyn Device<T>>,
        held: Option<T>,
    },
    /// Closed, with the error that was told last: none before the first attempt.
    Lost {
        error: Option<DeviceError>,
        retry_at_us: u64,
        pause_us: u64,
    },
}

/// A source and the device it currently has open.
pub(crate) struct Supervisor<T> {
    kind: DeviceKind,
    source: Box<dyn Source<T>>,
    clock: Arc<dyn SessionClock>,
    stop: Stop,
    state: State<T>,
    /// Whether it has been open at all.
    was_open: bool,
    /// When something was last delivered, or the device was opened.
    alive_us: u64,
    /// Since when the loss that has been reported lasts.
    lost_since_us: Option<u64>,
}

impl<T> Supervisor<T> {
    /// Opens the source for the first time.
    ///
    /// # Errors
    /// [`DeviceError`] when that fails: a session does not begin with a device that is not there.
    pub(crate) fn open(
        kind: DeviceKind,
        mut source: Box<dyn Source<T>>,
        clock: Arc<dyn SessionClock>,
        stop: Stop,
    ) -> Result<Self, DeviceError> {
        let device = source.open()?;
        let alive_us = clock.now_us();
        let state = State::Open { device, held: None };
        Ok(Self { kind, source, clock, stop, state, was_open: true, alive_us, lost_since_us: None })
    }

    /// Will open the source with the first step. When that fails, it is [told](Step::NotOpened) and tried again.
    pub(crate) fn opening(
        kind: DeviceKind,
        source: Box<dyn Source<T>>,
        clock: Arc<dyn SessionClock>,
        stop: Stop,
    ) -> Self {
        let now_us = clock.now_us();
        let pause_us = duration_us(FIRST_RETRY);
        let state = State::Lost { error: None, retry_at_us: now_us, pause_us };
        Self { kind, source, clock, stop, state, was_open: false, alive_us: now_us, lost_since_us: None }
    }

    /// The plain name of the device.
    pub(crate) fn name(&self) -> String {
        self.source.name()
    }

    /// Waits for what comes next, hardly longer than a tenth of a second (reopening may take seconds).
    pub(crate) fn step(&mut self) -> Step<T> {
        match &mut self.state {
            State::Open { held, .. } if held.is_some() => held.take().map_or(Step::Idle, Step::Item),
            State::Open { device, .. } => match device.next(STEP_PATIENCE) {
                Ok(Next::Ready(item)) => self.delivered(item),
                Ok(Next::Ended) => Step::Ended,
                Ok(Next::Nothing) => self.silence(),
                Err(error) => self.lose(error),
            },
            State::Lost { retry_at_us, .. } => {
                let (now_us, retry_at_us) = (self.clock.now_us(), *retry_at_us);
                if now_us < retry_at_us {
                    self.clock.sleep_until_us(retry_at_us.min(now_us + duration_us(STEP_PATIENCE)));
                    return Step::Idle;
                }
                self.reopen()
            }
        }
    }

    fn delivered(&mut self, item: T) -> Step<T> {
        self.alive_us = self.clock.now_us();
        let Some(since_us) = self.lost_since_us.take() else { return Step::Item(item) };
        if let State::Open { held, .. } = &mut self.state {
            *held = Some(item);
        }
        Step::Restored { away_us: self.alive_us.saturating_sub(since_us) }
    }

    fn silence(&mut self) -> Step<T> {
        let silent_us = self.clock.now_us().saturating_sub(self.alive_us);
        if self.source.persistence() == Persistence::Reopens && silent_us >= duration_us(STALL_AFTER) {
            self.lose(DeviceError::Stalled(self.kind))
        } else {
            Step::Idle
        }
    }

    fn lose(&mut self, error: DeviceError) -> Step<T> {
        if self.source.persistence() == Persistence::Once {
            return Step::Failed(error);
        }
        let pause_us = duration_us(FIRST_RETRY);
        let retry_at_us = self.clock.now_us() + pause_us;
        // A device that opens, delivers nothing and fails again is still the same loss.
        let report = self.lost_since_us.is_none();
        self.lost_since_us.get_or_insert(self.alive_us);
        // Assigning drops the device, which releases it.
        self.state = State::Lost { error: Some(error.clone()), retry_at_us, pause_us };
        if report { Step::Lost(error) } else { Step::Idle }
    }

    fn reopen(&mut self) -> Step<T> {
        let outcome = self.source.open();
        let now_us = self.clock.now_us();
        let State::Lost { error, retry_at_us, pause_us } = &mut self.state else { return Step::Idle };
        match outcome {
            Ok(device) => {
                self.state = State::Open { device, held: None };
                self.alive_us = now_us;
                if std::mem::replace(&mut self.was_open, true) { Step::Idle } else { Step::Opened }
            }
            Err(_) if self.stop.is_requested() => Step::Idle,
            Err(new) if self.source.persistence() == Persistence::Once => Step::Failed(new),
            Err(new) => {
                *pause_us = (*pause_us * 2).min(duration_us(LONGEST_RETRY));
                *retry_at_us = now_us + *pause_us;
                let is_absent = matches!(new, DeviceError::NoDevice(_) | DeviceError::NotFound { .. });
                // That a device which was unplugged is not found is no news.
                if error.as_ref() == Some(&new) || self.was_open && is_absent {
                    return Step::Idle;
                }
                *error = Some(new.clone());
                if self.was_open { Step::Lost(new) } else { Step::NotOpened(new) }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use super::*;
    use crate::clock::SimulatedClock;
    use crate::error::DeviceKind::Camera;

    /// What the fake source does when it is opened: fail, or deliver a script and then block.
    type Script = Arc<Mutex<VecDeque<Result<VecDeque<Result<u32, DeviceError>>, DeviceError>>>>;

    struct Fake {
        script: Script,
        clock: Arc<SimulatedClock>,
        persistence: Persistence,
        opened_at_us: Arc<Mutex<Vec<u64>>>,
    }

    struct FakeDevice {
        items: VecDeque<Result<u32, DeviceError>>,
        clock: Arc<SimulatedClock>,
    }

    impl Device<u32> for FakeDevice {
        fn next(&mut self, patience: Duration) -> Result<Next<u32>, DeviceError> {
            match self.items.pop_front() {
                Some(Ok(item)) => Ok(Next::Ready(item)),
                Some(Err(error)) => Err(error),
                None => {
                    self.clock.advance_us(duration_us(patience));
                    Ok(Next::Nothing)
                }
            }
        }
    }

    impl Source<u32> for Fake {
        fn open(&mut self) -> Result<Box<dyn Device<u32>>, DeviceError> {
            self.opened_at_us.lock().unwrap().push(self.clock.now_us());
            let items = self.script.lock().unwrap().pop_front().unwrap_or(Err(DeviceError::Busy(Camera)))?;
            Ok(Box::new(FakeDevice { items, clock: Arc::clone(&self.clock) }))
        }

        fn persistence(&self) -> Persistence {
            self.persistence
        }

        fn name(&self) -> String {
            "fake".to_owned()
        }
    }

    struct Run {
        supervisor: Supervisor<u32>,
        clock: Arc<SimulatedClock>,
        opened_at_us: Arc<Mutex<Vec<u64>>>,
    }

    impl Run {
        fn new(
            persistence: Persistence,
            script: Vec<Result<Vec<Result<u32, DeviceError>>, DeviceError>>,
        ) -> Self {
            let clock = Arc::new(SimulatedClock::default());
            let opened_at_us = Arc::new(Mutex::new(Vec::new()));
            let script = script.into_iter().map(|open| open.map(VecDeque::from)).collect();
            let source = Fake {
                script: Arc::new(Mutex::new(script)),
                clock: Arc::clone(&clock),
                persistence,
                opened_at_us: Arc::clone(&opened_at_us),
            };
            let supervisor =
                Supervisor::open(Camera, Box::new(source), Arc::clone(&clock) as _, Stop::default()).unwrap();
            Self { supervisor, clock, opened_at_us }
        }

        /// Steps until something is told.
        fn told(&mut self) -> Step<u32> {
            for _ in 0..10_000 {
                match self.supervisor.step() {
                    Step::Idle => {}
                    step => return step,
                }
            }
            Step::Idle
        }
    }

    #[test]
    fn an_unplugged_camera_is_reported_once_and_restored_when_it_is_back() {
        let gone = || DeviceError::NotFound { kind: Camera, id: "fake".to_owned() };
        let mut run = Run::new(
            Persistence::Reopens,
            vec![
                Ok(vec![Ok(1), Err(DeviceError::Unplugged(Camera))]),
                Err(gone()),
                Err(gone()),
                Err(gone()),
                Err(gone()),
                Ok(vec![Ok(2)]),
            ],
        );
        assert!(matches!(run.told(), Step::Item(1)));
        assert!(matches!(run.told(), Step::Lost(DeviceError::Unplugged(Camera))));
        assert!(matches!(run.told(), Step::Restored { away_us: 5_750_000 }));
        assert!(matches!(run.told(), Step::Item(2)));
        let opened_ms: Vec<u64> = run.opened_at_us.lock().unwrap().iter().map(|us| us / 1000).collect();
        assert_eq!(opened_ms, [0, 250, 750, 1750, 3750, 5750], "doubling back-off, two seconds at most");
    }

    #[test]
    fn a_stalled_camera_is_reported_and_opened_again() {
        let mut run = Run::new(Persistence::Reopens, vec![Ok(vec![Ok(1)]), Ok(vec![]), Ok(vec![Ok(2)])]);
        assert!(matches!(run.told(), Step::Item(1)));
        assert!(matches!(run.told(), Step::Lost(DeviceError::Stalled(Camera))));
        assert_eq!(run.clock.now_us(), duration_us(STALL_AFTER));
        let Step::Restored { away_us } = run.told() else { panic!("restored") };
        assert!(away_us > 2 * duration_us(STALL_AFTER), "the second stall is part of the same loss");
    }

    #[test]
    fn a_new_reason_is_reported_and_an_old_one_is_not() {
        let mut run = Run::new(
            Persistence::Reopens,
            vec![
                Ok(vec![Err(DeviceError::Unplugged(Camera))]),
                Err(DeviceError::Busy(Camera)),
                Err(DeviceError::Busy(Camera)),
                Ok(vec![Ok(7)]),
            ],
        );
        assert!(matches!(run.told(), Step::Lost(DeviceError::Unplugged(Camera))));
        assert!(matches!(run.told(), Step::Lost(DeviceError::Busy(Camera))));
        assert!(matches!(run.told(), Step::Restored { .. }));
    }

    #[test]
    fn a_source_that_is_not_there_yet_is_told_once_and_opened_when_it_is() {
        let clock = Arc::new(SimulatedClock::default());
        let gone = || DeviceError::NotFound { kind: Camera, id: "fake".to_owned() };
        let script =
            vec![Err(gone()), Err(gone()), Err(DeviceError::Busy(Camera)), Ok(VecDeque::from([Ok(3)]))];
        let source = Fake {
            script: Arc::new(Mutex::new(script.into())),
            clock: Arc::clone(&clock),
            persistence: Persistence::Reopens,
            opened_at_us: Arc::default(),
        };
        let opened_at_us = Arc::clone(&source.opened_at_us);
        let supervisor =
            Supervisor::opening(Camera, Box::new(source), Arc::clone(&clock) as _, Stop::default());
        let mut run = Run { supervisor, clock, opened_at_us };
        assert!(matches!(run.told(), Step::NotOpened(error) if error == gone()));
        assert!(matches!(run.told(), Step::NotOpened(DeviceError::Busy(Camera))));
        assert!(matches!(run.told(), Step::Opened));
        assert!(matches!(run.told(), Step::Item(3)), "not a restoration: it was never lost");
        assert_eq!(run.opened_at_us.lock().unwrap().len(), 4);
    }

    #[test]
    fn a_slow_file_has_not_stalled_and_a_broken_one_is_final() {
        let broken = DeviceError::Failed { kind: Camera, detail: "broken".to_owned() };
        let mut run = Run::new(Persistence::Once, vec![Ok(vec![Ok(1)])]);
        assert!(matches!(run.told(), Step::Item(1)));
        assert!(matches!(run.told(), Step::Idle));
        let mut run = Run::new(Persistence::Once, vec![Ok(vec![Err(broken.clone())])]);
        assert!(matches!(run.told(), Step::Failed(error) if error == broken));
    }
}
