//! The thin layer between a track's state machine and the world: it owns the socket and the clock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use protocol::{Secret, Track};
use tokio::sync::{Notify, broadcast, watch};

use crate::audio_state::SharedAudioState;
use crate::rate::Target;
use crate::socket::{Endpoint, Socket};
use crate::spool::disk::SessionFolder;
use crate::status::{Phase, Status};
use crate::track::{Command, Tell, TrackMachine};

/// While nothing but figures changes, the status is published this often.
const STATUS_INTERVAL: Duration = Duration::from_millis(200);

/// One track, shared by its driver and by whoever pushes units. The lock is held for the length of
/// one input or output, never across a wait: pushing does not depend on the network.
pub(crate) struct SharedTrack {
    pub(crate) track: Track,
    machine: Mutex<TrackMachine>,
    wake: Notify,
    epoch: Instant,
    token: Mutex<Option<Secret>>,
}

impl SharedTrack {
    pub(crate) fn new(track: Track, machine: TrackMachine, token: Option<Secret>) -> Self {
        let (machine, token) = (Mutex::new(machine), Mutex::new(token));
        Self { track, machine, wake: Notify::new(), epoch: Instant::now(), token }
    }

    /// Gives the machine an input, at the present time, and wakes the driver.
    pub(crate) fn input<R>(&self, input: impl FnOnce(&mut TrackMachine, Duration) -> R) -> R {
        let result = self.with(input);
        self.wake.notify_one();
        result
    }

    pub(crate) fn set_token(&self, token: Option<Secret>) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }

    /// Asks the machine without waking the driver.
    pub(crate) fn with<R>(&self, ask: impl FnOnce(&mut TrackMachine, Duration) -> R) -> R {
        let mut machine = self.lock();
        ask(&mut machine, self.epoch.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, TrackMachine> {
        // A panic inside the machine would leave its state unsure, but units are still better sent than not.
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn token(&self) -> Option<Secret> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What a driver tells besides.
#[derive(Clone)]
pub(crate) struct Outlets {
    pub(crate) status: Arc<watch::Sender<Status>>,
    pub(crate) tells: broadcast::Sender<(Track, Tell)>,
    pub(crate) audio_state: Arc<SharedAudioState>,
    /// The session's folder, if its spool is on disk.
    pub(crate) folder: Option<Arc<SessionFolder>>,
}

/// Runs a track until it is complete. Ends early only with its task.
pub(crate) async fn drive(shared: Arc<SharedTrack>, endpoint: Endpoint, mut outlets: Outlets) {
    let mut socket = Socket::Absent;
    let mut shown: Option<Shown> = None;
    loop {
        // Messages come first: when the server's limits forbid one, a command follows.
        if socket.is_writable()
            && let Some((frame, ping)) = shared.with(|machine, now| {
                let frame = machine.poll_frame(now)?;
                Some((frame, machine.poll_ping(now)))
            })
        {
            socket.write(frame, ping);
        }
        while let Some(command) = shared.with(|machine, _| machine.poll_command()) {
            match command {
                Command::Connect => {
                    socket = Socket::open(Endpoint { token: shared.token(), ..endpoint.clone() });
                }
                // The last goodbye is waited for, because the program may end when the track is complete.
                Command::Disconnect if shared.with(|machine, _| machine.completion()).is_some() => {
                    socket.leave().await;
                }
                Command::Disconnect => drop(tokio::spawn(socket.leave())),
                Command::Tell(tell) => tell_outside(&outlets, shared.track, tell),
            }
        }
        if shared.with(|machine, _| machine.completion()).is_some()
            && let Some(folder) = outlets.folder.take()
        {
            // Before anybody is told, so that whoever waits for the end finds no folder. A panic in it was told.
            let track = shared.track;
            tokio::task::spawn_blocking(move || folder.complete(track)).await.ok();
        }
        if show(&shared, &outlets, &mut shown) == Phase::Complete {
            return;
        }
        let due = shared.with(|machine, now| {
            match shared.track {
                Track::Audio => outlets.audio_state.set(machine.audio_state(now)),
                Track::Video => machine.make_room(now, outlets.audio_state.get()),
            }
            machine.next_timeout()
        });
        let sleep = async {
            match due {
                Some(due) => tokio::time::sleep_until((shared.epoch + due).into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = socket.next() => if let Some(event) = event {
                shared.with(|machine, now| machine.socket(now, event));
            },
            () = shared.wake.notified() => {}
            () = sleep => shared.with(TrackMachine::timeout),
        }
    }
}

fn tell_outside(outlets: &Outlets, track: Track, tell: Tell) {
    if let Tell::Viewers(count) = tell {
        outlets.status.send_modify(|status| status.viewers = Some(count));
    }
    // Nobody listening is fine.
    outlets.tells.send((track, tell)).ok();
}

/// What was published last, and when.
struct Shown {
    phase: Phase,
    target: Option<Target>,
    at: Instant,
}

/// Publishes the status if the phase or the encoder's target changed, or if it is time. Returns the present phase.
fn show(shared: &SharedTrack, outlets: &Outlets, shown: &mut Option<Shown>) -> Phase {
    let status = shared.with(|machine, _| machine.status());
    let phase = status.phase.clone();
    let now = Instant::now();
    let is_news = shown.as_ref().is_none_or(|shown| {
        shown.phase != phase || shown.target != status.target || now - shown.at >= STATUS_INTERVAL
    });
    if is_news {
        log_change(shared.track, shown.as_ref().map(|shown| &shown.phase), &phase);
        *shown = Some(Shown { phase: phase.clone(), target: status.target, at: now });
        outlets.status.send_modify(|all| *all.track_mut(shared.track) = Some(status));
    }
    phase
}

fn log_change(track: Track, before: Option<&Phase>, phase: &Phase) {
    if before == Some(phase) {
        return;
    }
    match phase {
        Phase::Offline { reason, .. } => tracing::warn!(%track, reason, "offline; units are kept here"),
        Phase::NeedsYou(error) => tracing::warn!(%track, %error, "the server refuses"),
        phase => tracing::info!(%track, "{}", phase.name()),
    }
}
