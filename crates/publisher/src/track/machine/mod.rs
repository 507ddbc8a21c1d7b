//! A track's state and its inputs and outputs; what they lead to is in the modules below.

mod framing;
mod hearing;
mod rating;
mod writing;

use std::collections::VecDeque;
use std::time::Duration;

use protocol::codec::Params;
use protocol::control::{Event, EventKind, PublisherMessage};
use protocol::digest::{UnitDigests, unit_digest};
use protocol::error::{ErrorBody, ErrorCode};
use protocol::limits::{MAX_EVENTS, MAX_PARAMS_CHANGES, MAX_TEXT_BYTES};
use protocol::unit::Unit;
use protocol::{Track, UnitRanges};

use super::acceptable::check;
use super::lanes::Newest;
use super::link::{Link, Stage};
use super::losses::Losses;
use super::refusal::{printable, refusal_of_close, shown};
use super::{
    AudioState, Command, Completion, ConnectFailure, Identity, Message, Pace, PushError, SocketEvent, Tell,
};
use crate::backoff::Backoff;
use crate::latency::Latency;
use crate::rate::Controller;
use crate::spool::disk::RecoveredTrack;
use crate::spool::{Note, Spool};
use crate::status::{Counters, Phase, TrackStatus};

/// Commands that nobody has polled yet. Only [`Command::Tell`] is dropped when there are as many.
const COMMAND_CAPACITY: usize = 64;

/// One track's socket. The module's documentation states how to use it and what it promises.
pub struct TrackMachine {
    track: Track,
    identity: Identity,
    pace: Pace,
    spool: Box<dyn Spool>,
    backoff: Backoff,
    state: State,
    commands: VecDeque<Command>,
    /// The newest time that any input brought.
    now: Duration,

    params: Vec<Params>,
    events: Vec<Event>,
    next_number: u64,
    /// The newest unit's end.
    end_90k: u64,
    finished: bool,
    durable: UnitRanges,
    /// Of every unit that was pushed: 16 bytes each, about 5 MB an hour for both tracks.
    digests: UnitDigests,
    /// Those that the spool was told, because the units are forgotten.
    noted: UnitRanges,
    losses: Losses,
    /// What an earlier program left, until the server has told what it has of it.
    recovered: Option<Found>,
    /// The oldest unit that waits for others to share its message, and how many bytes wait.
    held: Option<(Duration, usize)>,
    /// What the encoder should make, if it can be told.
    rate: Option<Controller>,
    /// How the sound fares, for a picture.
    audio: AudioState,
    /// How long a ping takes on the empty path, by the newest pongs.
    path_base: Option<Duration>,

    offline: Option<(Duration, String)>,
    /// Connections in a row that were given up because nothing was heard, before any unit was acknowledged.
    silences: u32,
    /// Units that were ever written, on this connection or an earlier one.
    written: UnitRanges,
    counters: Counters,
    latency: Latency,
}

/// What an earlier program left of a track.
struct Found {
    given_up: UnitRanges,
}

#[derive(Debug)]
enum State {
    /// There are no codec parameters yet, so that there is nothing to say hello with.
    Waiting,
    Connecting {
        deadline: Duration,
    },
    Linked(Link),
    Resting {
        until: Duration,
    },
    NeedsYou(ErrorBody),
    Complete(Completion),
}

impl TrackMachine {
    /// A track without units. It connects once it has codec parameters.
    #[must_use]
    pub fn new(track: Track, identity: Identity, pace: Pace, spool: Box<dyn Spool>, seed: u64) -> Self {
        Self {
            track,
            identity,
            pace,
            spool,
            backoff: Backoff::new(pace.backoff_first, pace.backoff_longest, seed),
            state: State::Waiting,
            commands: VecDeque::new(),
            now: Duration::ZERO,
            params: Vec::new(),
            events: Vec::new(),
            next_number: 0,
            end_90k: 0,
            finished: false,
            durable: UnitRanges::new(),
            digests: UnitDigests::new(),
            noted: UnitRanges::new(),
            losses: Losses::default(),
            recovered: None,
            held: None,
            rate: None,
            audio: AudioState::default(),
            path_base: None,
            offline: None,
            silences: 0,
            written: UnitRanges::new(),
            counters: Counters::default(),
            latency: Latency::default(),
        }
    }

