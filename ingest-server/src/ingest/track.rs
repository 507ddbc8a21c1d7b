//! The state machine of one track: what has arrived, what is durable, and what the publisher is told.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use media::part::{Part, PartAssembler, PartLimits};
use protocol::codec::CodecParameters;
use protocol::control::{Event, Finish, Hello, Limits, PublisherMessage, ServerMessage, Welcome};
use protocol::error::{ErrorBody, ErrorCode};
use protocol::limits::{MAX_EVENTS, MAX_RANGES};
use protocol::unit::{Unit, UnitError, decode_message};
use protocol::{PROTOCOL_VERSION, SessionId, Track, UnitRange, UnitRanges};

use super::checks::{Highest, check_order, check_payload};
use super::params::ParamsHistory;
use super::record::{PartRecord, Record, StoredTrack, Ticket};

#[path = "track_ending.rs"]
mod ending;
#[path = "track_live.rs"]
mod live;

/// Names one connection of a track. The caller never uses one twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// What every track of a server has in common.
#[derive(Debug, Clone)]
pub struct TrackSettings {
    /// When a part closes by what it holds.
    pub part: PartLimits,
    /// A part closes at the next multiple of this behind its first unit's arrival: at the same moment on all tracks
    /// of a server, so that one group commit makes all of them durable.
    pub part_wait: Duration,
    /// What `welcome` tells the publisher; `idle_ms` is kept here.
    pub limits: Limits,
}

/// What goes out on a connection.
#[derive(Debug, Clone, PartialEq)]
pub enum Transmit {
    /// A message.
    Message(ServerMessage),
    /// The last thing: an `error` message and the close.
    Close(ErrorBody),
}

/// What happened on a track since the server began to hold it, for its log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Units taken.
    pub units: u64,
    /// Units that were there already, and were dropped.
    pub duplicates: u64,
}

/// Bytes that a unit counts for besides its payload, and a record that holds no units counts for.
const UNIT_OVERHEAD_BYTES: u64 = 64;
const RECORD_OVERHEAD_BYTES: u64 = 1_024;

/// One track of one session, over all of its connections.
///
/// Invariant: `received` is the union of the durable units, of those in records whose outcome is not known, and
/// of those that the lanes hold. A unit is acknowledged only after [`Self::recorded`] has said that it is durable.
///
/// After any input, drain [`Self::poll_record`], [`Self::take_live`] and each connection's [`Self::poll_transmit`], and ask
/// [`Self::poll_timeout`] when to call [`Self::tick`].
#[derive(Debug)]
pub struct TrackIngest {
    track: Track,
    settings: TrackSettings,
    params: ParamsHistory,
    stored: StoredTrack,
    received: UnitRanges,
    highest: Option<Highest>,
    finish: Option<Finish>,
    lanes: [LaneParts; 2],
    in_flight: BTreeMap<Ticket, InFlight>,
    next_ticket: u64,
    undurable_bytes: u64,
    records: VecDeque<(Ticket, Record)>,
    connection: Option<Connection>,
    closing: Vec<(ConnectionId, VecDeque<Transmit>)>,
    live: live::Live,
    counters: Counters,
}

#[derive(Debug)]
struct LaneParts {
    assembler: PartAssembler,
    /// A part that the next one's IDR picture has closed. It waits for the moment at which all parts close: segments of
    /// different tracks begin at different times, and each would cost a commit of its own.
    closed: Option<Part>,
    /// When the oldest unit that it holds arrived; `None` while it holds nothing.
    since: Option<Duration>,
    /// Which parameters decode what it holds.
    params_index: usize,
}

#[derive(Debug)]
struct InFlight {
    bytes: u64,
    what: What,
}

#[derive(Debug)]
enum What {
    Part { units: UnitRange, payload_bytes: u64, pts_90k: u64, end_90k: u64 },
    Finish(Finish),
    Proof(Finish),
    Other,
}

#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    heard: Duration,
    server_unix_ms: u64,
    /// What its finish is signed for.
    session: SessionId,
    started_unix_ms: u64,
    /// The record of its hello; `welcome` waits for it.
    opening: Option<Ticket>,
    unacked: UnitRanges,
    /// Whether units came before `welcome` said what is durable.
    is_early: bool,
    /// Set by `finish`, cleared by `complete`.
    wants_complete: bool,
    out: VecDeque<ServerMessage>,
}

