//! Sessions that an earlier run has left on this device, sent in the background while nothing is recorded.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use protocol::Secret;
use publisher::spool::disk;
use publisher::status::{Phase, Status};
use publisher::{Publisher, Report, ResumeConfig, ServerAddress};
use signing::SigningKey;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::{JoinSet, spawn_blocking};

use crate::actor::{Actor, Job};
use crate::api::{Problem, ProblemCode, SessionPhase, State, Unfinished, UnfinishedPhase};
use crate::tokens::TokenStore;

/// Sessions that are sent at the same time.
const AT_ONCE: usize = 8;

/// How often the screen is told how far a session is.
const GLANCE: Duration = Duration::from_millis(500);

/// A session that a program owns is looked at again so often; it may be another program's.
const PATIENCE: u32 = 20;

/// What sending needs.
#[derive(Clone)]
pub(crate) struct Sender {
    pub(crate) jobs: mpsc::WeakSender<Job>,
    pub(crate) spool: PathBuf,
    pub(crate) tokens: Arc<dyn TokenStore>,
    pub(crate) own_authority: Option<PathBuf>,
    pub(crate) device_key: Arc<SigningKey>,
}

fn is_open(state: &State) -> bool {
    let is_over =
        |phase: &SessionPhase| matches!(phase, SessionPhase::Complete | SessionPhase::Incomplete { .. });
    state.session.as_ref().is_some_and(|session| !is_over(&session.phase))
}

impl Sender {
    /// Runs until the app ends. A session that is recorded has the network to itself: what is sent meanwhile stops, and
    /// goes on afterwards where it was.
    pub(crate) async fn run(self, mut state: watch::Receiver<State>) {
        while state.wait_for(|state| !is_open(state)).await.is_ok() {
            let mut recorded = state.clone();
            tokio::select! {
                () = self.send_all() => {}
                _ = recorded.wait_for(is_open) => {}
            }
            if state.wait_for(is_open).await.is_err() {
                return;
            }
            self.tell(Actor::unfinished_wait).await;
        }
    }

    async fn send_all(&self) {
        let mut attempts = 0;
        let listing = loop {
            let spool = self.spool.clone();
            match spawn_blocking(move || disk::unfinished(&spool)).await {
                // The session that has just ended may still be let go of.
                Ok(Ok(listing)) if listing.sessions.iter().any(|one| one.in_use) && attempts < PATIENCE => {
                    attempts += 1;
                    tokio::time::sleep(GLANCE).await;
                }
                listed => break listed,
            }
        };
        let listing = match listing {
            Ok(Ok(listing)) => listing,
            Ok(Err(error)) => {
                let message = format!("Recordings that wait on this device cannot be listed: {error}.");
                return self
                    .tell(move |actor| actor.add_notice(Problem::new(ProblemCode::DeviceStorage, message)))
                    .await;
            }
            Err(_) => return,
        };
        for (path, reason) in &listing.unreadable {
            tracing::error!(path = %path.display(), reason, "an unfinished session cannot be read");
        }
        let waiting: Vec<Unfinished> =
            listing.sessions.iter().filter(|session| !session.in_use).map(shown).collect();
        let listed = waiting.clone();
        self.tell(move |actor| actor.set_unfinished(listed)).await;
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        // Dropping the set ends its tasks, and they let go of their sessions.
        let mut sending = JoinSet::new();
        for session in waiting {
            let (sender, permits) = (self.clone(), Arc::clone(&permits));
            sending.spawn(async move {
                let Ok(_permit) = permits.acquire().await else { return };
                sender.send(session).await;
            });
        }
        while sending.join_next().await.is_some() {}
    }

    async fn send(&self, mut session: Unfinished) {
        let config = ResumeConfig {
            server: None,
            token: self.token(&session.server).await,
            own_authority: self.own_authority.clone(),
            device_key: Arc::clone(&self.device_key),
        };
        let (spool, id) = (self.spool.clone(), session.id);
        let publisher = match spawn_blocking(move || Publisher::resume(&spool, id, &config)).await {
            Ok(Ok(publisher)) => publisher,
            Ok(Err(error)) => {
                session.phase = UnfinishedPhase::Refused { problem: Problem::from(&error) };
                return self.tell(move |actor| actor.tell_unfinished(session)).await;
            }
            Err(_) => return,
        };
        tracing::info!(session = %id.short(), "sending what an earlier run has left");
        let mut glances = tokio::time::interval(GLANCE);
        let mut finish = pin!(publisher.finish());
        let report = loop {
            tokio::select! {
                report = &mut finish => break report,
                _ = glances.tick() => {
                    let now = with_status(session.clone(), &publisher.report().status());
                    self.tell(move |actor| actor.tell_unfinished(now)).await;
                }
            }
        };
        match refusal(&report) {
            Some(problem) => {
                let session = with_status(session, &report.status());
                let session = Unfinished { phase: UnfinishedPhase::Refused { problem }, ..session };
                self.tell(move |actor| actor.tell_unfinished(session)).await;
            }
            None => self.tell(move |actor| actor.unfinished_sent(id, report.is_whole())).await,
        }
    }

    /// The token of the session's server, and of no other.
    async fn token(&self, server: &str) -> Option<Secret> {
        let address: ServerAddress = server.parse().ok()?;
        let (answer, answered) = oneshot::channel();
        self.tell(move |actor| {
            // Whoever asked may have been stopped.
            answer.send(actor.token_if_current(&address)).ok();
        })
        .await;
        if let Ok(Some(token)) = answered.await {
            return Some(token);
        }
        let (tokens, server) = (Arc::clone(&self.tokens), server.to_owned());
        let kept = spawn_blocking(move || tokens.load(&server)).await.ok()?;
        kept.ok().flatten().map(|kept| kept.token)
    }

    async fn tell(&self, job: impl FnOnce(&mut Actor) + Send + 'static) {
        if let Some(jobs) = self.jobs.upgrade() {
            jobs.send(Box::new(job)).await.ok();
        }
    }
}

fn shown(session: &disk::Unfinished) -> Unfinished {
    Unfinished {
        id: session.session,
        room: session.room.clone(),
        server: session.server.clone(),
        started_unix_ms: session.started_unix_ms,
        phase: UnfinishedPhase::Waiting,
        backlog_bytes: session.tracks.iter().map(|(_, backlog)| backlog.bytes).sum(),
        backlog_ms: session.tracks.iter().map(|(_, backlog)| backlog.duration_ms).max().unwrap_or(0),
    }
}

fn with_status(session: Unfinished, status: &Status) -> Unfinished {
    let is_connected =
        status.tracks().any(|(_, track)| matches!(track.phase, Phase::Live | Phase::CatchingUp));
    let phase = if is_connected { UnfinishedPhase::Sending } else { UnfinishedPhase::Waiting };
    let backlog_bytes = status.tracks().map(|(_, track)| track.backlog.bytes).sum();
    let backlog_ms = status.tracks().map(|(_, track)| track.backlog.duration_ms).max().unwrap_or(0);
    Unfinished { phase, backlog_bytes, backlog_ms, ..session }
}

fn refusal(report: &Report) -> Option<Problem> {
    report.tracks.iter().find_map(|track| match &track.status.phase {
        Phase::NeedsYou(error) => Some(Problem::from(error)),
        _ => None,
    })
}
