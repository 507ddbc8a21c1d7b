//! The handle to the actor: one method for each thing that the screen may ask for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use capture::{DeviceError, DeviceInfo, Inputs, MonotonicClock, Preview, devices};
use protocol::Secret;
use protocol::pairing::PairingLink;
use publisher::ServerAddress;
use publisher::connection::Fetched;
use serde::Deserialize;
use signing::SigningKey;
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use crate::actor::{Actor, Beginning, JOB_CAPACITY, Job, listen};
use crate::api::{
    ConnectionReport, DeviceList, DeviceOption, Invitation, Level, Problem, ProblemCode, RoomView,
    SessionPhase, SettingsChange, State, TokenChange,
};
use crate::local_server;
use crate::meter::SILENCE;
use crate::room::{self, Ask, Media, RoomOnServer};
use crate::settings::{Change, Overrides, load, save};
use crate::tokens::{Kept, TokenStore};
use crate::unfinished::Sender;

/// How often a server on this machine is looked for while none is set.
const LOCAL_SERVER_GLANCE: Duration = Duration::from_secs(5);

/// What an app begins with.
pub struct Options {
    /// Where settings are kept; need not exist yet.
    pub folder: PathBuf,
    /// Where sessions wait until the server has them; need not exist yet.
    pub spool: PathBuf,
    /// Where access tokens are kept.
    pub tokens: Arc<dyn TokenStore>,
    /// What holds for this run only.
    pub overrides: Overrides,
    /// What a person should know from the start.
    pub notices: Vec<Problem>,
    /// The ports of this machine on which a server is looked for while none is set.
    pub local_ports: Vec<u16>,
    /// The app's version.
    pub version: String,
}

impl Options {
    /// An app with its settings, and what the server does not have, in this folder, and the rest as the environment says; see
    /// [`Overrides::from_environment`]. `PORT` is where a server on this machine may listen beside 8000.
    pub fn from_environment(
        folder: PathBuf,
        tokens: Arc<dyn TokenStore>,
        version: &str,
        get: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let (overrides, notices) = Overrides::from_environment(&get);
        let port = get("PORT").and_then(|port| port.parse().ok());
        let mut local_ports: Vec<u16> = port.into_iter().chain([local_server::USUAL_PORT]).collect();
        local_ports.dedup();
        let spool = folder.join("spool");
        Self { folder, spool, tokens, overrides, notices, local_ports, version: version.to_owned() }
    }
}

/// What a person answers when the window was asked to close while a session is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseAnswer {
    /// Stop, send everything, then close.
    Finish,
    /// Go on.
    Keep,
}

/// A running app. Clones are the same app; it ends, and closes its devices, with the last of them.
#[derive(Clone)]
pub struct App {
    jobs: mpsc::Sender<Job>,
    state: watch::Receiver<State>,
    levels: watch::Receiver<Level>,
    room: watch::Receiver<Option<RoomView>>,
    room_asks: mpsc::Sender<Ask>,
    room_media: watch::Receiver<Option<Arc<Media>>>,
    may_close: watch::Receiver<bool>,
    preview: Preview,
    /// The wall clock at time 0 of the clock that frames are stamped by, in µs since 1970.
    clock_start_unix_us: u64,
    remembering: Arc<Mutex<Remembering>>,
}

/// What is written one after the other.
struct Remembering {
    folder: PathBuf,
    tokens: Arc<dyn TokenStore>,
}

