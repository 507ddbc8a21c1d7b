//! One group commit: jobs to appends, appends to rows, rows to outcomes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use protocol::error::ErrorBody;
use protocol::{SessionId, Track};

use super::open_segments::OpenSegments;
use super::{Job, Recorded, StatusJob, TrackJob, unavailable};
use crate::database::{Change, Database, PartRow, SegmentRow};
use crate::ingest::{Record, Ticket};
use crate::store::{Append, SegmentKey, StoreError};

/// Jobs on their way to being durable.
pub(super) struct Plan {
    items: Vec<Item>,
    appends: Vec<Append>,
    /// Which append of [`Self::appends`] a segment has.
    append_of: HashMap<SegmentKey, usize>,
    failed: HashSet<SegmentKey>,
    error: Option<String>,
}

struct Item {
    session: SessionId,
    changes: Vec<Change>,
    /// The segment and the time of arrival, for a part.
    part: Option<(SegmentKey, Duration)>,
    to: To,
    is_failed: bool,
}

enum To {
    Track {
        to: Arc<dyn Recorded>,
        track: Track,
        ticket: Ticket,
        _budget: Option<tokio::sync::OwnedSemaphorePermit>,
    },
    Status(tokio::sync::oneshot::Sender<Result<(), ErrorBody>>),
}

/// What became of a group commit.
pub(super) struct Outcomes {
    /// Segments to which nothing may be appended any more.
    pub(super) failed: HashSet<SegmentKey>,
    /// Parts that are durable: their segment, and when their first unit arrived.
    pub(super) durable: Vec<(SegmentKey, Duration)>,
    /// Why something failed, if anything did.
    pub(super) error: Option<String>,
    items: Vec<Item>,
}

impl Plan {
    pub(super) fn new(jobs: Vec<Job>, open: &mut OpenSegments, unix_ms: u64) -> Self {
        let mut plan = Self {
            items: Vec::with_capacity(jobs.len()),
            appends: Vec::new(),
            append_of: HashMap::new(),
            failed: HashSet::new(),
            error: None,
        };
        for job in jobs {
            match job {
                Job::Track(job) => plan.add(job, open, unix_ms),
                Job::Status(job) => plan.add_status(job, open),
            }
        }
        plan
    }

    fn add_status(&mut self, job: StatusJob, open: &mut OpenSegments) {
        use protocol::api::SessionStatus::{Abandoned, Completed};
        let StatusJob { id, status, last_activity_unix_ms, tracks, certificate, done } = job;
        if matches!(status, Completed | Abandoned) {
            open.end(id);
        }
        self.items.push(Item {
            session: id,
            changes: vec![Change::Status { id, status, last_activity_unix_ms, tracks, certificate }],
            part: None,
            to: To::Status(done),
            is_failed: false,
        });
    }

    fn add(&mut self, job: TrackJob, open: &mut OpenSegments, unix_ms: u64) {
        let TrackJob { info, track, ticket, record, to, budget } = job;
        let id = info.id;
        let mut item = Item {
            session: id,
            changes: Vec::new(),
            part: None,
            to: To::Track { to, track, ticket, _budget: budget },
            is_failed: false,
        };
        match record {
            Record::Opened { params, reopens } => {
                item.changes.push(Change::Opened { info: (*info).clone(), track, params, reopens, unix_ms });
            }
            Record::Params(params) => item.changes.push(Change::Params(id, track, params)),
            Record::Event(event) => item.changes.push(Change::Event(id, track, event)),
            Record::Finish(finish) => item.changes.push(Change::Finish(id, track, finish)),
            Record::Seal => open.seal(id, track),
            // A commit proves nothing; the recorder has taken these out.
            Record::Proof(_) => item.is_failed = true,
            Record::Part(record) => match open.place(id, &record) {
                Err(error) => {
                    self.error = Some(error.to_string());
                    item.is_failed = true;
                }
                Ok(place) => {
                    let part = &record.part;
                    item.part = Some((place.key, record.received));
                    if let Some(init) = &place.init {
                        let init_bytes = init.len() as u64;
                        let parameters = record.parameters.clone();
                        item.changes.push(Change::Segment(SegmentRow {
                            key: place.key,
                            init_bytes,
                            parameters,
                        }));
                    }
                    let row = PartRow {
                        segment: place.key,
                        first_unit: part.first_unit,
                        unit_count: part.unit_count,
                        offset_bytes: place.offset,
                        length_bytes: part.fragment.len() as u64,
                        payload_bytes: part.payload_bytes,
                        pts_90k: part.pts_90k,
                        duration_90k: part.duration_90k,
                        key: part.key,
                        crc32: crc32fast::hash(&part.fragment),
                        capture_us: part.capture_us,
                        stored_unix_ms: unix_ms,
                    };
                    item.changes.push(Change::Part { row, digests: part.digests.clone() });
                    let offset = if place.init.is_some() { 0 } else { place.offset };
                    let at = *self.append_of.entry(place.key).or_insert_with(|| {
                        self.appends.push(Append { key: place.key, offset, bytes: Vec::new() });
                        self.appends.len() - 1
                    });
                    self.appends[at].bytes.extend(place.init);
                    self.appends[at].bytes.push(part.fragment.clone());
                }
            },
        }
        self.items.push(item);
    }

