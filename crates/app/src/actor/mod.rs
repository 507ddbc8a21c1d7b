//! The one task that owns the devices, the session that runs and the settings.
//!
//! It is told what to do by jobs: closures that the [`App`](crate::App) handle sends it, and that run one after the
//! other. No job waits for anything; what takes long, such as a keyring or a list of devices, is done outside and
//! brings its result back as a job.

mod inputs;
mod recording;
mod wishes;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use capture::Inputs;
use publisher::ServerAddress;
use signing::SigningKey;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use self::inputs::Slot;
pub(crate) use self::inputs::listen;
use self::recording::Recording;
use crate::api::{Problem, ProblemCode, Session, Settings, State, Unfinished};
use crate::room::Wanted;
use crate::settings::{Choices, Overrides, presets};
use crate::tokens::{Kept, KeptIn};

/// Something to do, by the actor's task.
pub(crate) type Job = Box<dyn FnOnce(&mut Actor) + Send>;

/// Jobs that wait; more makes whoever has one wait.
pub(crate) const JOB_CAPACITY: usize = 64;

/// How often figures are looked at and published while a session is open.
const GLANCE: Duration = Duration::from_millis(100);

/// What the actor begins with.
pub(crate) struct Beginning {
    pub(crate) inputs: Inputs,
    /// The folder in which sessions wait until the server has them.
    pub(crate) spool: PathBuf,
    pub(crate) choices: Choices,
    pub(crate) overrides: Overrides,
    pub(crate) notices: Vec<Problem>,
    pub(crate) device_key: Arc<SigningKey>,
    pub(crate) version: String,
}

/// The task's state.
pub(crate) struct Actor {
    /// For what is done outside. Weak, as the actor ends with its last handle.
    jobs: mpsc::WeakSender<Job>,
    inputs: Inputs,
    spool: PathBuf,
    camera: Slot,
    microphone: Slot,
    recording: Option<Recording>,
    /// The summary of the last session, until it is dismissed.
    ended: Option<Session>,
    unfinished: Vec<Unfinished>,
    choices: Choices,
    overrides: Overrides,
    token: Option<Kept>,
    local_server: Option<String>,
    notices: Vec<Problem>,
    closing: bool,
    /// The person wants the window closed once everything is on the server.
    closes_when_complete: bool,
    may_close: watch::Sender<bool>,
    device_key: Arc<SigningKey>,
    version: String,
    state: watch::Sender<State>,
    /// A person looks at the room.
    room_open: bool,
    /// The visit to the room that shall be.
    visit: watch::Sender<Option<Wanted>>,
}

impl Actor {
    /// Nothing is opened yet.
    pub(crate) fn new(beginning: Beginning, jobs: mpsc::WeakSender<Job>) -> Self {
        let Beginning { inputs, spool, choices, overrides, notices, device_key, version } = beginning;
        let camera = Slot::new(overrides.camera.as_ref().unwrap_or(&choices.camera));
        let microphone = Slot::new(overrides.microphone.as_ref().unwrap_or(&choices.microphone));
        let state = State {
            camera: camera.shown(),
            microphone: microphone.shown(),
            session: None,
            unfinished: Vec::new(),
            settings: settings(&choices, &overrides, None),
            presets: presets(),
            local_server: None,
            notices: notices.clone(),
            closing: false,
            version: version.clone(),
        };
        Self {
            jobs,
            inputs,
            spool,
            camera,
            microphone,
            recording: None,
            ended: None,
            unfinished: Vec::new(),
            choices,
            overrides,
            token: None,
            local_server: None,
            notices,
            closing: false,
            closes_when_complete: false,
            may_close: watch::Sender::new(false),
            device_key,
            version,
            state: watch::Sender::new(state),
            room_open: false,
            visit: watch::Sender::new(None),
        }
    }

    /// Where the state is published.
    pub(crate) fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Where the visit is published that shall be.
    pub(crate) fn visits(&self) -> watch::Receiver<Option<Wanted>> {
        self.visit.subscribe()
    }