impl TrackIngest {
    /// A track with what is durable of it; nothing for a new one.
    #[must_use]
    pub fn new(track: Track, settings: TrackSettings, stored: StoredTrack) -> Self {
        let lane = || LaneParts {
            assembler: PartAssembler::new(track, settings.part),
            closed: None,
            since: None,
            params_index: 0,
        };
        Self {
            lanes: [lane(), lane()],
            track,
            settings,
            params: ParamsHistory::new(track, stored.params.clone()),
            received: stored.durable.clone(),
            highest: stored
                .durable
                .last()
                .zip(stored.last_pts_90k.zip(stored.end_90k))
                .map(|(number, (earliest_90k, latest_90k))| Highest { number, earliest_90k, latest_90k }),
            finish: stored.finish.clone(),
            stored,
            in_flight: BTreeMap::new(),
            next_ticket: 0,
            undurable_bytes: 0,
            records: VecDeque::new(),
            connection: None,
            closing: Vec::new(),
            live: live::Live::default(),
            counters: Counters::default(),
        }
    }

    /// A publisher said hello, and the session has found its resume key to be right. An older connection is closed.
    ///
    /// `server_unix_ms` is the wall clock, for `welcome`.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidParams`]; the connection is to be refused, an older one stays.
    pub fn connect(
        &mut self,
        now: Duration,
        server_unix_ms: u64,
        id: ConnectionId,
        hello: &Hello,
    ) -> Result<(), ErrorBody> {
        self.params.extend(&hello.params, self.highest.map(|highest| highest.number))?;
        self.detach(ErrorBody::new(ErrorCode::Superseded, "a newer connection has taken this one's place"));
        let params = self.params.all().to_vec();
        let opening = self.record(Record::Opened { params, reopens: !self.is_complete() }, What::Other);
        self.connection = Some(Connection {
            id,
            heard: now,
            server_unix_ms,
            session: hello.session,
            started_unix_ms: hello.started_unix_ms,
            opening: Some(opening),
            unacked: UnitRanges::new(),
            is_early: false,
            wants_complete: false,
            out: VecDeque::new(),
        });
        Ok(())
    }

    /// A text message came.
    pub fn text(&mut self, now: Duration, id: ConnectionId, text: &str) {
        match PublisherMessage::parse(text) {
            Ok(message) => self.message(now, id, message),
            Err(error) if self.heard(now, id) => {
                self.detach(ErrorBody::new(error.code(), error.to_string()));
            }
            Err(_) => {}
        }
    }

    /// A control message came.
    pub fn message(&mut self, now: Duration, id: ConnectionId, message: PublisherMessage) {
        if !self.heard(now, id) {
            return;
        }
        let outcome = match message {
            PublisherMessage::Hello(_) => {
                Err(ErrorBody::new(ErrorCode::InvalidMessage, "hello comes once, as the first message"))
            }
            PublisherMessage::Params(params) => self.params(params),
            PublisherMessage::Event(event) => self.event(event),
            PublisherMessage::Finish(finish) => self.finish(finish),
        };
        if let Err(error) = outcome {
            self.detach(error);
        }
    }

    /// A binary message came.
    pub fn binary(&mut self, now: Duration, id: ConnectionId, message: Bytes) {
        self.units(now, id, decode_message(message));
    }

    /// Units came, or what cannot be read as one.
    pub fn units(
        &mut self,
        now: Duration,
        id: ConnectionId,
        units: impl IntoIterator<Item = Result<Unit, UnitError>>,
    ) {
        if !self.heard(now, id) {
            return;
        }
        self.forget_live();
        if let Some(connection) = &mut self.connection {
            connection.is_early |= connection.opening.is_some();
        }
        for unit in units {
            let outcome = unit
                .map_err(|error| ErrorBody::new(error.code(), error.to_string()))
                .and_then(|unit| self.unit(now, unit));
            if let Err(error) = outcome {
                self.detach(error);
                self.recount();
                return;
            }
        }
    }

