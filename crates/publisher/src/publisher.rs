//! A session's two tracks as one handle.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::codec::Params;
use protocol::control::{Device, EventKind};
use protocol::digest::TrackDigest;
use protocol::unit::Unit;
use protocol::{ResumeKey, RoomName, Secret, SessionId, Track, UnitRanges};
use signing::SigningKey;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

use crate::address::{AddressError, ServerAddress};
use crate::audio_state::SharedAudioState;
use crate::driver::{Outlets, SharedTrack, drive};
use crate::latency::Latency;
use crate::rate;
use crate::socket::Endpoint;
use crate::spool::disk::{self, MemoryBytes, Reopened, SessionFolder, SpoolError};
use crate::spool::{MemorySpool, Overflow, Spool};
use crate::status::{Phase, Status, TrackStatus};
use crate::tls::{self, TlsError};
use crate::track::{Identity, Pace, PushError, Tell, TrackMachine};

/// What the server tells and nobody has listened to yet; the oldest is dropped first.
const TELL_CAPACITY: usize = 64;

/// How a session is published.
#[derive(Debug, Clone)]
pub struct Config {
    /// The server.
    pub server: ServerAddress,
    /// The access token, if the server wants one.
    pub token: Option<Secret>,
    /// A PEM file with the certificate of an authority of one's own.
    pub own_authority: Option<PathBuf>,
    /// The session.
    pub identity: Identity,
    /// Where what is not acknowledged waits.
    pub storage: Storage,
    /// The picture's queue and socket.
    pub video: TrackSettings,
    /// The sound's queue and socket.
    pub audio: TrackSettings,
    /// What the encoder of the picture makes, and what it does when the network carries less; none when nothing can be
    /// said to it.
    pub rate: Option<rate::Settings>,
}

/// Where what is not acknowledged waits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Storage {
    /// In memory: it ends with the program.
    #[default]
    Memory,
    /// On disk, where it survives the program.
    Disk(disk::Settings),
}

/// How what an earlier program left is sent.
#[derive(Debug, Clone)]
pub struct ResumeConfig {
    /// Another address of the session's server; none for the one that it was sent to.
    pub server: Option<ServerAddress>,
    /// The access token, if the server wants one.
    pub token: Option<Secret>,
    /// A PEM file with the certificate of an authority of one's own.
    pub own_authority: Option<PathBuf>,
    /// The key that this device signs with.
    pub device_key: Arc<SigningKey>,
}

/// One track's queue and socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackSettings {
    /// How much may wait in memory, in bytes; with a spool on disk, while that refuses. When it is full, the oldest
    /// GOP (video) or the oldest packets (audio) are given up.
    pub spool_bytes: u64,
    /// The socket's times and sizes.
    pub pace: Pace,
}

impl TrackSettings {
    /// The defaults of a track: 128 MiB of video (over 8 minutes at 2 Mbit/s), or 8 MiB of audio (over 10 minutes).
    #[must_use]
    pub const fn of(track: Track) -> Self {
        let spool_bytes = match track {
            Track::Video => 128 * 1024 * 1024,
            Track::Audio => 8 * 1024 * 1024,
        };
        Self { spool_bytes, pace: Pace::of(track) }
    }
}

impl Config {
    /// A session with the defaults, without a token.
    #[must_use]
    pub const fn new(server: ServerAddress, identity: Identity) -> Self {
        let (video, audio) = (TrackSettings::of(Track::Video), TrackSettings::of(Track::Audio));
        Self {
            server,
            token: None,
            own_authority: None,
            identity,
            storage: Storage::Memory,
            video,
            audio,
            rate: None,
        }
    }

    fn folder(&self, tracks: &[Track]) -> Result<Option<SessionFolder>, SpoolError> {
        let Storage::Disk(settings) = &self.storage else { return Ok(None) };
        let memory = MemoryBytes { video: self.video.spool_bytes, audio: self.audio.spool_bytes };
        SessionFolder::begin(settings, memory, &self.server, &self.identity, tracks).map(Some)
    }

    fn machine(&self, track: Track, folder: Option<&SessionFolder>, seed: u64) -> TrackMachine {
        let (settings, overflow) = match track {
            Track::Video => (self.video, Overflow::OldestGop),
            Track::Audio => (self.audio, Overflow::OldestUnit),
        };
        let on_disk = folder.and_then(|folder| folder.spool(track));
        let in_memory = || Box::new(MemorySpool::new(settings.spool_bytes, overflow)) as Box<dyn Spool>;
        let spool = on_disk.unwrap_or_else(in_memory);
        let mut machine = TrackMachine::new(track, self.identity.clone(), settings.pace, spool, seed);
        if let (Track::Video, Some(rate)) = (track, self.rate) {
            machine.follow_network(rate);
        }
        machine
    }
}

/// Why publishing cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The system gives no randomness for a resume key.
    #[error("the system has no secure source of randomness")]
    NoRandomness,
    /// The address that a session was sent to is none.
    #[error("the session was sent to {server}, which is no address: {error}; give another")]
    Address {
        /// What was found.
        server: String,
        /// What is wrong.
        error: AddressError,
    },
    /// The session's folder cannot be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