impl App {
    /// Reads the settings and opens the devices. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`Problem`] when the system refuses a thread.
    pub fn start(options: Options) -> Result<Self, Problem> {
        let Options { folder, spool, tokens, overrides, mut notices, local_ports, version } = options;
        let clock = Arc::new(MonotonicClock::start());
        let clock_start_unix_us = unix_us();
        let (inputs, events) = Inputs::start(clock).map_err(|error| Problem::from(&error))?;
        let (choices, notice) = load(&folder);
        notices.extend(notice);
        for notice in &notices {
            tracing::warn!("{}", notice.message);
        }
        let (jobs, queue) = mpsc::channel::<Job>(JOB_CAPACITY);
        let (level, levels) = watch::channel(SILENCE);
        let refused = |error| {
            let message = format!("The system refuses to start a thread: {error}. Close other programs.");
            Problem::passing(ProblemCode::Internal, message)
        };
        listen(events, jobs.downgrade(), level).map_err(refused)?;
        let preview = inputs.preview();
        let device_key = device_key(&folder)?;
        let sender = Sender {
            jobs: jobs.downgrade(),
            spool: spool.clone(),
            tokens: Arc::clone(&tokens),
            own_authority: overrides.own_authority.clone(),
            device_key: Arc::clone(&device_key),
        };
        let beginning = Beginning { inputs, spool, choices, overrides, notices, device_key, version };
        let mut actor = Actor::new(beginning, jobs.downgrade());
        actor.open_inputs();
        let visit = room::Outlets::default();
        let (room_asks, asks) = mpsc::channel(room::ASK_CAPACITY);
        let app = Self {
            room: visit.view.subscribe(),
            room_asks,
            room_media: visit.media.subscribe(),
            state: actor.state(),
            may_close: actor.may_close(),
            levels,
            preview,
            clock_start_unix_us,
            remembering: Arc::new(Mutex::new(Remembering { folder, tokens: Arc::clone(&tokens) })),
            jobs: jobs.clone(),
        };
        if let Ok(address) = actor.address() {
            tokio::spawn(find_token(jobs.downgrade(), tokens, address.to_string()));
        }
        tokio::spawn(find_local_server(jobs.downgrade(), app.state.clone(), local_ports));
        tokio::spawn(sender.run(app.state.clone()));
        tokio::spawn(room::run(actor.visits(), asks, visit));
        tokio::spawn(actor.run(queue));
        Ok(app)
    }

    /// Everything that the screen shows, as it changes.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// The room on the server, as it changes; none while it is not visited.
    #[must_use]
    pub fn room(&self) -> watch::Receiver<Option<RoomView>> {
        self.room.clone()
    }

    /// How loud the microphone is, thirty times a second.
    #[must_use]
    pub fn levels(&self) -> watch::Receiver<Level> {
        self.levels.clone()
    }

    /// Where the newest picture can be fetched.
    #[must_use]
    pub fn preview(&self) -> Preview {
        self.preview.clone()
    }

    /// The wall clock at a frame's time of capture, in µs since 1970.
    #[must_use]
    pub const fn unix_us(&self, capture_us: u64) -> u64 {
        self.clock_start_unix_us + capture_us
    }

    /// The devices of this machine, as they are now.
    ///
    /// # Errors
    /// [`ProblemCode::Internal`].
    pub async fn devices(&self) -> Result<DeviceList, Problem> {
        outside(|| {
            let (cameras, camera_problem) = options(devices::cameras());
            let (microphones, microphone_problem) = options(devices::microphones());
            DeviceList { cameras, camera_problem, microphones, microphone_problem }
        })
        .await
    }

    /// Begins a session.
    ///
    /// # Errors
    /// No usable server is set, one is not finished yet, or an encoder cannot be set up.
    pub async fn start_session(&self) -> Result<(), Problem> {
        self.call(Actor::start).await?
    }

    /// Ends the session; what the server does not have yet is still sent.
    ///
    /// # Errors
    /// [`ProblemCode::NotNow`].
    pub async fn stop(&self) -> Result<(), Problem> {
        self.call(Actor::stop).await?
    }

    /// Connects at once where something has stopped or delayed that.
    ///
    /// # Errors
    /// [`ProblemCode::NotNow`].
    pub async fn reconnect(&self) -> Result<(), Problem> {
        self.call(|actor| actor.reconnect()).await?
    }

    /// Forgets the summary of the last session. One that is still finishing ends, and its summary tells what is missing:
    /// that waits on this device, and is sent later.
    ///
    /// # Errors
    /// [`ProblemCode::NotNow`] while a session runs.
    pub async fn dismiss(&self) -> Result<(), Problem> {
        self.call(Actor::dismiss).await?
    }

