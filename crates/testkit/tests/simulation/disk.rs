//! The server's disk: what is recorded, when, and what a crash leaves of it.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;
use ingest_server::ingest::{Record, StoredTrack, Ticket};
use media::mp4::read_fragment;
use protocol::certificate::excluded;
use protocol::codec::{CodecParameters, Params};
use protocol::digest::UnitDigests;
use protocol::error::{ErrorBody, ErrorCode};
use protocol::unit::Unit;
use protocol::{Track, UnitRange, UnitRanges};
use testkit::network::between;

use crate::fault::Fault;
use crate::scenario::Scenario;

/// What the encoder has made so far.
#[derive(Debug, Default)]
pub(crate) struct Made {
    pub(crate) units: Vec<Unit>,
    pub(crate) params: Vec<Params>,
}

impl Made {
    fn parameters(&self, unit: u64) -> &CodecParameters {
        let at = self.params.partition_point(|params| params.from_unit <= unit);
        &self.params[at - 1].parameters
    }
}

/// One track's recordings: durable ones, and those on their way.
#[derive(Debug)]
pub(crate) struct Disk {
    track: Track,
    fault: Fault,
    stored: StoredTrack,
    /// What the rows of the stored parts hold.
    digests: UnitDigests,
    waiting: VecDeque<Waiting>,
    free_at: Duration,
    /// Until then every write fails: the disk is full.
    full: Option<(Duration, Duration)>,
    /// Now and then a write takes seconds.
    is_slow: bool,
    pub(crate) errors: u64,
}

#[derive(Debug)]
struct Waiting {
    ticket: Ticket,
    record: Record,
    done_at: Duration,
}

impl Disk {
    pub(crate) fn new(track: Track, fault: Fault, scenario: &Scenario) -> Self {
        Self {
            track,
            fault,
            stored: StoredTrack::default(),
            digests: UnitDigests::new(),
            waiting: VecDeque::new(),
            free_at: Duration::ZERO,
            full: scenario.server_full.map(|span| (span.start, span.end)),
            is_slow: scenario.server_is_slow,
            errors: 0,
        }
    }

    /// What is durable: what the server finds again after a restart.
    pub(crate) fn stored(&self) -> &StoredTrack {
        &self.stored
    }

    /// What a restarted server is told of it.
    pub(crate) fn found(&self) -> StoredTrack {
        let mut found = self.stored.clone();
        if self.fault == Fault::ForgetsRanges {
            found.durable = UnitRanges::new();
        }
        found
    }

    /// Begins to write a record; returns when it is durable, or its ticket if it tells so at once.
    pub(crate) fn write(
        &mut self,
        rng: &mut Rng,
        now: Duration,
        ticket: Ticket,
        record: Record,
    ) -> Option<Ticket> {
        // Mostly a quick group commit, now and then a disk that is busy with something else.
        let takes = match rng.u8(0..40) {
            0 if self.is_slow => between(rng, Duration::from_millis(300), Duration::from_secs(4)),
            _ if self.fault == Fault::OverfillsServer && matches!(record, Record::Part(_)) => {
                Duration::from_secs(30)
            }
            _ => between(rng, Duration::from_millis(2), Duration::from_millis(120)),
        };
        self.free_at = self.free_at.max(now) + takes;
        self.waiting.push_back(Waiting { ticket, record, done_at: self.free_at });
        (self.fault == Fault::AcksEarly).then_some(ticket)
    }

    /// When the oldest write is done.
    pub(crate) fn next_done(&self) -> Option<Duration> {
        self.waiting.front().map(|waiting| waiting.done_at)
    }

    /// Ends the writes that are done by now.
    pub(crate) fn done(&mut self, now: Duration, made: &Made) -> Vec<(Ticket, Result<(), ErrorBody>)> {
        let mut outcomes = Vec::new();
        while self.waiting.front().is_some_and(|waiting| waiting.done_at <= now) {
            let Some(Waiting { ticket, record, .. }) = self.waiting.pop_front() else { break };
            if self.full.is_some_and(|(start, end)| start <= now && now < end) {
                self.errors += 1;
                let error = ErrorBody::new(ErrorCode::StorageUnavailable, "the disk is full");
                outcomes.push((ticket, Err(error)));
            } else {
                outcomes.push((ticket, self.keep(record, made)));
            }
        }
        outcomes
    }

    /// The power goes: of what was being written a first part may have made it, the rest has not.
    pub(crate) fn crash(&mut self, rng: &mut Rng, now: Duration, made: &Made) {
        let kept = rng.usize(0..=self.waiting.len());
        let full = self.full.is_some_and(|(start, end)| start <= now && now < end);
        let waiting = std::mem::take(&mut self.waiting);
        if !full {
            for waiting in waiting.into_iter().take(kept) {
                self.keep(waiting.record, made).ok();
            }
        }
        self.free_at = now;
    }

    fn keep(&mut self, record: Record, made: &Made) -> Result<(), ErrorBody> {
        match record {
            Record::Opened { params, .. } => self.stored.params = params,
            Record::Params(params) => {
                self.stored.params.retain(|have| have.from_unit != params.from_unit);
                self.stored.params.push(params);
                self.stored.params.sort_by_key(|params| params.from_unit);
            }
            Record::Event(event) => self.stored.put_event(event),
            Record::Finish(finish) => {
                self.stored.finish = Some(finish);
                self.stored.is_proven = false;
            }
            Record::Proof(finish) => {
                let excluded = excluded(&finish.lost, &finish.unwitnessed);
                let digest = self.digests.track_digest(self.track, finish.units, &excluded);
                if digest != Some(finish.digest) {
                    return Err(ErrorBody::new(ErrorCode::DigestMismatch, "the digests differ"));
                }
                self.stored.is_proven |= self.stored.finish.as_ref() == Some(&finish);
            }
            Record::Seal => {}
            Record::Part(record) => {
                let part = record.part;
                let units = UnitRange::new(part.first_unit, part.next_unit() - 1);
                for number in units.first..=units.last {
                    assert!(
                        !self.stored.durable.contains(number),
                        "invariant: unit {number} is stored twice"
                    );
                }
                if self.fault == Fault::ForgetsParts && part.first_unit % 7 == 3 {
                    return Ok(());
                }
                for number in [units.first, units.last] {
                    let parameters = made.parameters(number);
                    assert_eq!(&record.parameters, parameters, "invariant: a part knows what decodes it");
                }
                let mut fragment = part.fragment.to_vec();
                if self.fault == Fault::AltersPayloads
                    && let Some(last) = fragment.last_mut()
                {
                    *last ^= 1;
                }
                check_fragment(&fragment, &made.units[units.first as usize..=units.last as usize]);
                for (number, digest) in (units.first..).zip(part.digests.iter().copied()) {
                    self.digests.record(number, digest);
                }
                self.stored.insert(units, part.payload_bytes, part.pts_90k, part.end_90k());
            }
        }
        Ok(())
    }
}

/// The stored bytes hold exactly the units that the publisher made.
fn check_fragment(fragment: &[u8], made: &[Unit]) {
    let index = read_fragment(fragment).expect("invariant: a stored fragment can be read");
    assert_eq!(index.samples.len(), made.len(), "invariant: a stored part has its units");
    let mut at = index.payload_offset as usize;
    for (sample, unit) in index.samples.iter().zip(made) {
        let end = at + sample.bytes as usize;
        assert!(
            fragment[at..end] == unit.payload,
            "invariant: unit {} is stored as it was made",
            unit.number
        );
        at = end;
    }
    assert_eq!(index.pts_90k, made[0].pts_90k, "invariant: a stored part has its time");
}