    /// The peer gave a sign of life. Says whether the connection is the track's.
    pub fn heard(&mut self, now: Duration, id: ConnectionId) -> bool {
        match &mut self.connection {
            Some(connection) if connection.id == id => {
                connection.heard = now;
                true
            }
            _ => false,
        }
    }

    /// The connection is gone. What it left unfinished goes to the recorder.
    pub fn disconnect(&mut self, id: ConnectionId) {
        self.closing.retain(|(closing, _)| *closing != id);
        if self.connection.as_ref().is_some_and(|connection| connection.id == id) {
            self.connection = None;
            self.flush();
            self.record(Record::Seal, What::Other);
        }
    }

    /// Closes the connection, if it is the track's, with what there is to acknowledge first.
    pub fn close(&mut self, id: ConnectionId, error: ErrorBody) {
        if self.connection.as_ref().is_some_and(|connection| connection.id == id) {
            self.detach(error);
        }
    }

    /// Sends what the lanes hold to the recorder without waiting for more.
    pub fn flush(&mut self) {
        for lane in 0..self.lanes.len() {
            self.flush_lane(lane);
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Duration) {
        for lane in 0..self.lanes.len() {
            if self.lanes[lane].since.is_some_and(|since| now >= self.closes_at(since)) {
                self.flush_lane(lane);
            }
        }
        if self.idle_at().is_some_and(|at| now >= at) {
            self.detach(ErrorBody::new(ErrorCode::IdleTimeout, "nothing was heard for too long"));
        }
    }

    /// When [`Self::tick`] has something to do next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        let lanes = self.lanes.iter().filter_map(|lane| lane.since).map(|since| self.closes_at(since));
        lanes.chain(self.idle_at()).min()
    }

    /// The recorder tells a record's outcome: durable, or why not.
    pub fn recorded(&mut self, ticket: Ticket, outcome: Result<(), ErrorBody>) {
        let Some(InFlight { bytes, what }) = self.in_flight.remove(&ticket) else { return };
        self.undurable_bytes = self.undurable_bytes.saturating_sub(bytes);
        if let Err(error) = outcome {
            self.not_recorded(ticket, error);
            return;
        }
        match what {
            What::Part { units, payload_bytes, pts_90k, end_90k } => {
                self.stored.insert(units, payload_bytes, pts_90k, end_90k);
                if let Some(connection) = &mut self.connection {
                    connection.unacked.insert_range(units);
                }
            }
            What::Finish(finish) => {
                self.stored.finish = Some(finish);
                self.stored.is_proven = false;
            }
            What::Proof(finish) => self.stored.is_proven |= self.stored.finish.as_ref() == Some(&finish),
            What::Other => self.welcome(ticket),
        }
        self.prove();
    }

    /// The next thing to send on a connection.
    pub fn poll_transmit(&mut self, id: ConnectionId) -> Option<Transmit> {
        if let Some((_, left)) = self.closing.iter_mut().find(|(closing, _)| *closing == id) {
            return left.pop_front();
        }
        let connection = self.connection.as_mut().filter(|connection| connection.id == id)?;
        if connection.opening.is_some() {
            return None;
        }
        if let Some(message) = connection.out.pop_front() {
            return Some(Transmit::Message(message));
        }
        if !connection.unacked.is_empty() {
            let durable = std::mem::take(&mut connection.unacked);
            return Some(Transmit::Message(ServerMessage::Ack { durable }));
        }
        if connection.wants_complete
            && self.stored.is_complete()
            && let Some(finish) = &self.stored.finish
        {
            connection.wants_complete = false;
            let durable_units = self.stored.durable.count();
            let complete =
                ServerMessage::Complete { units: finish.units, durable_units, digest: finish.digest };
            return Some(Transmit::Message(complete));
        }
        None
    }

    /// The next thing to record.
    pub fn poll_record(&mut self) -> Option<(Ticket, Record)> {
        self.records.pop_front()
    }

    /// The connection that units are taken from.
    #[must_use]
    pub fn connection(&self) -> Option<ConnectionId> {
        self.connection.as_ref().map(|connection| connection.id)
    }