    /// Forgets the notices of this code.
    ///
    /// # Errors
    /// [`ProblemCode::Internal`].
    pub async fn dismiss_notice(&self, code: ProblemCode) -> Result<(), Problem> {
        self.call(move |actor| actor.dismiss_notice(code)).await
    }

    /// Sends silence instead of sound, or sound again.
    ///
    /// # Errors
    /// [`ProblemCode::Internal`].
    pub async fn set_muted(&self, muted: bool) -> Result<(), Problem> {
        self.call(move |actor| actor.set_muted(muted)).await
    }

    /// Releases the camera and sends dark pictures, or opens it again.
    ///
    /// # Errors
    /// [`ProblemCode::Internal`].
    pub async fn set_camera_on(&self, on: bool) -> Result<(), Problem> {
        self.call(move |actor| actor.set_camera_on(on)).await
    }

    /// Changes settings and remembers them. What a session can take over while it runs, it does.
    ///
    /// # Errors
    /// A setting is unusable, and nothing is changed; or the change holds and cannot be remembered.
    pub async fn change_settings(&self, change: SettingsChange) -> Result<(), Problem> {
        let change = Change::try_from(change)?;
        // One after the other, so that what is remembered last is what was changed last.
        let remembering = self.remembering.lock().await;
        let token = self.token_after(&change, &remembering.tokens).await?;
        let choices = self.call(move |actor| actor.change(change, token)).await?;
        let folder = remembering.folder.clone();
        outside(move || save(&folder, &choices)).await?
    }

    /// What comes of the access token: none when it stays as it is.
    async fn token_after(
        &self,
        change: &Change,
        tokens: &Arc<dyn TokenStore>,
    ) -> Result<Option<Option<Kept>>, Problem> {
        let server = match &change.server {
            Some(Some(server)) => server.parse().map_err(|error| Problem::from(&error)),
            // The token goes with its server, but is still kept for it.
            Some(None) => return Ok(Some(None)),
            None if change.token.is_none() => return Ok(None),
            None => self.call(|actor| actor.address()).await?,
        };
        let (server, tokens) = (server?.to_string(), Arc::clone(tokens));
        let found = match change.token.clone() {
            Some(token) => {
                outside(move || {
                    let place = tokens.save(&server, token.as_ref())?;
                    Ok(token.map(|token| Kept { token, place }))
                })
                .await?
            }
            None => outside(move || tokens.load(&server)).await?,
        };
        found.map(Some).map_err(|error: crate::TokenError| {
            let message = format!("The access token cannot be kept: {error}.");
            Problem::new(ProblemCode::SettingsUnusable, message)
        })
    }

    /// Tests whether a session could be sent to this server, as it was typed, with this token; with the one that is
    /// kept for the server when none is given.
    ///
    /// # Errors
    /// [`ProblemCode::Internal`]; what is wrong with the connection stands in the report.
    pub async fn test_connection(
        &self,
        server: &str,
        token: Option<Secret>,
    ) -> Result<ConnectionReport, Problem> {
        let given = self.call(|actor| actor.own_authority()).await?;
        let token = match token {
            Some(token) => Some(token),
            None => self.token_of(server).await?,
        };
        let report = publisher::connection::test(server, token.as_ref(), given.as_deref()).await;
        Ok(report.into())
    }

    /// Visits the room, also without a session; tries again where the visit is over or waits.
    ///
    /// # Errors
    /// [`ProblemCode::NoServer`], [`ProblemCode::BadAddress`].
    pub async fn open_room(&self) -> Result<(), Problem> {
        self.call(|actor| {
            actor.show_room(true);
            actor.room_on_server().map(drop)
        })
        .await??;
        self.room_asks.send(Ask::Again).await.map_err(|_| ended())
    }

    /// Leaves the room, unless a session runs: that goes on being told what is said there.
    ///
    /// # Errors
    /// [`ProblemCode::Internal`].
    pub async fn close_room(&self) -> Result<(), Problem> {
        self.call(|actor| actor.show_room(false)).await
    }

