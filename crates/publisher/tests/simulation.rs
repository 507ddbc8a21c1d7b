//! A whole track over a bad network against a model of the server, in virtual time, from a seed.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use protocol::control::{Device, Finish, Limits, PublisherMessage, ServerMessage, Welcome};
use protocol::error::{ErrorBody, ErrorCode};
use protocol::unit::{Lane, Unit, decode_message};
use protocol::{ResumeKey, SessionId, Track, UnitRanges};
use publisher::spool::{MemorySpool, Overflow};
use publisher::status::Phase;
use publisher::track::{Command, ConnectFailure, Identity, Message, Pace, SocketEvent, Tell, TrackMachine};
use signing::SigningKey;
use testkit::units::{UnitSource, params};

const SEEDS: u64 = 200;
/// The network is bad for so long; the track has units for so long, too.
const BAD_FOR: Duration = Duration::from_secs(40);
/// A run that is not complete by then never will be.
const PATIENCE: Duration = Duration::from_secs(400);

/// What is under way, ordered by when it arrives.
enum Arrival {
    NextUnit,
    Finish,
    AtMachine {
        connection: u32,
        event: SocketEvent,
    },
    AtServer {
        connection: u32,
        message: Message,
    },
    /// The server made durable what it had received.
    Durable {
        connection: u32,
        units: UnitRanges,
    },
    /// The connection breaks; in silence, or so that the machine learns of it.
    Break {
        connection: u32,
        silent: bool,
    },
}

/// A server that keeps what is durable and forgets everything else with the connection.
#[derive(Default)]
struct Server {
    durable: UnitRanges,
    finish: Option<Finish>,
}

/// What the test knows of the present connection.
#[derive(Default)]
struct Connection {
    id: u32,
    /// Nothing gets through any more.
    broken: bool,
    /// The machine knows that.
    closed: bool,
    welcomed: bool,
    /// What the machine was told to be durable on this connection.
    told: UnitRanges,
    written: UnitRanges,
    /// In the live lane and in the backfill lane.
    highest_written: [Option<u64>; 2],
}

struct Run {
    rng: Rng,
    now: Duration,
    track: Track,
    source: UnitSource,
    machine: TrackMachine,
    pace: Pace,
    capacity_bytes: u64,
    arrivals: BTreeMap<(Duration, u64), Arrival>,
    sequence: u64,
    server: Server,
    connection: Connection,
}

impl Run {
    fn new(seed: u64, track: Track, capacity_bytes: u64) -> Self {
        let identity = Identity {
            session: SessionId::v7(1_700_000_000_000, [1; 10]),
            resume_key: ResumeKey::from_bytes([2; 16]),
            room: "studio".parse().unwrap(),
            device: Device { name: "Desk".into(), platform: "linux".into(), app: "test".into() },
            started_unix_ms: 1_700_000_000_000,
            device_key: Arc::new(SigningKey::from_seed([9; 32])),
        };
        let mut rng = Rng::with_seed(seed);
        let pace = Pace {
            in_flight_bytes: rng.u64(2_000..200_000),
            hold: Duration::from_millis(if rng.bool() { 0 } else { rng.u64(1..100) }),
            ..Pace::of(track)
        };
        let overflow = if track == Track::Video { Overflow::OldestGop } else { Overflow::OldestUnit };
        let spool = Box::new(MemorySpool::new(capacity_bytes, overflow));
        let machine = TrackMachine::new(track, identity, pace, spool, seed);
        Self {
            rng,
            now: Duration::ZERO,
            track,
            source: UnitSource::new(track, seed),
            machine,
            pace,
            capacity_bytes,
            arrivals: BTreeMap::new(),
            sequence: 0,
            server: Server::default(),
            connection: Connection::default(),
        }
    }

    fn later(&mut self, delay: Duration, arrival: Arrival) {
        self.sequence += 1;
        self.arrivals.insert((self.now + delay, self.sequence), arrival);
    }