    /// A track that an earlier program has left behind. It has ended: what is left is sent, then it is complete. The
    /// server may have more units than were found.
    #[must_use]
    pub(crate) fn recovered(
        track: Track,
        identity: Identity,
        pace: Pace,
        found: RecoveredTrack,
        seed: u64,
    ) -> Self {
        let RecoveredTrack { params, events, units, given_up, digests, noted, end_90k, spool } = found;
        let mut machine = Self::new(track, identity, pace, spool, seed);
        (machine.params, machine.events, machine.next_number) = (params, events, units);
        (machine.digests, machine.noted, machine.end_90k) = (digests, noted, end_90k);
        // A file is removed only once the server has all units in it.
        let mut known = given_up.clone();
        known.extend(&machine.spool.held());
        machine.durable = known.gaps_below(units);
        machine.recovered = Some(Found { given_up });
        if !machine.params.is_empty() {
            machine.connect();
        } else if units > 0 {
            let message =
                "the codec parameters of this track are lost, and its units are of no use without them";
            machine.state = State::NeedsYou(ErrorBody::new(ErrorCode::InvalidParams, message));
        }
        machine.finish(Duration::ZERO);
        machine
    }

    // Inputs from the encoder.

    /// Takes codec parameters; the first ones start the connection.
    ///
    /// # Errors
    /// [`PushError`] when they do not fit the track or the units so far; they are not taken then.
    pub fn params(&mut self, now: Duration, params: Params) -> Result<(), PushError> {
        self.see(now);
        if self.finished {
            return Err(PushError::Finished);
        }
        let ascends = self.params.last().is_none_or(|last| last.from_unit < params.from_unit);
        let is_ours = params.parameters.track() == self.track;
        if !ascends || !is_ours || params.from_unit < self.next_number {
            let expected = self.next_number;
            return Err(PushError::Parameters { from_unit: params.from_unit, expected });
        }
        if self.params.len() >= MAX_PARAMS_CHANGES {
            return Err(PushError::TooManyParameters);
        }
        self.spool.note(Note::Params(params.clone()));
        self.params.push(params);
        if matches!(self.state, State::Waiting) {
            self.connect();
        }
        Ok(())
    }

    /// Takes the next unit. Its `lane` is chosen here when it is written.
    ///
    /// # Errors
    /// [`PushError`] when it does not follow the unit before or cannot go over the wire; it is not
    /// taken then, and the next unit has to bear the same number.
    pub fn push(&mut self, now: Duration, unit: Unit) -> Result<(), PushError> {
        self.see(now);
        if self.finished {
            return Err(PushError::Finished);
        }
        if self.params.is_empty() {
            return Err(PushError::NoParameters);
        }
        check(&unit, self.next_number)?;
        self.digests.record(unit.number, unit_digest(self.track, &unit));
        self.next_number += 1;
        self.end_90k = unit.pts_90k + u64::from(unit.duration_90k);
        self.counters.payload_bytes += unit.payload.len() as u64;
        let held = self.held.get_or_insert((now, 0));
        held.1 += unit.encoded_bytes();
        for given_up in self.spool.push(unit) {
            self.losses.add(given_up);
        }
        Ok(())
    }

    /// Takes something that a viewer of the recording should know. `detail` is cut to what the protocol
    /// allows; events beyond what a session can hold are counted and dropped.
    pub fn event(&mut self, now: Duration, kind: EventKind, at_90k: u64, detail: &str) {
        self.see(now);
        if self.events.len() >= MAX_EVENTS {
            self.counters.dropped_events = self.counters.dropped_events.saturating_add(1);
            return;
        }
        let number = self.events.last().map_or(0, |last| last.number + 1);
        let detail = detail[..detail.floor_char_boundary(MAX_TEXT_BYTES)].to_owned();
        let event = Event { number, at_90k, kind, detail };
        self.spool.note(Note::Event(event.clone()));
        self.events.push(event);
    }

    /// No unit comes any more: once everything is durable, the track is complete.
    pub fn finish(&mut self, now: Duration) {
        self.see(now);
        if !std::mem::replace(&mut self.finished, true) {
            self.spool.note(Note::Finish { units: self.next_number });
        }
        // Without parameters there was no unit and no connection: the server never heard of the track.
        if matches!(self.state, State::Waiting) {
            self.state = State::Complete(Completion { units: 0, durable_units: 0, digest: None });
        }
    }

    /// Connects at once instead of at the next attempt: a person has done something about
    /// [`Phase::NeedsYou`], or the network is back.
    pub fn reconnect(&mut self, now: Duration) {
        self.see(now);
        if matches!(self.state, State::NeedsYou(_) | State::Resting { .. }) {
            self.connect();
        }
    }

    // Inputs from the socket and the clock.