    /// Says something in the room's chat.
    ///
    /// # Errors
    /// [`ProblemCode::NotNow`] without a connection to the room, [`ProblemCode::BadSetting`] for a text that is none. What the server
    /// refuses stands in [`RoomView::refusal`].
    pub async fn say(&self, text: String) -> Result<(), Problem> {
        let (answer, answered) = oneshot::channel();
        self.room_asks.send(Ask::Say { text, answer }).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }

    /// Gets a playlist, or media, of another session of the room that is visited: `address` is a path below the server's own, with
    /// its query, as the server's playlists list it. None for anything else, and when no answer comes.
    pub async fn room_media(&self, address: &str) -> Option<Fetched> {
        let session = room::session_of(address)?;
        let is_there = |room: &RoomView| room.sessions.iter().any(|one| one.id == session);
        let is_there = self.room.borrow().as_ref().is_some_and(is_there);
        let media = self.room_media.borrow().clone().filter(|_| is_there)?;
        media.get(address).await
    }

    /// Makes a link by which others watch the room that the app records to.
    ///
    /// # Errors
    /// [`ProblemCode::NoServer`]; else what stands between the app and its server.
    pub async fn invite(&self) -> Result<Invitation, Problem> {
        let whom = self.call(|actor| actor.room_on_server()).await??;
        let RoomOnServer { server, room, token, own_authority } = whom;
        let invited =
            publisher::connection::invite(&server, &room, token.as_ref(), own_authority.as_deref()).await;
        Ok(invited.map_err(|error| Problem::from(&error))?.into())
    }

    /// The token for a server, as it was typed.
    async fn token_of(&self, server: &str) -> Result<Option<Secret>, Problem> {
        let Ok(address) = server.parse::<ServerAddress>() else { return Ok(None) };
        let name = address.to_string();
        let current = self.call(move |actor| actor.token_if_current(&address)).await?;
        if current.is_some() {
            return Ok(current);
        }
        let tokens = Arc::clone(&self.remembering.lock().await.tokens);
        let kept = outside(move || tokens.load(&name)).await?;
        // Without a token the test tells whether one is needed.
        Ok(kept.ok().flatten().map(|kept| kept.token))
    }

    /// Takes server, token and room from a pairing link.
    ///
    /// # Errors
    /// [`ProblemCode::BadPairingLink`]; else as [`change_settings`](Self::change_settings).
    pub async fn pair(&self, link: &str) -> Result<(), Problem> {
        let link: PairingLink = link.parse().map_err(|error| Problem::from(&error))?;
        let token = link.token.map(|token| TokenChange::Set(token.expose().to_owned()));
        let (server, room) = (Some(link.server), link.room.map(String::from));
        self.change_settings(SettingsChange { server, token, room, ..SettingsChange::default() }).await
    }

    /// As [`pair`](Self::pair), for a link that was opened elsewhere, such as on a web page: the person is told what it
    /// has changed, or why it cannot be used.
    pub async fn pair_by_link(&self, link: &str) {
        let notice = match self.pair(link).await {
            Ok(()) => {
                let settings = self.state.borrow().settings.clone();
                let server = settings.server.unwrap_or_default();
                let message = format!("A link has set the server to {server}, room {}.", settings.room);
                Problem::new(ProblemCode::PairedByLink, message)
            }
            Err(problem) => problem,
        };
        // Without an actor there is nobody to tell.
        self.call(move |actor| actor.add_notice(notice)).await.ok();
    }

    /// Takes the server that was found on this machine.
    ///
    /// # Errors
    /// [`ProblemCode::NoServer`] when none was; else as [`change_settings`](Self::change_settings).
    pub async fn use_local_server(&self) -> Result<(), Problem> {
        let server = self.call(|actor| actor.found_server()).await??;
        self.change_settings(SettingsChange { server: Some(server), ..SettingsChange::default() }).await
    }