impl Identity {
    /// A new session of this device that starts at this wall clock time, with an id and a resume key of its own.
    ///
    /// # Errors
    /// [`StartError::NoRandomness`].
    pub fn begin(
        room: RoomName,
        device: Device,
        started_unix_ms: u64,
        device_key: Arc<SigningKey>,
    ) -> Result<Self, StartError> {
        let id = tls::secure_random().ok_or(StartError::NoRandomness)?;
        let key = tls::secure_random().ok_or(StartError::NoRandomness)?;
        Ok(Self {
            session: SessionId::v7(started_unix_ms, id),
            resume_key: ResumeKey::from_bytes(key),
            room,
            device,
            started_unix_ms,
            device_key,
        })
    }
}

/// A session that is being published. Dropping it aborts: units that are not durable on the server are lost, if they
/// are in memory only; with a spool on disk they can be resumed.
pub struct Publisher {
    identity: Identity,
    folder: Option<Arc<SessionFolder>>,
    tracks: Vec<TrackHandle>,
    tasks: Vec<JoinHandle<()>>,
    status: Arc<watch::Sender<Status>>,
    tells: broadcast::Sender<(Track, Tell)>,
}

/// Takes one track's units. Cheap to clone; its methods may be called on any thread and never wait for
/// the network.
#[derive(Clone)]
pub struct TrackHandle(Arc<SharedTrack>);

/// How a session stands or ended, per track.
#[derive(Debug, Clone)]
pub struct Report {
    /// One for each track that the session has.
    pub tracks: Vec<TrackReport>,
}

/// How a track stands or ended.
#[derive(Debug, Clone)]
pub struct TrackReport {
    /// The track.
    pub track: Track,
    /// Its last status.
    pub status: TrackStatus,
    /// Units that were given up.
    pub lost: UnitRanges,
    /// The digest that the server agreed on, once the track is complete.
    pub digest: Option<TrackDigest>,
    /// How long units took from being written to being acknowledged.
    pub ack_latency: Latency,
}

impl TrackReport {
    /// Whether the server has said that the track is complete, and has every unit.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.status.phase == Phase::Complete && self.status.counters.lost_units == 0
    }
}

impl Report {
    /// The tracks' statuses, without what the server told besides.
    #[must_use]
    pub fn status(&self) -> Status {
        let mut status = Status::default();
        for track in &self.tracks {
            *status.track_mut(track.track) = Some(track.status.clone());
        }
        status
    }

    /// Whether every unit of every track is durable and the server has said so.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.tracks.iter().all(TrackReport::is_whole)
    }
}

