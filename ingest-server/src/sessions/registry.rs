//! The registry: finds or loads the session of a hello, and looks after sessions whose publishers are away.
//!
//! It is asked when a track opens and when somebody looks; never on the way of a unit.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::api::{Session, SessionStatus};
use protocol::certificate::{PublicKey, Signed};
use protocol::control::Hello;
use protocol::error::{ErrorBody, ErrorCode};
use protocol::room::{RoomSession, TokenId};
use protocol::{ResumeKey, RoomName, SessionId, Track};
use sha2::{Digest as _, Sha256};
use signing::SigningKey;
use subtle::ConstantTimeEq as _;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::changes::Changes;
use super::session::{Attached, LiveSession, view_stored};
use crate::certificate::issue;
use crate::clock::Clock;
use crate::database::{Change, Database, DatabaseError, Page, SessionInfo, StoredSession};
use crate::ingest::{ConnectionId, TrackSettings};
use crate::log;
use crate::recorder::{Job, StatusJob};
use crate::stop::Stop;
use crate::store::{Store, StoreError};

/// How often the caretaker looks for sessions whose publisher stays away, and tries again to store a status.
const CARE_INTERVAL: Duration = Duration::from_secs(1);
/// How often a certificate that is about to be stored is asked for.
const CERTIFICATE_INTERVAL: Duration = Duration::from_millis(20);
/// How long a deletion waits for what a publisher has just left behind.
const SETTLE_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub(crate) struct SessionsConfig {
    pub(crate) track: TrackSettings,
    pub(crate) abandon_after: Duration,
    /// Sessions in memory.
    pub(crate) capacity: usize,
}

pub(crate) struct Sessions {
    live: Mutex<HashMap<SessionId, Arc<LiveSession>>>,
    /// Held while a session is loaded, let go or deleted, so that it is in memory at most once.
    gate: tokio::sync::Mutex<()>,
    config: SessionsConfig,
    database: Arc<dyn Database>,
    store: Arc<dyn Store>,
    jobs: mpsc::Sender<Job>,
    key: Arc<SigningKey>,
    clock: Clock,
    changes: Arc<Changes>,
    next_connection: AtomicU64,
}

/// What is there of a session whose publisher comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Earlier {
    /// When it began, in ms since 1970.
    pub(crate) started_unix_ms: u64,
    /// When the last durable part ends, in 1/90000 s since then.
    pub(crate) end_90k: u64,
    /// The tracks that it has.
    pub(crate) tracks: Vec<Track>,
}