    /// Takes what happened at the socket. Events that do not fit the state are ignored.
    pub fn socket(&mut self, now: Duration, event: SocketEvent) {
        self.see(now);
        match (event, &mut self.state) {
            (SocketEvent::Opened, State::Connecting { .. }) => {
                // On a path of seconds, opening and welcome take longer than either.
                self.state = State::Linked(Link::new(now, &self.pace, now + self.pace.connect_timeout));
            }
            (SocketEvent::ConnectFailed(failure), State::Connecting { .. }) => match failure {
                ConnectFailure::Refused(error) => self.refused(error),
                ConnectFailure::Unreachable(reason) => self.rest(reason),
                ConnectFailure::NoNetwork(reason) => self.rest_for(self.pace.backoff_first, &reason),
            },
            (SocketEvent::Closed { code, reason }, State::Linked(_)) => {
                match code.and_then(|code| refusal_of_close(code, &reason)) {
                    Some(error) => self.refused(error),
                    None if reason.is_empty() => self.rest("the connection was closed".to_owned()),
                    None => self.rest(reason),
                }
            }
            (SocketEvent::Text(text), State::Linked(link)) => {
                link.heard_at = now;
                self.text(&text);
            }
            (SocketEvent::Binary, State::Linked(_)) => {
                self.drop_link("the server sent a message that no server sends".to_owned());
            }
            (SocketEvent::Pong(number), State::Linked(link)) => {
                link.heard_at = now;
                if let Stage::Welcomed(welcomed) = &mut link.stage
                    && let Some(round_trip) = welcomed.window.pong(now, number)
                {
                    self.counters.round_trip = Some(round_trip);
                    self.path_base = welcomed.window.base();
                }
            }
            (SocketEvent::Heard, State::Linked(link)) => link.heard_at = now,
            _ => {}
        }
        self.read_rate();
    }

    /// Does what is due. To be called at [`TrackMachine::next_timeout`]; earlier or later does no harm.
    pub fn timeout(&mut self, now: Duration) {
        self.see(now);
        match &mut self.state {
            State::Connecting { deadline } if now >= *deadline => {
                // Attempts that nothing answers burden nobody, and say nothing of the next one.
                self.commands.push_back(Command::Disconnect);
                self.rest_for(self.pace.backoff_first, "the server does not answer");
            }
            State::Linked(link) if now >= link.dead_at(&self.pace, self.silences) => {
                self.silences = self.silences.saturating_add(1);
                self.drop_link("nothing was heard from the server any more".to_owned());
            }
            State::Linked(link) => link.tick(now),
            State::Resting { until } if now >= *until => self.connect(),
            _ => {}
        }
        self.read_rate();
    }