    /// Whether the window may close at once, as nothing is recorded or still being sent.
    #[must_use]
    pub fn may_close(&self) -> bool {
        let state = self.state.borrow();
        let is_over =
            |phase: &SessionPhase| matches!(phase, SessionPhase::Complete | SessionPhase::Incomplete { .. });
        *self.may_close.borrow() || state.session.as_ref().is_none_or(|session| is_over(&session.phase))
    }

    /// The window was asked to close, and [must not at once](Self::may_close): the screen asks the person.
    pub fn ask_to_close(&self) {
        // A full queue means that the person asks again.
        self.jobs.try_send(Box::new(Actor::ask_to_close)).ok();
    }

    /// What the person answers.
    ///
    /// # Errors
    /// [`ProblemCode::Internal`].
    pub async fn close(&self, answer: CloseAnswer) -> Result<(), Problem> {
        self.call(move |actor| actor.close(answer)).await
    }

    /// Returns once the window may close after the person wanted it to; never, if the app ends otherwise.
    pub async fn closed(&self) {
        if self.may_close.clone().wait_for(|may_close| *may_close).await.is_err() {
            std::future::pending().await
        }
    }

    /// Runs a job on the actor's task and waits for its result.
    async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Actor) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |actor| {
            // Whoever asked may have lost interest.
            answer.send(job(actor)).ok();
        });
        self.jobs.send(job).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())
    }
}

fn ended() -> Problem {
    Problem::new(ProblemCode::Internal, "The app has a fault. Close it and open it again.")
}

/// Does what blocks where that is allowed.
async fn outside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|_| ended())
}

fn options(listed: Result<Vec<DeviceInfo>, DeviceError>) -> (Vec<DeviceOption>, Option<Problem>) {
    let option = |device: DeviceInfo| DeviceOption { id: device.id, name: device.name };
    match listed {
        Ok(devices) => (devices.into_iter().map(option).collect(), None),
        Err(error) => (Vec::new(), Some(Problem::from(&error))),
    }
}

/// Fetches the token that was kept for the server, which may take as long as a person needs to unlock a keyring.
async fn find_token(jobs: mpsc::WeakSender<Job>, tokens: Arc<dyn TokenStore>, server: String) {
    let name = server.clone();
    let found = outside(move || tokens.load(&name)).await;
    let Some(jobs) = jobs.upgrade() else { return };
    let job: Job = match found {
        Ok(Ok(token)) => Box::new(move |actor| actor.token_found(&server, token)),
        Ok(Err(error)) => {
            let message =
                format!("The access token cannot be fetched: {error}. Enter it again in the settings.");
            Box::new(move |actor| actor.add_notice(Problem::new(ProblemCode::SettingsUnusable, message)))
        }
        Err(problem) => Box::new(move |actor| actor.add_notice(problem)),
    };
    jobs.send(job).await.ok();
}

/// Looks for a server on this machine until one is found, one is set, or the app ends.
async fn find_local_server(jobs: mpsc::WeakSender<Job>, mut state: watch::Receiver<State>, ports: Vec<u16>) {
    loop {
        if state.wait_for(|state| state.settings.server.is_none()).await.is_err() {
            return;
        }
        let ports = ports.clone();
        let found = outside(move || local_server::find(&ports)).await;
        let Some(jobs) = jobs.upgrade() else { return };
        if let Ok(found @ Some(_)) = found {
            jobs.send(Box::new(move |actor| actor.local_server_found(found))).await.ok();
            return;
        }
        drop(jobs);
        tokio::time::sleep(LOCAL_SERVER_GLANCE).await;
    }
}

fn unix_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// The key that this device signs with. A folder that cannot be written to must not keep anybody from recording.
fn device_key(folder: &Path) -> Result<Arc<SigningKey>, Problem> {
    let key = SigningKey::load_or_create(&folder.join("device.key")).or_else(|error| {
        tracing::warn!("{error}; until the app is closed, sessions are signed with a key of their own");
        SigningKey::generate()
    });
    key.map(Arc::new).map_err(|error| Problem::new(ProblemCode::Internal, error.to_string()))
}