impl Publisher {
    /// Starts publishing these tracks; each connects once it has codec parameters. Must be called inside a
    /// tokio runtime. With a spool on disk it makes the session's folder durable, which takes some milliseconds.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(config: &Config, tracks: &[Track]) -> Result<Self, StartError> {
        let sockets = Sockets::new(&config.server, config.token.as_ref(), config.own_authority.as_deref())?;
        let folder = config.folder(tracks)?.map(Arc::new);
        let mut machines = Vec::new();
        for &track in tracks {
            machines.push((track, config.machine(track, folder.as_deref(), seed()?)));
        }
        Ok(Self::run(config.identity.clone(), sockets, folder, machines))
    }

    /// Sends what an earlier program has left of a session in a spool's folder, and ends the session at the last unit
    /// that is found. Must be called inside a tokio runtime; reads every unit that waits, and so may block for seconds.
    ///
    /// # Errors
    /// [`StartError`]: another program owns the session's folder, or it cannot be read.
    pub fn resume(folder: &Path, session: SessionId, config: &ResumeConfig) -> Result<Self, StartError> {
        let Reopened { folder, identity, server, tracks } =
            SessionFolder::reopen(folder, session, &config.device_key)?;
        let server = match &config.server {
            Some(server) => server.clone(),
            None => server.parse().map_err(|error| StartError::Address { server, error })?,
        };
        let sockets = Sockets::new(&server, config.token.as_ref(), config.own_authority.as_deref())?;
        let mut machines = Vec::new();
        for (track, found) in tracks {
            let machine = TrackMachine::recovered(track, identity.clone(), Pace::of(track), found, seed()?);
            machines.push((track, machine));
        }
        Ok(Self::run(identity, sockets, Some(Arc::new(folder)), machines))
    }

    fn run(
        identity: Identity,
        sockets: Sockets,
        folder: Option<Arc<SessionFolder>>,
        machines: Vec<(Track, TrackMachine)>,
    ) -> Self {
        let (status, tells) =
            (Arc::new(watch::Sender::new(Status::default())), broadcast::Sender::new(TELL_CAPACITY));
        let mut publisher = Self { identity, folder, tracks: Vec::new(), tasks: Vec::new(), status, tells };
        let audio_state = Arc::<SharedAudioState>::default();
        for (track, machine) in machines {
            let shared = Arc::new(SharedTrack::new(track, machine, sockets.token.clone()));
            let Sockets { server, tls, .. } = sockets.clone();
            let endpoint = Endpoint { server, track, token: None, tls };
            let (status, tells) = (publisher.status.clone(), publisher.tells.clone());
            let (audio_state, folder) = (audio_state.clone(), publisher.folder.clone());
            let outlets = Outlets { status, tells, audio_state, folder };
            publisher.tasks.push(tokio::spawn(drive(shared.clone(), endpoint, outlets)));
            publisher.tracks.push(TrackHandle(shared));
        }
        publisher
    }

    /// The session.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Returns when the session has to stop because its spool is full and may give up nothing.
    pub async fn must_stop(&self) {
        let mut status = self.status.subscribe();
        let is_full = |status: &Status| status.tracks().any(|(_, track)| track.spool.must_stop);
        if status.wait_for(is_full).await.is_err() {
            std::future::pending().await
        }
    }

    /// Where a track's units go; none for a track that was not started.
    #[must_use]
    pub fn track(&self, track: Track) -> Option<TrackHandle> {
        self.tracks.iter().find(|handle| handle.0.track == track).cloned()
    }

    /// The status, as it changes: at once when a phase changes, else a few times a second.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// What the server wants the encoder or the person to know, from now on.
    #[must_use]
    pub fn tells(&self) -> broadcast::Receiver<(Track, Tell)> {
        self.tells.subscribe()
    }

    /// Connects at once, where something had stopped or delayed that.
    pub fn reconnect(&self) {
        for TrackHandle(shared) in &self.tracks {
            shared.input(|machine, now| machine.reconnect(now));
        }
    }

    /// Takes another access token for the next connections.
    pub fn set_token(&self, token: Option<Secret>) {
        for TrackHandle(shared) in &self.tracks {
            shared.set_token(token.clone());
        }
    }

    /// Takes what the encoder of the picture makes from now on while nothing is in the way, and what gives way. The
    /// answer is the status's target.
    pub fn follow_network(&self, settings: rate::Settings) {
        if let Some(TrackHandle(shared)) = self.track(Track::Video) {
            shared.input(|machine, _| machine.follow_network(settings));
        }
    }

    /// Ends the tracks and waits until each is complete or is refused for good. Waits as long as the server is
    /// away: who has less time drops the future, and may call this again or take the [`Publisher::report`].
    pub async fn finish(&self) -> Report {
        for handle in &self.tracks {
            handle.finish();
        }
        let mut status = self.status.subscribe();
        let all_ended = |status: &Status| {
            let ended = |phase: &Phase| matches!(phase, Phase::Complete | Phase::NeedsYou(_));
            let track_ended = |handle: &TrackHandle| {
                status.track(handle.0.track).is_some_and(|status| ended(&status.phase))
            };
            self.tracks.iter().all(track_ended)
        };
        // The sender lives in self, so that waiting cannot fail.
        status.wait_for(all_ended).await.ok();
        self.report()
    }

    /// How the session stands now.
    #[must_use]
    pub fn report(&self) -> Report {
        let report = |TrackHandle(shared): &TrackHandle| {
            shared.with(|machine, _| TrackReport {
                track: shared.track,
                status: machine.status(),
                lost: machine.lost(),
                digest: machine.completion().and_then(|completion| completion.digest),
                ack_latency: machine.ack_latency().clone(),
            })
        };
        Report { tracks: self.tracks.iter().map(report).collect() }
    }
}

/// What both tracks' sockets have in common.
#[derive(Clone)]
struct Sockets {
    server: ServerAddress,
    token: Option<Secret>,
    tls: Option<Arc<rustls::ClientConfig>>,
}

impl Sockets {
    fn new(
        server: &ServerAddress,
        token: Option<&Secret>,
        own_authority: Option<&Path>,
    ) -> Result<Self, StartError> {
        let tls = match server.is_encrypted() {
            true => Some(tls::client_config(own_authority)?),
            false => None,
        };
        Ok(Self { server: server.clone(), token: token.cloned(), tls })
    }
}

fn seed() -> Result<u64, StartError> {
    tls::secure_random().map(u64::from_ne_bytes).ok_or(StartError::NoRandomness)
}

impl Drop for Publisher {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        if let Some(folder) = &self.folder {
            folder.close();
        }
    }
}

impl TrackHandle {
    /// Gives the next unit to the spool.
    ///
    /// # Errors
    /// [`PushError`]: the unit is not taken.
    pub fn push(&self, unit: Unit) -> Result<(), PushError> {
        self.0.input(|machine, now| machine.push(now, unit))
    }

    /// Gives codec parameters; the first ones start the connection.
    ///
    /// # Errors
    /// [`PushError`]: the parameters are not taken.
    pub fn params(&self, params: Params) -> Result<(), PushError> {
        self.0.input(|machine, now| machine.params(now, params))
    }

    /// Tells what a viewer of the recording should know.
    pub fn event(&self, kind: EventKind, at_90k: u64, detail: &str) {
        self.0.input(|machine, now| machine.event(now, kind, at_90k, detail));
    }

    /// Ends this track: no unit comes any more.
    pub fn finish(&self) {
        self.0.input(|machine, now| machine.finish(now));
    }
}