    /// Bytes that were taken and are not durable yet; the caller stops reading above its budget.
    #[must_use]
    pub const fn undurable_bytes(&self) -> u64 {
        self.undurable_bytes
    }

    /// Whether nothing waits for the recorder or for more units.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.in_flight.is_empty() && self.lanes.iter().all(|lane| lane.since.is_none())
    }

    /// Whether the track has ended, durably, and its units are proven to be those that the publisher made.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.stored.is_complete()
    }

    /// What is durable.
    #[must_use]
    pub const fn stored(&self) -> &StoredTrack {
        &self.stored
    }

    /// Units that the track is known to have: one more than the highest number received or finished.
    #[must_use]
    pub fn known_units(&self) -> u64 {
        let received = self.highest.map_or(0, |highest| highest.number + 1);
        received.max(self.finish.as_ref().map_or(0, |finish| finish.units))
    }

    /// All codec parameters so far.
    #[must_use]
    pub fn all_params(&self) -> &[protocol::codec::Params] {
        self.params.all()
    }

    /// What happened so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    fn params(&mut self, params: protocol::codec::Params) -> Result<(), ErrorBody> {
        self.params.extend(std::slice::from_ref(&params), self.highest.map(|highest| highest.number))?;
        self.record(Record::Params(params), What::Other);
        Ok(())
    }

    fn event(&mut self, event: Event) -> Result<(), ErrorBody> {
        if event.number as usize >= MAX_EVENTS {
            return Err(ErrorBody::new(ErrorCode::TooLarge, "the track has too many events"));
        }
        if self.stored.events.contains(&event) {
            return Ok(());
        }
        self.stored.put_event(event.clone());
        self.record(Record::Event(event), What::Other);
        Ok(())
    }

    fn unit(&mut self, now: Duration, unit: Unit) -> Result<(), ErrorBody> {
        if self.received.contains(unit.number) {
            self.counters.duplicates += 1;
            return Ok(());
        }
        self.check_place(&unit)?;
        let Some(params_index) = self.params.index_for(unit.number) else {
            let message = format!("no codec parameters are known for unit {}", unit.number);
            return Err(ErrorBody::new(ErrorCode::InvalidParams, message));
        };
        check_payload(self.track, &unit)?;
        self.received.insert(unit.number);
        if self.received.as_slice().len() > MAX_RANGES {
            return Err(ErrorBody::new(ErrorCode::UnitOutOfRange, "the track has too many gaps"));
        }
        let is_newest = self.highest.is_none_or(|highest| unit.number > highest.number);
        self.keep_live(&unit, is_newest, params_index);
        if is_newest {
            let pts_90k = unit.pts_90k;
            self.highest = Some(Highest { number: unit.number, earliest_90k: pts_90k, latest_90k: pts_90k });
        }
        self.undurable_bytes += unit.payload.len() as u64 + UNIT_OVERHEAD_BYTES;
        self.counters.units += 1;

        let at = unit.lane as usize;
        if self.lanes[at].params_index != params_index {
            self.flush_lane(at);
            self.lanes[at].params_index = params_index;
        }
        let lane = &mut self.lanes[at];
        let since = *lane.since.get_or_insert(now);
        let Some(part) = lane.assembler.push(unit) else { return Ok(()) };
        let Some(before) = lane.closed.take() else {
            lane.closed = Some(part);
            return Ok(());
        };
        // More comes than a part at a time, as after an outage: it shall not wait.
        lane.since = (lane.assembler.pending_units() > 0).then_some(now);
        self.store(before, params_index, since);
        self.store(part, params_index, since);
        Ok(())
    }

    /// Whether a unit's number and time fit the track.
    fn check_place(&self, unit: &Unit) -> Result<(), ErrorBody> {
        // Of a track that is complete, what is lost stays so: its certificate says it.
        if self.is_complete() || self.finish.as_ref().is_some_and(|finish| unit.number >= finish.units) {
            return Err(ErrorBody::new(ErrorCode::SessionEnded, "the track has ended before this unit"));
        }
        check_order(unit, self.highest)
    }

    fn flush_lane(&mut self, at: usize) {
        let lane = &mut self.lanes[at];
        let (since, params_index) = (lane.since.take().unwrap_or_default(), lane.params_index);
        for part in [lane.closed.take(), lane.assembler.flush()].into_iter().flatten() {
            self.store(part, params_index, since);
        }
    }

    fn store(&mut self, part: Part, params_index: usize, received: Duration) {
        let units = UnitRange::new(part.first_unit, part.next_unit() - 1);
        let what = What::Part {
            units,
            payload_bytes: part.payload_bytes,
            pts_90k: part.pts_90k,
            end_90k: part.end_90k(),
        };
        let parameters: CodecParameters = self.params.all()[params_index].parameters.clone();
        // The units' bytes count since they arrived.
        let bytes = part.payload_bytes + UNIT_OVERHEAD_BYTES * u64::from(part.unit_count);
        let ticket = self.ticket(bytes, what);
        self.records.push_back((ticket, Record::Part(PartRecord { part, parameters, received })));
    }

    fn record(&mut self, record: Record, what: What) -> Ticket {
        self.undurable_bytes += RECORD_OVERHEAD_BYTES;
        let ticket = self.ticket(RECORD_OVERHEAD_BYTES, what);
        self.records.push_back((ticket, record));
        ticket
    }

    fn ticket(&mut self, bytes: u64, what: What) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.in_flight.insert(ticket, InFlight { bytes, what });
        ticket
    }

    fn welcome(&mut self, ticket: Ticket) {
        let Some(connection) = self.connection.as_mut().filter(|c| c.opening == Some(ticket)) else { return };
        connection.opening = None;
        connection.unacked = UnitRanges::new();
        connection.out.push_front(ServerMessage::Welcome(Welcome {
            version: PROTOCOL_VERSION,
            durable: self.stored.durable.clone(),
            limits: self.settings.limits.clone(),
            server_unix_ms: connection.server_unix_ms,
        }));
        self.push_viewers();
    }

    /// A record failed: its units have to come again. A publisher that still waits for `welcome` learns from that
    /// which; any other one has to say hello again.
    fn not_recorded(&mut self, ticket: Ticket, error: ErrorBody) {
        let will_learn = self.connection.as_ref().is_some_and(|connection| {
            !connection.is_early && connection.opening.is_some_and(|opening| ticket < opening)
        });
        if !will_learn {
            self.detach(error);
        }
        self.recount();
    }

    /// Finds out again what has arrived, from what is durable and what is on its way to the recorder. The lanes
    /// must be empty.
    fn recount(&mut self) {
        self.finish = self.stored.finish.clone();
        self.received = self.stored.durable.clone();
        for flying in self.in_flight.values() {
            if let What::Part { units, .. } = flying.what {
                self.received.insert_range(units);
            }
            if let What::Finish(finish) = &flying.what {
                self.finish = Some(finish.clone());
            }
        }
    }

    /// Ends the connection from this side: what is known to be durable is acknowledged, then comes the error.
    fn detach(&mut self, error: ErrorBody) {
        let Some(connection) = self.connection.take() else { return };
        let mut left: VecDeque<Transmit> = VecDeque::new();
        if connection.opening.is_none() {
            left.extend(connection.out.into_iter().map(Transmit::Message));
            if !connection.unacked.is_empty() {
                left.push_back(Transmit::Message(ServerMessage::Ack { durable: connection.unacked }));
            }
        }
        left.push_back(Transmit::Close(error));
        self.closing.push((connection.id, left));
        self.flush();
        self.record(Record::Seal, What::Other);
    }

    /// When a part closes whose first unit arrived at `since`.
    fn closes_at(&self, since: Duration) -> Duration {
        let wait_us = self.settings.part_wait.as_micros().max(1) as u64;
        Duration::from_micros((since.as_micros() as u64 / wait_us + 1) * wait_us)
    }

    fn idle_at(&self) -> Option<Duration> {
        let idle = Duration::from_millis(u64::from(self.settings.limits.idle_ms));
        self.connection.as_ref().map(|connection| connection.heard + idle)
    }
}

#[cfg(test)]
#[path = "track_tests.rs"]
mod tests;
