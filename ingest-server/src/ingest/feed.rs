//! A connection's way into its track: the state machine acts, and what it wants recorded goes to the recorder within the
//! memory budget of all connections. Shared by every kind of connection that brings units.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use protocol::{SessionId, Track};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::record::{Record, Ticket};
use super::track::{TrackIngest, Transmit};
use crate::clock::Clock;
use crate::config::Bounds;
use crate::recorder::{Job, Recorded, TrackJob};
use crate::rooms::Rooms;
use crate::sessions::Attached;
use crate::stop::Stop;

/// What all connections that bring units share.
pub(crate) struct IngestContext {
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) jobs: mpsc::Sender<Job>,
    /// Bytes that may wait for the recorder, of all connections together.
    pub(crate) budget: Arc<Semaphore>,
    pub(crate) bounds: Bounds,
    pub(crate) clock: Clock,
    /// Turns true when the server stops.
    pub(crate) stop: Stop,
}

/// One connection's hold on its track, and what is on its way from it to the recorder and to the peer.
pub(crate) struct Feed<'a> {
    pub(crate) context: &'a IngestContext,
    pub(crate) attached: Attached,
    /// Records that wait for room in the budget of all. While there are any, nothing should be taken.
    waiting: VecDeque<(Ticket, Record)>,
    /// What the state machine has to say to the peer.
    pub(crate) out: VecDeque<Transmit>,
    pub(crate) undurable_bytes: u64,
    /// When the state machine wants to hear that time has passed.
    pub(crate) deadline: Option<Duration>,
}

impl<'a> Feed<'a> {
    pub(crate) fn new(context: &'a IngestContext, attached: Attached) -> Self {
        Self {
            context,
            attached,
            waiting: VecDeque::new(),
            out: VecDeque::new(),
            undurable_bytes: 0,
            deadline: None,
        }
    }

    /// The session and the track, for log lines.
    pub(crate) fn names(&self) -> (SessionId, Track) {
        (self.attached.session.info.id, self.attached.track)
    }

    /// Lets the state machine do something, and takes out what it then has to say.
    pub(crate) fn with(&mut self, act: impl FnOnce(&mut TrackIngest)) {
        let mut ingest = self.attached.session.ingest(self.attached.track);
        act(&mut ingest);
        while let Some(record) = ingest.poll_record() {
            self.waiting.push_back(record);
        }
        while let Some(transmit) = ingest.poll_transmit(self.attached.id) {
            self.out.push_back(transmit);
        }
        self.undurable_bytes = ingest.undurable_bytes();
        self.deadline = ingest.poll_timeout();
        let live = ingest.take_live();
        drop(ingest);
        if !live.is_empty() {
            self.attached.session.publish(self.attached.track, live);
        }
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.attached.session.ingest(self.attached.track).is_settled()
    }

    /// Whether records wait for room in the budget.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether so much waits to become durable that nothing more should be taken for now.
    pub(crate) fn is_full(&self) -> bool {
        self.is_waiting() || self.undurable_bytes > self.context.bounds.connection_bytes
    }

    /// Gives records to the recorder while there is room.
    pub(crate) fn pass_on(&mut self) {
        while !self.waiting.is_empty() {
            let permits = self.next_permits();
            let Ok(permit) = Arc::clone(&self.context.budget).try_acquire_many_owned(permits) else { return };
            let Ok(slot) = self.context.jobs.try_reserve() else { return };
            if let Some((ticket, record)) = self.waiting.pop_front() {
                slot.send(self.job(ticket, record, Some(permit)));
            }
        }
    }

    /// Gives the next record to the recorder, with its share of the budget. Says whether the recorder took it.
    pub(crate) async fn pass_next(&mut self, permit: OwnedSemaphorePermit) -> bool {
        let Some((ticket, record)) = self.waiting.pop_front() else { return true };
        let job = self.job(ticket, record, Some(permit));
        self.context.jobs.send(job).await.is_ok()
    }

    /// What the next record takes of the budget. One that exceeds all of it waits until it is alone.
    pub(crate) fn next_permits(&self) -> u32 {
        let bytes = match self.waiting.front() {
            Some((_, Record::Part(record))) => record.part.fragment.len(),
            _ => 0,
        };
        bytes.min(self.context.bounds.total_bytes) as u32
    }

    fn job(&self, ticket: Ticket, record: Record, budget: Option<OwnedSemaphorePermit>) -> Job {
        let session = &self.attached.session;
        let to: Arc<dyn Recorded> = Arc::clone(session) as Arc<dyn Recorded>;
        Job::Track(TrackJob {
            info: Arc::clone(&session.info),
            track: self.attached.track,
            ticket,
            record,
            to,
            budget,
        })
    }

    /// Takes leave of the track. What has arrived still goes to the recorder.
    pub(crate) async fn detach(&mut self) {
        let id = self.attached.id;
        self.with(|ingest| ingest.disconnect(id));
        self.attached.session.heard_now();
        self.attached.session.announce(self.attached.track);
        while self.is_waiting() {
            let budget = Arc::clone(&self.context.budget).acquire_many_owned(self.next_permits());
            let Ok(permit) = budget.await else { return };
            if !self.pass_next(permit).await {
                return;
            }
        }
    }
}