    /// When [`TrackMachine::timeout`] is due, if nothing else happens before.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        match &self.state {
            State::Connecting { deadline } => Some(*deadline),
            State::Resting { until } => Some(*until),
            State::Linked(link) => {
                let held_until = self.held.map(|(since, _)| since + self.pace.hold);
                // What is already due waits for the socket to take a message, not for the clock.
                let later = [held_until, self.losses.due_at(), self.rate_due_at()];
                let later = later.into_iter().flatten().filter(|&at| at > self.now);
                Some(later.fold(link.next_timeout(&self.pace, self.silences), Duration::min))
            }
            State::Waiting | State::NeedsYou(_) | State::Complete(_) => None,
        }
    }

    // Outputs.

    /// What to do with the socket, or whom to tell. Drain it after every input.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// The number of the ping that is to be written next, if one is. It may go in one packet with the message before it; who does not
    /// ask gets it as a message. What it gives counts as written.
    pub fn poll_ping(&mut self, now: Duration) -> Option<u32> {
        self.see(now);
        let State::Linked(Link { stage: Stage::Welcomed(welcomed), ping_due, .. }) = &mut self.state else {
            return None;
        };
        (std::mem::take(ping_due) || welcomed.window.wants_mark()).then(|| welcomed.window.mark(now))
    }

    /// The next message to write, or none until another input changes that. To be called when the
    /// socket can take a message: what it gives counts as written.
    pub fn poll_message(&mut self, now: Duration) -> Option<Message> {
        self.see(now);
        let State::Linked(link) = &mut self.state else { return None };
        if let Stage::Greeting { params_told: params_told @ None, .. } = &mut link.stage {
            *params_told = Some(self.params.len());
            return Some(Message::Text(self.hello().to_json()));
        }
        if let Some(number) = self.poll_ping(now) {
            return Some(Message::Ping(number));
        }
        for given_up in self.spool.take_given_up() {
            self.losses.add(given_up);
        }
        self.tell_losses();
        let State::Linked(Link { stage: Stage::Welcomed(welcomed), .. }) = &mut self.state else {
            return None;
        };
        if let Some(params) = self.params.get(welcomed.params_written) {
            welcomed.params_written += 1;
            return Some(Message::Text(PublisherMessage::Params(params.clone()).to_json()));
        }
        if let Some(event) = self.events.get(welcomed.events_written) {
            welcomed.events_written += 1;
            return Some(Message::Text(PublisherMessage::Event(event.clone()).to_json()));
        }
        self.next_units().or_else(|| self.next_finish())
    }

    /// The track's state for people.
    #[must_use]
    pub fn status(&self) -> TrackStatus {
        let backlog = self.spool.backlog();
        let phase = match (&self.state, &self.offline) {
            (State::NeedsYou(error), _) => Phase::NeedsYou(error.clone()),
            (State::Complete(_), _) => Phase::Complete,
            (State::Waiting, _) => Phase::Waiting,
            (_, Some((since, reason))) => Phase::Offline { since: *since, reason: reason.clone() },
            (State::Linked(Link { stage: Stage::Welcomed(_), .. }), None) => {
                if Duration::from_millis(backlog.duration_ms) > self.pace.live_backlog {
                    Phase::CatchingUp
                } else {
                    Phase::Live
                }
            }
            (State::Connecting { .. } | State::Linked(_) | State::Resting { .. }, None) => Phase::Connecting,
        };
        let mut counters = self.counters;
        counters.units = self.next_number;
        counters.durable_units = self.durable.count();
        counters.lost_units = self.next_number - counters.durable_units - backlog.units;
        if let State::Complete(completion) = &self.state {
            counters.durable_units = completion.durable_units;
            counters.lost_units = completion.lost_units();
        }
        if let State::Linked(Link { stage: Stage::Welcomed(welcomed), .. }) = &self.state {
            counters.in_flight_units = welcomed.in_flight.units();
            counters.in_flight_bytes = welcomed.in_flight.bytes();
        }
        let target = self.rate.as_ref().map(Controller::target);
        TrackStatus { phase, backlog, counters, spool: self.spool.health(), target }
    }

    /// How the track ended, once the server has said that it is complete.
    #[must_use]
    pub const fn completion(&self) -> Option<Completion> {
        match self.state {
            State::Complete(completion) => Some(completion),
            _ => None,
        }
    }

    /// The units that are durable on the server, as far as it has said.
    #[must_use]
    pub const fn durable(&self) -> &UnitRanges {
        &self.durable
    }

    /// The units that were given up and that the server does not have.
    #[must_use]
    pub fn lost(&self) -> UnitRanges {
        let mut known = self.durable.clone();
        known.extend(&self.spool.held());
        known.gaps_below(self.next_number)
    }

    /// How long each unit took from its (last) writing to the ack that named it.
    #[must_use]
    pub const fn ack_latency(&self) -> &Latency {
        &self.latency
    }

    /// The spool's newest unit, as the lanes see it.
    const fn newest(&self) -> Newest {
        Newest { end_90k: self.end_90k, is_last: self.finished }
    }

    fn tell(&mut self, tell: Tell) {
        if self.commands.len() < COMMAND_CAPACITY {
            self.commands.push_back(Command::Tell(tell));
        }
    }

    // The connection's comings and goings.

    fn see(&mut self, now: Duration) {
        self.now = self.now.max(now);
    }

    fn connect(&mut self) {
        self.commands.push_back(Command::Connect);
        self.state = State::Connecting { deadline: self.now + self.pace.connect_timeout };
    }

    fn drop_link(&mut self, reason: String) {
        self.commands.push_back(Command::Disconnect);
        self.rest(reason);
    }

    fn refused_on_link(&mut self, error: ErrorBody) {
        self.commands.push_back(Command::Disconnect);
        self.refused(error);
    }

    fn refused(&mut self, error: ErrorBody) {
        if error.retryable {
            self.rest(error.message);
        } else {
            self.state = State::NeedsYou(shown(error));
        }
    }

    fn rest(&mut self, reason: String) {
        let wait = self.backoff.next_wait();
        self.rest_for(wait, &reason);
    }

    fn rest_for(&mut self, wait: Duration, reason: &str) {
        let reason = printable(reason);
        self.offline = match self.offline.take() {
            Some((since, _)) => Some((since, reason)),
            None => Some((self.now, reason)),
        };
        self.state = State::Resting { until: self.now + wait };
    }
}
