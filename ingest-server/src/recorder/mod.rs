//! Making records durable, many at a time: parts into segment files, files synced, rows committed, then the word
//! to those who wait. Never a row before its bytes, never an acknowledgement before its row.

mod batch;
mod open_segments;
mod proof;

use std::sync::Arc;
use std::time::Duration;

use media::segment::SegmentRule;
use protocol::api::SessionStatus;
use protocol::certificate::Signed;
use protocol::error::{ErrorBody, ErrorCode};
use protocol::{SessionId, Track};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use crate::clock::Clock;
use crate::config::RecordingConfig;
use crate::database::{Database, SessionInfo};
use crate::ingest::{Record, StoredTrack, Ticket};
use crate::log;
use crate::store::Store;

use batch::Outcomes;
use open_segments::OpenSegments;
use proof::{PROOFS, prove};

/// Jobs that wait for the recorder. When they are as many, those who send wait, and so do their sockets.
pub(crate) const QUEUE_JOBS: usize = 4_096;
/// Jobs in one group commit.
const BATCH_JOBS: usize = 1_024;
/// A group commit that takes longer is worth a warning.
const SLOW_COMMIT: Duration = Duration::from_secs(1);

/// Learns what became of records.
pub(crate) trait Recorded: Send + Sync {
    /// The outcomes of a track's records, in their order.
    fn recorded(&self, track: Track, outcomes: Vec<(Ticket, Result<(), ErrorBody>)>);
}

/// Something to make durable.
pub(crate) enum Job {
    /// A track's record.
    Track(TrackJob),
    /// A session's status.
    Status(StatusJob),
}

pub(crate) struct TrackJob {
    pub(crate) info: Arc<SessionInfo>,
    pub(crate) track: Track,
    pub(crate) ticket: Ticket,
    pub(crate) record: Record,
    pub(crate) to: Arc<dyn Recorded>,
    /// The record's share of the memory budget, given back when the outcome is known.
    pub(crate) budget: Option<OwnedSemaphorePermit>,
}

pub(crate) struct StatusJob {
    pub(crate) id: SessionId,
    pub(crate) status: SessionStatus,
    pub(crate) last_activity_unix_ms: u64,
    pub(crate) tracks: Vec<(Track, StoredTrack)>,
    pub(crate) certificate: Option<Signed>,
    pub(crate) done: oneshot::Sender<Result<(), ErrorBody>>,
}

/// What a recorder works with.
#[derive(Debug)]
pub(crate) struct Recorder {
    store: Arc<dyn Store>,
    database: Arc<dyn Database>,
    clock: Clock,
    gather: Duration,
    open: OpenSegments,
    proofs: JoinSet<()>,
    proof_slots: Arc<Semaphore>,
    is_failing: bool,
    warned_slow_at: Option<Duration>,
}

/// The error that publishers see when something could not be made durable. The log has the details.
pub(crate) fn unavailable() -> ErrorBody {
    ErrorBody::new(
        ErrorCode::StorageUnavailable,
        "the server cannot store at the moment; what it has not acknowledged must be sent again",
    )
}

impl Recorder {
    /// Starts recording; it ends when every sender is gone and all is done.
    pub(crate) fn start(
        store: Arc<dyn Store>,
        database: Arc<dyn Database>,
        clock: Clock,
        config: &RecordingConfig,
    ) -> (mpsc::Sender<Job>, JoinHandle<()>) {
        let (sender, jobs) = mpsc::channel(QUEUE_JOBS);
        let rule: SegmentRule = config.segment;
        let recorder = Self {
            store,
            database,
            clock,
            gather: config.gather,
            open: OpenSegments::new(rule),
            proofs: JoinSet::new(),
            proof_slots: Arc::new(Semaphore::new(PROOFS)),
            is_failing: false,
            warned_slow_at: None,
        };
        (sender, tokio::spawn(recorder.run(jobs)))
    }

    async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut batch = Vec::new();
        while jobs.recv_many(&mut batch, BATCH_JOBS).await > 0 {
            // What comes close behind the first shares its commit.
            if !jobs.is_closed() {
                tokio::time::sleep(self.gather).await;
            }
            while batch.len() < BATCH_JOBS
                && let Ok(job) = jobs.try_recv()
            {
                batch.push(job);
            }
            let started = self.clock.now();
            self.commit(&mut batch).await;
            self.watch_speed(started);
        }
        while self.proofs.join_next().await.is_some() {}
        for segment in self.open.close_all() {
            log::segment(&segment);
        }
    }

    async fn commit(&mut self, batch: &mut Vec<Job>) {
        let jobs = self.start_proofs(std::mem::take(batch));
        self.number_segments(&jobs).await;
        let unix_ms = self.clock.unix_ms();
        let mut plan = batch::Plan::new(jobs, &mut self.open, unix_ms);
        let appended = self.store.append(plan.take_appends()).await;
        plan.appended(appended);
        let committed = plan.commit(&*self.database).await;
        let outcomes = plan.finish(committed);
        tracing::debug!(jobs = outcomes.jobs(), parts = outcomes.durable.len(), "group commit");
        self.watch_health(&outcomes);
        self.open.made_durable(&outcomes.durable, self.clock.now());
        for key in &outcomes.failed {
            self.open.forget(*key);
        }
        outcomes.tell();
        for segment in self.open.take_complete() {
            log::segment(&segment);
        }
    }

    /// Starts the proofs among the jobs: what they are about is durable already. Yields the other jobs.
    fn start_proofs(&mut self, jobs: Vec<Job>) -> Vec<Job> {
        while self.proofs.try_join_next().is_some() {}
        let mut others = Vec::with_capacity(jobs.len());
        for job in jobs {
            match job {
                Job::Track(TrackJob { record: Record::Proof(finish), info, track, ticket, to, .. }) => {
                    let (database, slots) = (Arc::clone(&self.database), Arc::clone(&self.proof_slots));
                    self.proofs.spawn(async move {
                        let outcome = prove(&*database, &slots, info.id, track, &finish).await;
                        to.recorded(track, vec![(ticket, outcome)]);
                    });
                }
                other => others.push(other),
            }
        }
        others
    }

    /// Finds out how many segments tracks have had before, so that a resumed one goes on counting.
    async fn number_segments(&mut self, jobs: &[Job]) {
        for job in jobs {
            let Job::Track(TrackJob { info, track, record: Record::Opened { .. }, .. }) = job else {
                continue;
            };
            if !self.open.knows(info.id, *track) {
                // Without an answer the lines count from one, and nothing else depends on it.
                let segments = self.database.segments(info.id).await.unwrap_or_default();
                let count = segments.iter().filter(|segment| segment.key.track == *track).count();
                self.open.number_from(info.id, *track, count as u64);
            }
        }
    }

    /// Says once that storing fails, and once that it works again.
    fn watch_health(&mut self, outcomes: &Outcomes) {
        match (&outcomes.error, self.is_failing) {
            (Some(error), false) => log::storage_fails(error),
            (None, true) => log::storage_works_again(),
            _ => {}
        }
        self.is_failing = outcomes.error.is_some();
    }

    /// Says at most every ten seconds that the disk is slow.
    fn watch_speed(&mut self, started: Duration) {
        let now = self.clock.now();
        let took = now.saturating_sub(started);
        let is_due = self.warned_slow_at.is_none_or(|at| now >= at + 10 * SLOW_COMMIT);
        if took >= SLOW_COMMIT && is_due {
            self.warned_slow_at = Some(now);
            log::slow_disk(took);
        }
    }
}