    /// Becomes true once the window may close after all.
    pub(crate) fn may_close(&self) -> watch::Receiver<bool> {
        self.may_close.subscribe()
    }

    /// Runs until nobody has a handle any more.
    pub(crate) async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut glances = tokio::time::interval(GLANCE);
        glances.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                job = jobs.recv() => match job {
                    Some(job) => job(&mut self),
                    None => return,
                },
                () = recording::phase_change(&mut self.recording) => {}
                _ = glances.tick(), if self.recording.is_some() => {
                    if let Some(recording) = &mut self.recording {
                        recording.look();
                    }
                }
            }
            self.stop_if_full();
            self.conclude();
            self.publish();
        }
    }

    /// Publishes the state, and the visit that shall be, if they are others than before.
    fn publish(&self) {
        let wanted = self.wanted_visit();
        self.visit.send_if_modified(|visit| {
            let is_same = match (&*visit, &wanted) {
                (Some(before), Some(wanted)) => before.is(wanted),
                (before, wanted) => before.is_none() && wanted.is_none(),
            };
            if !is_same {
                *visit = wanted;
            }
            !is_same
        });
        let state = State {
            camera: self.camera.shown(),
            microphone: self.microphone.shown(),
            session: self.recording.as_ref().map(Recording::shown).or_else(|| self.ended.clone()),
            unfinished: self.unfinished.clone(),
            settings: settings(&self.choices, &self.overrides, self.token.as_ref()),
            presets: presets(),
            local_server: self.local_server.clone().filter(|_| self.server().is_none()),
            notices: self.notices.clone(),
            closing: self.closing,
            version: self.version.clone(),
        };
        self.state.send_if_modified(|published| {
            let is_news = *published != state;
            *published = state;
            is_news
        });
    }

    /// Does something elsewhere and brings the result back.
    fn outside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
        then: impl FnOnce(&mut Self, T) + Send + 'static,
    ) {
        let jobs = self.jobs.clone();
        tokio::task::spawn_blocking(move || {
            let result = work();
            // Without an actor nobody wants the result.
            if let Some(jobs) = jobs.upgrade() {
                jobs.blocking_send(Box::new(|actor| then(actor, result))).ok();
            }
        });
    }

    /// Tells a person something, once.
    fn notice(&mut self, problem: Problem) {
        if !self.notices.contains(&problem) {
            self.notices.push(problem);
        }
    }

    /// The server that counts, as it was typed.
    fn server(&self) -> Option<&String> {
        self.overrides.server.as_ref().or(self.choices.server.as_ref())
    }

    /// The server that counts.
    ///
    /// # Errors
    /// None is set, or it is none.
    pub(crate) fn address(&self) -> Result<ServerAddress, Problem> {
        let Some(server) = self.server() else {
            let message = "No server is set. Enter its address in the settings, or paste a pairing link.";
            return Err(Problem::new(ProblemCode::NoServer, message));
        };
        server.parse().map_err(|error| Problem::from(&error))
    }
}

/// The settings as they are shown: with what this run overrides.
fn settings(choices: &Choices, overrides: &Overrides, kept: Option<&Kept>) -> Settings {
    let choices = choices.clone();
    Settings {
        server: overrides.server.clone().or(choices.server),
        has_token: overrides.token.is_some() || kept.is_some(),
        token_in_keyring: kept.is_some_and(|kept| kept.place == KeptIn::Keyring),
        room: overrides.room.clone().unwrap_or(choices.room).into(),
        alias: choices.alias,
        camera: overrides.camera.clone().unwrap_or(choices.camera),
        microphone: overrides.microphone.clone().unwrap_or(choices.microphone),
        quality: choices.quality,
        when_slow: choices.when_slow,
        spool_bytes: choices.spool_bytes,
        when_full: choices.when_full,
        mirrored: choices.mirrored,
    }
}
