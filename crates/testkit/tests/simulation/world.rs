//! The simulated world: one session's two tracks, a network, and a server that crashes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use ingest_server::ingest::{ConnectionId, TrackIngest, TrackSettings, Transmit};
use media::part::PartLimits;
use protocol::codec::{CodecParameters, Params};
use protocol::control::{Device, EventKind, Limits, PublisherMessage, ServerMessage};
use protocol::digest::{UnitDigests, unit_digest};
use protocol::limits::{MAX_MESSAGE_BYTES, MAX_UNIT_BYTES};
use protocol::{ResumeKey, SessionId, Track};
use publisher::spool::{MemorySpool, Overflow};
use publisher::track::{Command, ConnectFailure, Identity, Message, Pace, SocketEvent, TrackMachine};
use testkit::network::{Path, Weather, between};
use testkit::units::{UnitSource, device_key, params};

use crate::disk::{Disk, Fault, Made};

/// What the publisher's kernel buffers before a write has to wait.
const SEND_BUFFER: Duration = Duration::from_millis(300);

/// After the network is up for good, a track has this long to complete.
const PATIENCE: Duration = Duration::from_secs(600);

/// What a run went through.
#[derive(Debug, Default, Clone)]
pub(crate) struct Outcome {
    pub(crate) units: u64,
    pub(crate) repeated_units: u64,
    pub(crate) lost_units: u64,
    pub(crate) reconnects: u64,
    pub(crate) server_crashes: u64,
    pub(crate) disk_errors: u64,
    pub(crate) superseded: u64,
}

impl Outcome {
    pub(crate) fn add(&mut self, other: &Self) {
        self.units += other.units;
        self.repeated_units += other.repeated_units;
        self.lost_units += other.lost_units;
        self.reconnects += other.reconnects;
        self.server_crashes += other.server_crashes;
        self.disk_errors += other.disk_errors;
        self.superseded += other.superseded;
    }
}

/// What happens at a time.
#[derive(Debug)]
enum Event {
    /// The encoder emits its next unit, or the track ends.
    Unit,
    /// A connection comes about, or does not.
    Opened(u64),
    /// A message reaches the server.
    Up(u64, Up),
    /// Something reaches the publisher.
    Down(u64, SocketEvent),
    /// The socket may take another message.
    Writable,
    /// The publisher's or the server's clock is due, or a write is done.
    Clock,
    /// An outage that both ends notice.
    Reset,
    /// The server is killed.
    Crash,
    /// The server is back.
    Restart,
}

#[derive(Debug)]
enum Up {
    Text(String),
    Binary(Bytes),
    Ping(u32),
    /// The publisher has closed.
    Gone,
}

#[derive(Debug)]
struct Connection {
    up: Path,
    down: Path,
    /// The server has said goodbye, or was told so.
    server_open: bool,
    greeted: bool,
}

/// One track: its publisher, its server side, the network between them.
struct TrackWorld {
    track: Track,
    rng: Rng,
    weather: Weather,
    now: Duration,
    queue: BinaryHeap<Reverse<(Duration, u64)>>,
    events: BTreeMap<u64, Event>,
    next_event: u64,

    source: UnitSource,
    made: Made,
    last_unit: u64,
    spool_bytes: u64,
    machine: TrackMachine,
    pace: Pace,

    ingest: Option<TrackIngest>,
    settings: TrackSettings,
    disk: Disk,
    connections: BTreeMap<u64, Connection>,
    /// The connection that the publisher believes in.
    current: Option<u64>,
    next_connection: u64,
    outcome: Outcome,
}

/// A session in the simulated world.
pub(crate) struct World {
    tracks: Vec<TrackWorld>,
}

impl World {
    pub(crate) fn new(seed: u64, fault: Fault) -> Self {
        Self { tracks: Track::ALL.into_iter().map(|track| TrackWorld::new(track, seed, fault)).collect() }
    }

    /// Runs until both tracks are complete.
    ///
    /// # Panics
    /// When an invariant does not hold.
    pub(crate) fn run(self) -> Outcome {
        let mut sum = Outcome::default();
        for track in self.tracks {
            sum.add(&track.run());
        }
        sum
    }
}