/// Why a session cannot be deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeleteError {
    #[error("there is no such session")]
    NotFound,
    #[error("the session is active; it can be deleted when its publisher has left")]
    Active,
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Sessions {
    pub(crate) fn new(
        config: SessionsConfig,
        database: Arc<dyn Database>,
        store: Arc<dyn Store>,
        jobs: mpsc::Sender<Job>,
        key: Arc<SigningKey>,
        clock: Clock,
    ) -> Self {
        Self {
            live: Mutex::default(),
            gate: tokio::sync::Mutex::default(),
            config,
            database,
            store,
            jobs,
            key,
            clock,
            changes: Arc::default(),
            next_connection: AtomicU64::new(0),
        }
    }

    fn live(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<LiveSession>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn find(&self, id: SessionId) -> Option<Arc<LiveSession>> {
        self.live().get(&id).cloned()
    }

    /// The sessions in memory that are in a room, oldest first.
    pub(crate) fn in_room(&self, room: &RoomName) -> Vec<Arc<LiveSession>> {
        let mut found: Vec<_> =
            self.live().values().filter(|session| session.info.room == *room).cloned().collect();
        found.sort_by_key(|session| (session.info.started_unix_ms, session.info.id));
        found
    }

    /// The sessions that are active or interrupted, by room, oldest first, each as its room sees it.
    pub(crate) fn by_room(&self) -> BTreeMap<RoomName, Vec<(Arc<LiveSession>, RoomSession)>> {
        let sessions: Vec<Arc<LiveSession>> = self.live().values().cloned().collect();
        let mut rooms: BTreeMap<RoomName, Vec<_>> = BTreeMap::new();
        for session in sessions {
            if let Some(view) = session.room_view() {
                rooms.entry(session.info.room.clone()).or_default().push((session, view));
            }
        }
        for sessions in rooms.values_mut() {
            sessions.sort_by_key(|(_, view)| (view.started_unix_ms, view.id));
        }
        rooms
    }

    /// Closes the connections of publishers who came by this token, in one room or in all.
    pub(crate) fn send_away(&self, token: TokenId, room: Option<&RoomName>, why: &ErrorBody) {
        let all: Vec<Arc<LiveSession>> = self.live().values().cloned().collect();
        let is_meant = |session: &Arc<LiveSession>| {
            session.publisher_token() == Some(token) && room.is_none_or(|room| session.info.room == *room)
        };
        for session in all.into_iter().filter(is_meant) {
            session.send_away(why);
        }
    }

    /// Changes when a session comes, changes its status or connections, or goes.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.changes.sessions.subscribe()
    }

    /// Puts sessions that the start-up recovery found interrupted under care.
    pub(crate) async fn adopt(&self, sessions: Vec<StoredSession>) -> Result<(), DatabaseError> {
        for stored in sessions {
            let id = stored.info.id;
            let session = Arc::new(self.make_live(stored));
            if self.database.is_ended(id).await? {
                session.end(&ended());
            }
            self.live().insert(id, session);
        }
        Ok(())
    }

    fn make_live(&self, stored: StoredSession) -> LiveSession {
        let SessionsConfig { track, abandon_after, .. } = &self.config;
        LiveSession::new(stored, track, *abandon_after, self.clock, Arc::clone(&self.changes))
    }

    /// What is there of a session that a publisher names before it opens one of its tracks; `None` for a new one.
    ///
    /// # Errors
    /// [`ErrorCode::SessionTaken`] for another publisher's, [`ErrorCode::InvalidMessage`] for one of another room,
    /// [`ErrorCode::SessionEnded`], or [`ErrorCode::StorageUnavailable`].
    pub(crate) async fn earlier(
        &self,
        id: SessionId,
        resume_key: &ResumeKey,
        room: &RoomName,
    ) -> Result<Option<Earlier>, ErrorBody> {
        if self.database.is_ended(id).await.map_err(unavailable)? {
            return Err(ended());
        }
        let found = match self.find(id) {
            Some(live) => Some((Arc::clone(&live.info), live.is_ended(), live.stored_tracks())),
            None => {
                let stored = self.database.session(id).await.map_err(unavailable)?;
                stored.map(|stored| (Arc::new(stored.info), false, stored.tracks))
            }
        };
        let Some((info, is_ended, tracks)) = found else {
            if self.database.is_deleted(id).await.map_err(unavailable)? {
                return Err(deleted());
            }
            return Ok(None);
        };
        let key: [u8; 32] = Sha256::digest(resume_key.expose()).into();
        if !bool::from(info.resume_key_sha256.ct_eq(&key)) {
            return Err(taken());
        }
        if info.room != *room {
            let message =
                format!("the session is in the room {}; publish to it there, or begin a new one", info.room);
            return Err(ErrorBody::new(ErrorCode::InvalidMessage, message));
        }
        if is_ended {
            return Err(ended());
        }
        if tracks.iter().any(|(_, stored)| stored.finish.is_some()) {
            return Err(finished());
        }
        Ok(Some(Earlier {
            started_unix_ms: info.started_unix_ms,
            end_90k: tracks.iter().filter_map(|(_, stored)| stored.end_90k).max().unwrap_or(0),
            tracks: tracks.iter().map(|(track, _)| *track).collect(),
        }))
    }

    /// Attaches a connection to the session and track of its hello.
    ///
    /// # Errors
    /// [`ErrorCode::SessionTaken`], [`ErrorCode::SessionEnded`], [`ErrorCode::TooManySessions`],
    /// [`ErrorCode::InvalidParams`], or [`ErrorCode::StorageUnavailable`] when the database does not answer.
    pub(crate) async fn open(&self, hello: &Hello) -> Result<Attached, ErrorBody> {
        let _gate = self.gate.lock().await;
        let key: [u8; 32] = Sha256::digest(hello.resume_key.expose()).into();
        let (session, is_loaded) = match self.find(hello.session) {
            Some(session) => (session, false),
            None => (Arc::new(self.load(hello, key).await?), true),
        };
        if !bool::from(session.info.resume_key_sha256.ct_eq(&key)) {
            return Err(taken());
        }
        if session.info.started_unix_ms != hello.started_unix_ms || session.info.room != hello.room {
            let message = "the session began at another time or in another room, by its first hello";
            return Err(ErrorBody::new(ErrorCode::InvalidMessage, message));
        }
        if session.is_ended() {
            return Err(ended());
        }
        let id = ConnectionId(self.next_connection.fetch_add(1, Ordering::Relaxed));
        let news = session.news(hello.track);
        let now = self.clock.now();
        session.ingest(hello.track).connect(now, self.clock.unix_ms(), id, hello)?;
        session.heard_now();
        if is_loaded {
            self.live().insert(hello.session, Arc::clone(&session));
        }
        session.announce(hello.track);
        Ok(Attached { session, track: hello.track, id, news })
    }

    async fn load(&self, hello: &Hello, key: [u8; 32]) -> Result<LiveSession, ErrorBody> {
        if self.live().len() >= self.config.capacity {
            let message = "the server holds as many sessions as it is set to";
            return Err(ErrorBody::new(ErrorCode::TooManySessions, message));
        }
        if self.database.is_ended(hello.session).await.map_err(unavailable)? {
            return Err(ended());
        }
        if let Some(stored) = self.database.session(hello.session).await.map_err(unavailable)? {
            return Ok(self.make_live(stored));
        }
        if self.database.is_deleted(hello.session).await.map_err(unavailable)? {
            return Err(deleted());
        }
        let info = SessionInfo {
            id: hello.session,
            room: hello.room.clone(),
            resume_key_sha256: key,
            device: hello.device.clone(),
            started_unix_ms: hello.started_unix_ms,
        };
        Ok(self.make_live(StoredSession {
            info,
            status: SessionStatus::Active,
            last_activity_unix_ms: self.clock.unix_ms(),
            tracks: Vec::new(),
        }))
    }

    /// Follows the sessions' lives until the server stops: statuses are logged and stored, and sessions that have
    /// ended leave memory.
    pub(crate) async fn care(&self, mut stop: Stop) {
        let mut unsaved = HashMap::new();
        loop {
            tokio::select! {
                () = self.changes.settled.notified() => {}
                () = tokio::time::sleep(CARE_INTERVAL) => {}
                () = stop.wait() => return,
            }
            self.save_statuses(&mut unsaved).await;
            self.let_go(&unsaved).await;
        }
    }

    /// Stores the statuses as they are at the end.
    pub(crate) async fn settle(&self) {
        self.save_statuses(&mut HashMap::new()).await;
    }

    async fn save_statuses(&self, unsaved: &mut HashMap<SessionId, SessionStatus>) {
        let sessions: Vec<Arc<LiveSession>> = self.live().values().cloned().collect();
        let mut waiting = Vec::new();
        for session in sessions {
            let id = session.info.id;
            if let Some(status) = session.observe(self.clock.now()) {
                self.changes.announce();
                // The line of the hello has said already that a session is active.
                if status != SessionStatus::Active {
                    log::status(id, status, &session.stored_tracks());
                }
                unsaved.insert(id, status);
            }
            if let Some(&status) = unsaved.get(&id) {
                let (done, outcome) = oneshot::channel();
                let (tracks, last_activity_unix_ms) =
                    (session.stored_tracks(), session.last_activity_unix_ms());
                let certificate = match status {
                    SessionStatus::Completed => {
                        issue(&self.key, &session.info, &tracks, last_activity_unix_ms)
                    }
                    _ => None,
                };
                let job = StatusJob { id, status, last_activity_unix_ms, tracks, certificate, done };
                if self.jobs.send(Job::Status(job)).await.is_ok() {
                    waiting.push((id, outcome));
                }
            }
        }
        for (id, outcome) in waiting {
            if matches!(outcome.await, Ok(Ok(()))) {
                unsaved.remove(&id);
            }
        }
    }

    /// Removes sessions from memory that have ended and are stored so.
    async fn let_go(&self, unsaved: &HashMap<SessionId, SessionStatus>) {
        let has_ended = |session: &LiveSession| {
            matches!(session.status(), SessionStatus::Completed | SessionStatus::Abandoned)
        };
        if !self.live().values().any(|session| has_ended(session)) {
            return;
        }
        let _gate = self.gate.lock().await;
        self.live().retain(|id, session| {
            let stays = !has_ended(session)
                || unsaved.contains_key(id)
                || session.is_connected()
                || !session.is_settled();
            if !stays {
                session.end_fanout();
            }
            stays
        });
        self.changes.announce();
    }

    /// What certificates are checked with.
    pub(crate) fn public_key(&self) -> PublicKey {
        self.key.public()
    }

    /// The certificate of a session that is complete. Waits for the caretaker where a session just became so.
    pub(crate) async fn certificate(&self, id: SessionId) -> Result<Option<Signed>, DatabaseError> {
        let deadline = self.clock.now() + SETTLE_PATIENCE;
        loop {
            if let Some(certificate) = self.database.certificate(id).await? {
                return Ok(Some(certificate));
            }
            let is_due =
                self.find(id).is_some_and(|session| session.view().status == SessionStatus::Completed);
            if !is_due || self.clock.now() >= deadline {
                // It may have been stored, and the session let go, since it was asked for.
                return self.database.certificate(id).await;
            }
            tokio::time::sleep(CERTIFICATE_INTERVAL).await;
        }
    }

    /// One session as the API shows it.
    pub(crate) async fn view(&self, id: SessionId) -> Result<Option<Session>, DatabaseError> {
        match self.find(id) {
            Some(session) => Ok(Some(session.view())),
            None => Ok(self.database.session(id).await?.as_ref().map(view_stored)),
        }
    }

    /// A page of sessions as the API shows them, newest first. Sessions in memory show their state of now, which
    /// may differ from the status by which the database chose them; those that no longer fit are left out.
    ///
    /// With the page comes the id behind which the next one starts, if this one is full.
    pub(crate) async fn list(&self, page: Page) -> Result<(Vec<Session>, Option<SessionId>), DatabaseError> {
        let (limit, status) = (page.limit, page.status);
        // Before the database is asked: a session that is let go meanwhile would be shown as it was stored before.
        let live = self.live().clone();
        let stored = self.database.sessions(page).await?;
        let is_full = stored.len() >= limit as usize;
        let next_before = stored.last().filter(|_| is_full).map(|stored| stored.info.id);
        let views = stored.iter().map(|stored| match live.get(&stored.info.id) {
            Some(session) => session.view(),
            None => view_stored(stored),
        });
        let views = views.filter(|view| status.is_none_or(|status| view.status == status)).collect();
        Ok((views, next_before))
    }

    /// Ends a session that is not complete: its publisher is told so and may not come back. What arrived stays. Says
    /// whether there is such a session.
    pub(crate) async fn end(&self, id: SessionId, why: &ErrorBody) -> Result<bool, DatabaseError> {
        let _gate = self.gate.lock().await;
        let live = self.find(id);
        if let Some(session) = &live {
            session.end(why);
        } else if self.database.room(id).await?.is_none() {
            return Ok(false);
        }
        self.database.commit(&[Change::Ended(id, self.clock.unix_ms())]).await?;
        Ok(true)
    }

    /// The room of a session, in memory or not.
    pub(crate) async fn room(&self, id: SessionId) -> Result<Option<RoomName>, DatabaseError> {
        match self.find(id) {
            Some(session) => Ok(Some(session.info.room.clone())),
            None => self.database.room(id).await,
        }
    }

    /// Removes a session for good.
    pub(crate) async fn delete(&self, id: SessionId) -> Result<(), DeleteError> {
        let _gate = self.gate.lock().await;
        if let Some(session) = self.find(id) {
            if session.is_connected() || timeout(SETTLE_PATIENCE, session.settled()).await.is_err() {
                return Err(DeleteError::Active);
            }
            self.live().remove(&id);
            session.end_fanout();
            self.changes.announce();
        }
        // Rows first: files without rows are removed at the next start, rows without files would be a loss.
        if !self.database.delete(id, self.clock.unix_ms()).await? {
            return Err(DeleteError::NotFound);
        }
        self.store.delete(id).await?;
        log::deleted(id);
        // Finds no row, and lets the recorder forget the session.
        let (done, _) = oneshot::channel();
        let job = StatusJob {
            id,
            status: SessionStatus::Abandoned,
            last_activity_unix_ms: 0,
            tracks: Vec::new(),
            certificate: None,
            done,
        };
        let _ = self.jobs.send(Job::Status(job)).await;
        Ok(())
    }
}

fn ended() -> ErrorBody {
    let message = "who moderates the room has ended this session; begin a new one";
    ErrorBody::new(ErrorCode::SessionEnded, message)
}

fn finished() -> ErrorBody {
    ErrorBody::new(ErrorCode::SessionEnded, "the session has ended; begin a new one")
}

fn deleted() -> ErrorBody {
    ErrorBody::new(ErrorCode::SessionEnded, "the session was deleted; begin a new one")
}

fn taken() -> ErrorBody {
    ErrorBody::new(ErrorCode::SessionTaken, "the session was begun by another publisher; begin a new one")
}

fn unavailable(error: DatabaseError) -> ErrorBody {
    log::storage_fails(&error.to_string());
    crate::recorder::unavailable()
}