    pub(super) fn take_appends(&mut self) -> Vec<Append> {
        std::mem::take(&mut self.appends)
    }

    /// The store's word; the outcomes are in the order of [`Self::take_appends`].
    pub(super) fn appended(&mut self, outcomes: Vec<Result<(), StoreError>>) {
        for (key, at) in &self.append_of {
            match outcomes.get(*at) {
                Some(Ok(())) => continue,
                Some(Err(error)) => self.error = Some(error.to_string()),
                None => self.error = Some("the store did not answer".to_owned()),
            }
            self.failed.insert(*key);
        }
        for item in &mut self.items {
            item.is_failed |= item.part.is_some_and(|(key, _)| self.failed.contains(&key));
        }
    }

    /// Commits the rows of what has not failed: all at once, and if that fails session by session, so that one
    /// session's fault is not another's.
    pub(super) async fn commit(&mut self, database: &dyn Database) -> HashMap<SessionId, String> {
        let all = self.changes(|_| true);
        let mut refused = HashMap::new();
        if all.is_empty() {
            return refused;
        }
        let Err(error) = commit_rows(database, &all).await else { return refused };
        let sessions: HashSet<SessionId> = self.items.iter().map(|item| item.session).collect();
        if sessions.len() == 1 {
            refused.extend(sessions.into_iter().map(|session| (session, error.clone())));
            return refused;
        }
        for session in sessions {
            let changes = self.changes(|item| item.session == session);
            if let Err(error) = commit_rows(database, &changes).await {
                refused.insert(session, error);
            }
        }
        refused
    }

    /// The rows, parts last and together, so that they share statements. A segment's row stands before its parts'.
    fn changes(&self, wanted: impl Fn(&Item) -> bool) -> Vec<Change> {
        let items = self.items.iter().filter(|item| !item.is_failed && wanted(item));
        let changes = items.flat_map(|item| item.changes.iter().cloned());
        let (parts, mut others): (Vec<_>, Vec<_>) =
            changes.partition(|change| matches!(change, Change::Part { .. }));
        others.extend(parts);
        others
    }

    pub(super) fn finish(mut self, refused: HashMap<SessionId, String>) -> Outcomes {
        let mut durable = Vec::new();
        for item in &mut self.items {
            item.is_failed |= refused.contains_key(&item.session);
            match item.part {
                Some((key, _)) if item.is_failed => {
                    self.failed.insert(key);
                }
                Some(part) => durable.push(part),
                None => {}
            }
        }
        let error = self.error.or_else(|| refused.into_values().next());
        Outcomes { failed: self.failed, durable, error, items: self.items }
    }
}

fn commit_rows<'a>(database: &'a dyn Database, changes: &'a [Change]) -> BoxFuture<'a, Result<(), String>> {
    Box::pin(async move { database.commit(changes).await.map_err(|error| error.to_string()) })
}

impl Outcomes {
    /// How many jobs the commit was of.
    pub(super) fn jobs(&self) -> usize {
        self.items.len()
    }

    /// Tells everyone who waits, each track once.
    pub(super) fn tell(self) {
        type OfTrack = (Arc<dyn Recorded>, Vec<(Ticket, Result<(), ErrorBody>)>);
        let mut tracks: HashMap<(SessionId, Track), OfTrack> = HashMap::new();
        for item in self.items {
            let outcome = if item.is_failed { Err(unavailable()) } else { Ok(()) };
            match item.to {
                To::Track { to, track, ticket, .. } => {
                    let entry = tracks.entry((item.session, track)).or_insert_with(|| (to, Vec::new()));
                    entry.1.push((ticket, outcome));
                }
                // Whoever asked may be gone by now.
                To::Status(done) => drop(done.send(outcome)),
            }
        }
        for ((_, track), (to, outcomes)) in tracks {
            to.recorded(track, outcomes);
        }
    }
}