impl TrackWorld {
    fn new(track: Track, seed: u64, fault: Fault) -> Self {
        let mut rng = Rng::with_seed(seed.wrapping_mul(2) + u64::from(track == Track::Audio));
        let length = between(&mut rng, Duration::from_secs(1), Duration::from_secs(45));
        let until = length + between(&mut rng, Duration::ZERO, Duration::from_secs(40));
        let needs_bytes_per_second = match track {
            Track::Video => 20_000,
            Track::Audio => 6_000,
        };
        let weather = Weather::bad(&mut rng, until, needs_bytes_per_second);
        // In some worlds the queue is too small for the outages, so that units have to be given up.
        let spool_bytes = if rng.u8(0..4) == 0 { needs_bytes_per_second * 4 } else { 64 << 20 };
        let overflow = if track == Track::Video { Overflow::OldestGop } else { Overflow::OldestUnit };
        let identity = Identity {
            session: SessionId::v7(1_700_000_000_000 + seed, [7; 10]),
            resume_key: ResumeKey::from_bytes([3; 16]),
            room: "simulation".parse().unwrap(),
            device: Device { name: "test".into(), platform: "virtual".into(), app: "testkit".into() },
            started_unix_ms: 1_700_000_000_000,
            device_key: Arc::new(device_key()),
        };
        let pace = Pace { in_flight_bytes: rng.u64(8_192..400_000), ..Pace::of(track) };
        let machine = TrackMachine::new(
            track,
            identity,
            pace,
            Box::new(MemorySpool::new(spool_bytes, overflow)),
            rng.u64(..),
        );
        let settings = TrackSettings {
            part: PartLimits { duration_90k: 27_000, payload_bytes: 1 << 20 },
            part_wait: Duration::from_millis(400),
            limits: Limits {
                message_bytes: MAX_MESSAGE_BYTES as u32,
                unit_bytes: MAX_UNIT_BYTES as u32,
                idle_ms: 15_000,
            },
        };
        let disk = Disk::new(&mut rng, track, fault, until);
        let mut world = Self {
            track,
            weather,
            now: Duration::ZERO,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            next_event: 0,
            source: UnitSource::new(track, rng.u64(..)),
            made: Made::default(),
            last_unit: UnitSource::rate(track) * u64::try_from(length.as_millis()).unwrap() / 1_000,
            spool_bytes,
            machine,
            pace,
            ingest: Some(TrackIngest::new(track, settings.clone(), disk.found())),
            settings,
            disk,
            connections: BTreeMap::new(),
            current: None,
            next_connection: 0,
            outcome: Outcome::default(),
            rng,
        };
        world.plan_crashes(until);
        for outage in world.weather.outages().to_vec() {
            if outage.resets {
                world.at(outage.start, Event::Reset);
            }
        }
        world
    }

    fn plan_crashes(&mut self, until: Duration) {
        let mut at = Duration::ZERO;
        for _ in 0..self.rng.u32(0..4) {
            let crash = at + between(&mut self.rng, Duration::from_millis(50), until / 3);
            let back = crash + between(&mut self.rng, Duration::from_millis(50), Duration::from_secs(8));
            self.at(crash, Event::Crash);
            self.at(back, Event::Restart);
            at = back;
        }
    }

    fn at(&mut self, time: Duration, event: Event) {
        self.queue.push(Reverse((time.max(self.now), self.next_event)));
        self.events.insert(self.next_event, event);
        self.next_event += 1;
    }

    fn run(mut self) -> Outcome {
        self.change_params(params(self.track));
        self.at(Duration::ZERO, Event::Unit);
        self.settle();
        let mut ends_by = None;
        while self.machine.completion().is_none() {
            let Some(Reverse((time, id))) = self.queue.pop() else {
                panic!(
                    "invariant: something is always due until the track is complete: {:?}",
                    self.machine.status()
                );
            };
            self.now = time;
            if self.queue.len() < 2 || ends_by.is_none() {
                ends_by.get_or_insert(self.quiet_from() + PATIENCE);
            }
            assert!(Some(self.now) <= ends_by, "invariant: it completes; {:?}", self.machine.status());
            if let Some(event) = self.events.remove(&id) {
                self.happen(event);
            }
            self.settle();
            self.check();
        }
        self.check_completion();
        let counters = self.machine.status().counters;
        self.outcome.units = counters.units;
        self.outcome.lost_units = counters.lost_units;
        self.outcome.repeated_units = counters.repeated_units;
        self.outcome.reconnects = u64::from(counters.reconnects());
        self.outcome.disk_errors = self.disk.errors;
        self.outcome
    }