    fn millis(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.rng.u64(range))
    }

    /// Runs to the end and returns how many units were lost.
    fn complete(mut self) -> u64 {
        self.machine.params(self.now, params(self.track)).unwrap();
        self.later(Duration::ZERO, Arrival::NextUnit);
        self.later(BAD_FOR, Arrival::Finish);
        while self.machine.completion().is_none() {
            self.drain();
            let arrives = self.arrivals.first_key_value().map(|((at, _), _)| *at);
            let due = self.machine.next_timeout();
            self.now = [arrives, due].into_iter().flatten().min().expect("something happens").max(self.now);
            assert!(self.now < PATIENCE, "stuck: {:?}", self.machine.status());
            if arrives.is_some_and(|at| at <= self.now) {
                let (_, arrival) = self.arrivals.pop_first().unwrap();
                self.arrive(arrival);
            }
            self.machine.timeout(self.now);
            let status = self.machine.status();
            assert!(status.backlog.bytes <= self.capacity_bytes);
            assert!(!matches!(status.phase, Phase::NeedsYou(_)), "{status:?}");
        }
        let units = self.machine.completion().unwrap().units;
        let lost = self.machine.lost();
        let mut accounted = self.server.durable.clone();
        accounted.extend(&lost);
        assert_eq!(accounted.gaps_below(units).count(), 0, "each unit is durable or known to be lost");
        let finish = self.server.finish.unwrap();
        assert_eq!((finish.units, &finish.lost), (units, &lost));
        assert_eq!(self.machine.status().counters.lost_units, units - self.server.durable.count());
        lost.count()
    }

    fn drain(&mut self) {
        while let Some(message) = self.machine.poll_message(self.now) {
            self.check_written(&message);
            let connection = self.connection.id;
            let delay = Duration::from_millis(20);
            self.later(delay, Arrival::AtServer { connection, message });
        }
        while let Some(command) = self.machine.poll_command() {
            match command {
                Command::Connect => self.connect(),
                Command::Disconnect => {
                    self.connection.broken = true;
                    self.connection.closed = true;
                }
                Command::Tell(tell) => assert_eq!(tell, Tell::KeyframeRequest),
            }
        }
    }

    /// The promises of the machine about what it writes.
    fn check_written(&mut self, message: &Message) {
        assert!(!self.connection.closed, "nothing is written to a connection that is gone");
        let Message::Binary(bytes) = message else { return };
        assert!(self.connection.welcomed, "no unit before welcome");
        let units: Vec<Unit> = decode_message(bytes.clone()).map(Result::unwrap).collect();
        for unit in &units {
            assert!(!self.connection.told.contains(unit.number), "unit {} is durable", unit.number);
            assert!(!self.connection.written.contains(unit.number), "each once");
            self.connection.written.insert(unit.number);
            let highest = &mut self.connection.highest_written[usize::from(unit.lane == Lane::Backfill)];
            let ascends = *highest < Some(unit.number);
            assert!(ascends || unit.lane == Lane::Backfill, "the live lane ascends");
            *highest = Some(unit.number);
        }
        let counters = self.machine.status().counters;
        let is_alone = counters.in_flight_units <= units.len() as u64;
        assert!(counters.in_flight_bytes <= self.pace.in_flight_bytes || is_alone, "{counters:?}");
    }

    fn connect(&mut self) {
        let id = self.connection.id + 1;
        self.connection = Connection { id, ..Connection::default() };
        let delay = self.millis(1..200);
        let bad = self.now < BAD_FOR;
        let event = match self.rng.u32(0..10) {
            0 if bad => SocketEvent::ConnectFailed(ConnectFailure::Unreachable("no route".into())),
            1 if bad => {
                let error = ErrorBody::new(ErrorCode::ShuttingDown, "back soon");
                SocketEvent::ConnectFailed(ConnectFailure::Refused(error))
            }
            // No answer at all.
            2 if bad => return,
            _ => SocketEvent::Opened,
        };
        self.later(delay, Arrival::AtMachine { connection: id, event });
        if bad && self.rng.u32(0..5) > 0 {
            let (lifetime, silent) = (self.millis(1..12_000), self.rng.bool());
            self.later(lifetime, Arrival::Break { connection: id, silent });
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::NextUnit => {
                if self.now < BAD_FOR {
                    self.machine.push(self.now, self.source.next().unwrap()).unwrap();
                    let pause = Duration::from_micros(1_000_000 / UnitSource::rate(self.track));
                    self.later(pause, Arrival::NextUnit);
                }
            }
            Arrival::Finish => self.machine.finish(self.now),
            Arrival::AtMachine { connection, event } if self.reaches(connection) => self.hand_over(event),
            Arrival::AtServer { connection, message } if self.reaches(connection) => self.serve(message),
            Arrival::Durable { connection, units } => {
                self.server.durable.extend(&units);
                self.answer(connection, &ServerMessage::Ack { durable: units.clone() });
                if self.rng.u32(0..10) == 0 {
                    self.answer(connection, &ServerMessage::Ack { durable: units });
                }
                self.complete_if_whole(connection);
            }
            Arrival::Break { connection, silent } if self.reaches(connection) => {
                self.connection.broken = true;
                if !silent {
                    self.connection.closed = true;
                    let closed = SocketEvent::Closed { code: None, reason: "reset".into() };
                    self.machine.socket(self.now, closed);
                }
            }
            Arrival::AtMachine { .. } | Arrival::AtServer { .. } | Arrival::Break { .. } => {}
        }
    }

    fn reaches(&self, connection: u32) -> bool {
        connection == self.connection.id && !self.connection.broken
    }

    fn hand_over(&mut self, event: SocketEvent) {
        if let SocketEvent::Text(text) = &event {
            match ServerMessage::parse(text).unwrap() {
                ServerMessage::Welcome(welcome) => {
                    self.connection.welcomed = true;
                    self.connection.told.extend(&welcome.durable);
                }
                ServerMessage::Ack { durable } => self.connection.told.extend(&durable),
                _ => {}
            }
        }
        self.machine.socket(self.now, event);
    }

    fn answer(&mut self, connection: u32, message: &ServerMessage) {
        let event = SocketEvent::Text(message.to_json());
        self.later(Duration::from_millis(20), Arrival::AtMachine { connection, event });
    }

    fn serve(&mut self, message: Message) {
        let connection = self.connection.id;
        let text = match message {
            Message::Ping(number) => {
                let event = SocketEvent::Pong(number);
                return self.later(Duration::from_millis(20), Arrival::AtMachine { connection, event });
            }
            Message::Binary(bytes) => {
                let mut units = UnitRanges::new();
                decode_message(bytes).for_each(|unit| units.insert(unit.unwrap().number));
                // Sometimes the server dies before it is durable.
                if self.now < BAD_FOR && self.rng.u32(0..300) == 0 {
                    return self.arrive(Arrival::Break { connection, silent: false });
                }
                let slow_disk = self.millis(10..800);
                return self.later(slow_disk, Arrival::Durable { connection, units });
            }
            Message::Text(text) => text,
        };
        match PublisherMessage::parse(&text).unwrap() {
            PublisherMessage::Hello(_) => {
                let limits = Limits { message_bytes: 1 << 22, unit_bytes: 1 << 21, idle_ms: 30_000 };
                let durable = self.server.durable.clone();
                let welcome = Welcome { version: 1, durable, limits, server_unix_ms: 0 };
                self.answer(connection, &ServerMessage::Welcome(welcome));
            }
            PublisherMessage::Finish(finish) => {
                self.server.finish = Some(finish);
                self.complete_if_whole(connection);
            }
            PublisherMessage::Params(_) | PublisherMessage::Event(_) => {}
        }
    }

    fn complete_if_whole(&mut self, connection: u32) {
        let Some(finish) = &self.server.finish else { return };
        let mut settled = self.server.durable.clone();
        settled.extend(&finish.lost);
        if settled.gaps_below(finish.units).is_empty() {
            let (units, digest) = (finish.units, finish.digest);
            let durable_units = self.server.durable.count();
            let complete = ServerMessage::Complete { units, durable_units, digest };
            self.answer(connection, &complete);
        }
    }
}

/// Runs every seed; a failing one is named by the panic message.
fn every_seed(name: &str, track: Track, capacity_bytes: u64) -> u64 {
    let mut lost = 0;
    for seed in 0..SEEDS {
        let outcome = std::panic::catch_unwind(|| Run::new(seed, track, capacity_bytes).complete());
        match outcome {
            Ok(units) => lost += units,
            Err(_) => panic!("{name} fails with seed {seed}"),
        }
    }
    lost
}

#[test]
fn over_a_bad_network_every_video_unit_becomes_durable() {
    assert_eq!(every_seed("video", Track::Video, 1 << 30), 0);
}

#[test]
fn over_a_bad_network_every_audio_unit_becomes_durable() {
    assert_eq!(every_seed("audio", Track::Audio, 1 << 30), 0);
}

#[test]
fn with_too_little_memory_every_unit_becomes_durable_or_is_named_as_lost() {
    assert!(every_seed("little memory, video", Track::Video, 100_000) > 0);
    assert!(every_seed("little memory, audio", Track::Audio, 30_000) > 0);
}