    /// From when on nothing goes wrong any more.
    fn quiet_from(&self) -> Duration {
        let last_outage = self.weather.outages().last().map_or(Duration::ZERO, |outage| outage.end);
        last_outage.max(Duration::from_secs(120))
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Unit => self.make_unit(),
            Event::Opened(id) => self.opened(id),
            Event::Up(id, message) => self.arrive(id, message),
            Event::Down(id, event) if self.current == Some(id) => self.machine.socket(self.now, event),
            Event::Reset => self.reset(),
            Event::Crash => self.crash(),
            Event::Restart => {
                self.ingest.get_or_insert_with(|| {
                    TrackIngest::new(self.track, self.settings.clone(), self.disk.found())
                });
            }
            Event::Clock => {
                for (ticket, outcome) in self.disk.done(self.now, &self.made) {
                    if let Some(ingest) = &mut self.ingest {
                        ingest.recorded(ticket, outcome);
                    }
                }
                if let Some(ingest) = &mut self.ingest {
                    ingest.tick(self.now);
                }
                self.machine.timeout(self.now);
            }
            Event::Down(..) | Event::Writable => {}
        }
    }

    fn make_unit(&mut self) {
        if self.made.units.len() as u64 == self.last_unit {
            self.machine.finish(self.now);
            return;
        }
        let unit = self.source.next().unwrap();
        if self.rng.u16(0..500) == 0 {
            self.machine.event(self.now, EventKind::FramesDropped, unit.pts_90k, "3 frames");
        }
        if unit.key && unit.number > 0 && self.rng.u16(0..200) == 0 {
            self.change_params(other_params(self.track, &self.made.params, unit.number));
        }
        self.made.units.push(unit.clone());
        self.machine.push(self.now, unit).unwrap();
        let next =
            Duration::from_micros(self.made.units.len() as u64 * 1_000_000 / UnitSource::rate(self.track));
        self.at(next, Event::Unit);
    }

    fn change_params(&mut self, params: Params) {
        self.made.params.push(params.clone());
        self.machine.params(self.now, params).unwrap();
    }

    // The network.

    fn connect(&mut self) {
        let id = self.next_connection;
        self.next_connection += 1;
        self.current = Some(id);
        let start = self.weather.outage_at(self.now).map_or(self.now, |outage| outage.end);
        self.at(start + self.weather.handshake(), Event::Opened(id));
    }

    fn opened(&mut self, id: u64) {
        if self.current != Some(id) {
            return;
        }
        if self.ingest.is_none() {
            let failure = ConnectFailure::Unreachable("connection refused".into());
            self.machine.socket(self.now, SocketEvent::ConnectFailed(failure));
            return;
        }
        let connection =
            Connection { up: Path::default(), down: Path::default(), server_open: true, greeted: false };
        self.connections.insert(id, connection);
        self.machine.socket(self.now, SocketEvent::Opened);
    }

    /// The publisher turns away. The server may hear of it, late, or never.
    fn disconnect(&mut self) {
        let Some(id) = self.current.take() else { return };
        let heard = self.rng.bool();
        if let Some(connection) = self.connections.get_mut(&id)
            && heard
        {
            let arrival = connection.up.arrival(&self.weather, &mut self.rng, self.now, 60);
            self.at(arrival, Event::Up(id, Up::Gone));
        }
    }

    fn reset(&mut self) {
        let ids: Vec<u64> = std::mem::take(&mut self.connections).into_keys().collect();
        for id in ids {
            if let Some(ingest) = &mut self.ingest {
                ingest.disconnect(ConnectionId(id));
            }
            if self.current == Some(id) {
                let closed = SocketEvent::Closed { code: None, reason: "connection reset".into() };
                self.machine.socket(self.now, closed);
            }
        }
    }

    fn crash(&mut self) {
        self.outcome.server_crashes += 1;
        self.ingest = None;
        self.disk.crash(&mut self.rng, self.now, &self.made);
        // The kernel of a killed program resets its connections; that of a dead machine says nothing.
        if self.rng.bool() {
            self.reset();
        } else {
            self.connections.clear();
        }
    }

    fn down(&mut self, id: u64, bytes: usize, event: SocketEvent) {
        if let Some(connection) = self.connections.get_mut(&id) {
            let arrival = connection.down.arrival(&self.weather, &mut self.rng, self.now, bytes);
            self.at(arrival, Event::Down(id, event));
        }
    }

    // The server.

    fn arrive(&mut self, id: u64, message: Up) {
        let Some(connection) = self.connections.get_mut(&id).filter(|connection| connection.server_open)
        else {
            return;
        };
        let Some(ingest) = &mut self.ingest else { return };
        let server_id = ConnectionId(id);
        match message {
            Up::Text(text) if !connection.greeted => {
                connection.greeted = true;
                let Ok(PublisherMessage::Hello(hello)) = PublisherMessage::parse(&text) else {
                    panic!("invariant: hello comes first, not {text}");
                };
                let unix_ms = 1_700_000_000_000 + u64::try_from(self.now.as_millis()).unwrap();
                ingest.connect(self.now, unix_ms, server_id, &hello).expect("invariant: the hello is taken");
            }
            Up::Text(text) => ingest.text(self.now, server_id, &text),
            Up::Binary(message) => ingest.binary(self.now, server_id, message),
            Up::Ping(number) => {
                ingest.heard(self.now, server_id);
                self.down(id, 40, SocketEvent::Pong(number));
            }
            Up::Gone => {
                connection.server_open = false;
                ingest.disconnect(server_id);
            }
        }
    }

    /// Drains every output of both sides.
    fn settle(&mut self) {
        loop {
            let mut moved = false;
            while let Some(command) = self.machine.poll_command() {
                moved = true;
                match command {
                    Command::Connect => self.connect(),
                    Command::Disconnect => self.disconnect(),
                    Command::Tell(_) => {}
                }
            }
            moved |= self.write_messages();
            moved |= self.drain_server();
            if !moved {
                break;
            }
        }
        let server = self.ingest.as_ref().and_then(TrackIngest::poll_timeout);
        let due = [self.machine.next_timeout(), server, self.disk.next_done()];
        if let Some(due) = due.into_iter().flatten().min() {
            // One that lies in the past is due now, and must not stop the clock.
            let due = due.max(self.now + Duration::from_micros(100));
            if !self
                .queue
                .iter()
                .any(|Reverse((time, id))| *time == due && matches!(self.events[id], Event::Clock))
            {
                self.at(due, Event::Clock);
            }
        }
    }

    fn write_messages(&mut self) -> bool {
        let mut wrote = false;
        while let Some(id) = self.current {
            let Some(connection) = self.connections.get_mut(&id) else { break };
            let backlog = connection.up.backlog(self.now);
            if backlog > SEND_BUFFER {
                self.at(self.now + backlog - SEND_BUFFER, Event::Writable);
                break;
            }
            let Some(message) = self.machine.poll_message(self.now) else { break };
            wrote = true;
            let (bytes, up) = match message {
                Message::Text(text) => (text.len(), Up::Text(text)),
                Message::Binary(bytes) => (bytes.len(), Up::Binary(bytes)),
                Message::Ping(number) => (10, Up::Ping(number)),
            };
            let Some(connection) = self.connections.get_mut(&id) else { break };
            let arrival = connection.up.arrival(&self.weather, &mut self.rng, self.now, bytes + 60);
            self.at(arrival, Event::Up(id, up));
        }
        wrote
    }

    fn drain_server(&mut self) -> bool {
        let mut moved = false;
        while let Some((ticket, record)) = self.ingest.as_mut().and_then(TrackIngest::poll_record) {
            moved = true;
            if let Some(early) = self.disk.write(&mut self.rng, self.now, ticket, record)
                && let Some(ingest) = &mut self.ingest
            {
                ingest.recorded(early, Ok(()));
            }
        }
        let ids: Vec<u64> = self.connections.keys().copied().collect();
        for id in ids {
            while let Some(transmit) =
                self.ingest.as_mut().and_then(|ingest| ingest.poll_transmit(ConnectionId(id)))
            {
                moved = true;
                match transmit {
                    Transmit::Message(message) => self.say(id, &message),
                    Transmit::Close(error) => {
                        if error.code == protocol::error::ErrorCode::Superseded {
                            self.outcome.superseded += 1;
                        }
                        let code = Some(error.code.close_code());
                        let reason = error.message.clone();
                        self.say(id, &ServerMessage::Error(error));
                        self.down(id, 40, SocketEvent::Closed { code, reason });
                        if let Some(connection) = self.connections.get_mut(&id) {
                            connection.server_open = false;
                        }
                        if let Some(ingest) = &mut self.ingest {
                            ingest.disconnect(ConnectionId(id));
                        }
                    }
                }
            }
        }
        moved
    }

    fn say(&mut self, id: u64, message: &ServerMessage) {
        let text = message.to_json();
        self.down(id, text.len() + 60, SocketEvent::Text(text));
    }

    // The invariants.

    fn check(&self) {
        let stored = self.disk.stored();
        for range in self.machine.durable().as_slice() {
            let missing = stored.durable.first_missing_from(range.first);
            assert!(missing > range.last, "invariant: acknowledged unit {missing} is not durable");
        }
        let status = self.machine.status();
        assert!(status.backlog.bytes <= self.spool_bytes, "invariant: the spool is bounded");
        let largest_message = 16 * 1024;
        assert!(
            status.counters.in_flight_bytes <= self.pace.in_flight_bytes + largest_message,
            "invariant: what is in flight is bounded: {status:?}"
        );
        if let Some(ingest) = &self.ingest {
            // Old connections may have filled the window before the present one did.
            let bound = 8 * (self.pace.in_flight_bytes + 64 * 1024);
            assert!(ingest.undurable_bytes() <= bound, "invariant: the server holds a bounded amount");
        }
    }

    fn check_completion(&self) {
        let completion = self.machine.completion().unwrap();
        let stored = self.disk.stored();
        assert_eq!(completion.units, self.last_unit, "invariant: all units are counted");
        assert_eq!(
            completion.durable_units,
            stored.durable.count(),
            "invariant: the durable ones are counted"
        );
        assert!(stored.is_complete(), "invariant: the server knows that the track is complete");
        let present = self.made.units.iter().filter(|unit| stored.durable.contains(unit.number));
        let digests: UnitDigests = present.map(|unit| (unit.number, unit_digest(self.track, unit))).collect();
        let gaps = stored.durable.gaps_below(self.last_unit);
        assert_eq!(
            completion.digest,
            digests.track_digest(self.track, self.last_unit, &gaps),
            "invariant: both agree on the digest of what is durable"
        );
        assert_eq!(
            stored.finish.as_ref().map(|finish| &finish.lost),
            Some(&gaps),
            "invariant: the gaps are named"
        );
        let lost = self.machine.status().counters.lost_units;
        assert_eq!(
            stored.durable.gaps_below(self.last_unit).count(),
            lost,
            "invariant: gaps are what was given up"
        );
        if self.spool_bytes >= 64 << 20 {
            assert_eq!(lost, 0, "invariant: nothing is lost while the spool has room");
        }
    }
}

/// Parameters that differ from the newest ones: a screen turned, a microphone changed.
fn other_params(track: Track, before: &[Params], from_unit: u64) -> Params {
    let mut parameters = params(track).parameters;
    match &mut parameters {
        CodecParameters::H264 { frame_duration_90k, .. } => *frame_duration_90k += before.len() as u32,
        CodecParameters::Opus { pre_skip_48k, .. } => *pre_skip_48k += before.len() as u16,
    }
    Params { from_unit, parameters }
}
