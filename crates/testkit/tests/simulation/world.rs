//! The simulated world: one session's two tracks on one path, and a publisher and a server that die.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::BytesMut;
use fastrand::Rng;
use ingest_server::ingest::{ConnectionId, TrackIngest, TrackSettings, Transmit};
use media::part::PartLimits;
use protocol::Track;
use protocol::codec::{CodecParameters, Params};
use protocol::control::{EventKind, Limits, PublisherMessage, ServerMessage};
use protocol::error::ErrorCode;
use protocol::limits::{MAX_MESSAGE_BYTES, MAX_UNIT_BYTES};
use publisher::track::{Command, ConnectFailure, Frame, Message, SocketEvent, Tell};
use testkit::units::params;

use crate::checks::Watch;
use crate::disk::{Disk, Made};
use crate::encoder::{Encoder, unit_time};
use crate::fault::Fault;
use crate::network::{Happening, Network, Up};
use crate::outcome::Outcome;
use crate::publisher_side::Publisher;
use crate::scenario::{AUDIO_BYTES_PER_SECOND, Scenario};
use crate::timetable::Timetable;

/// What happens at a time.
#[derive(Debug)]
pub(crate) enum Event {
    /// The encoder emits its next unit, or the track ends.
    Unit(Track),
    /// A connection comes about, or does not.
    Opened(u64),
    /// Something happens on the path.
    Path(Happening),
    /// Something reaches the publisher.
    Down(u64, SocketEvent),
    /// A clock is due, or a write is done.
    Clock,
    /// The publisher's disk syncs.
    Sync,
    /// The publisher's disk is in trouble (full, or failing), or is well again.
    Trouble(Option<bool>),
    /// The network goes, and the publisher's system knows it.
    Reset,
    /// The network is back.
    Returned,
    /// The viewers' delay is looked at, some time after the network came back.
    LiveCheck(u64),
    /// The server is back.
    ServerRestart,
    /// A program starts that sends what is left.
    PublisherRestart,
}

/// The server's end of a connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) track: Track,
    /// The server has not closed it, and was not told that it is closed.
    pub(crate) server_open: bool,
    pub(crate) greeted: bool,
    /// Of a message that is not whole yet.
    pieces: BytesMut,
}

/// A session in the simulated world.
pub(crate) struct World {
    pub(crate) scenario: Scenario,
    pub(crate) fault: Fault,
    pub(crate) rng: Rng,
    pub(crate) now: Duration,
    /// Inputs and outputs of all machines so far: death may come between any two.
    pub(crate) step: u64,
    timetable: Timetable<Event>,
    clock_at: Option<Duration>,

    encoders: [Encoder; 2],
    pub(crate) made: [Made; 2],
    pub(crate) is_recording: bool,
    pub(crate) publisher: Publisher,
    pub(crate) network: Network,
    next_connection: u64,
    pub(crate) connections: BTreeMap<u64, Connection>,
    /// Those whose hello has reached the server: only they are told anything.
    pub(crate) heard: Vec<(u64, Track)>,
    /// None while the server is dead.
    pub(crate) ingests: Option<[TrackIngest; 2]>,
    pub(crate) disks: [Disk; 2],
    pub(crate) watch: Watch,
    pub(crate) outcome: Outcome,
}

fn settings() -> TrackSettings {
    TrackSettings {
        part: PartLimits { duration_90k: 27_000, payload_bytes: 1 << 20 },
        part_wait: Duration::from_millis(400),
        limits: Limits {
            message_bytes: MAX_MESSAGE_BYTES as u32,
            unit_bytes: MAX_UNIT_BYTES as u32,
            idle_ms: 30_000,
        },
    }
}

fn new_ingests(disks: &[Disk; 2]) -> [TrackIngest; 2] {
    Track::ALL.map(|track| TrackIngest::new(track, settings(), disks[track as usize].found()))
}

impl World {
    pub(crate) fn new(seed: u64, fault: Fault) -> Self {
        let mut rng = Rng::with_seed(seed);
        let scenario = Scenario::draw(&mut rng);
        let publisher = Publisher::new(&mut rng, seed, &scenario, fault);
        let disks = Track::ALL.map(|track| Disk::new(track, fault, &scenario));
        let rate = [scenario.video_bytes_per_second, AUDIO_BYTES_PER_SECOND];
        let mut world = Self {
            encoders: Track::ALL.map(|track| Encoder::new(track, rate[track as usize], rng.u64(..))),
            made: Default::default(),
            is_recording: true,
            publisher,
            network: Network::new(scenario.weather.clone()),
            next_connection: 0,
            connections: BTreeMap::new(),
            heard: Vec::new(),
            ingests: Some(new_ingests(&disks)),
            disks,
            watch: Watch::default(),
            outcome: Outcome::default(),
            now: Duration::ZERO,
            step: 0,
            timetable: Timetable::new(),
            clock_at: None,
            fault,
            rng,
            scenario,
        };
        for outage in world.scenario.weather.outages.clone() {
            if outage.is_known {
                world.at(outage.start, Event::Reset);
            }
            world.at(outage.end, Event::Returned);
        }
        if let Some((span, is_full)) = world.scenario.device_trouble {
            world.at(span.start, Event::Trouble(Some(is_full)));
            world.at(span.end, Event::Trouble(None));
        }
        world.at(world.scenario.sync_interval, Event::Sync);
        world
    }

    pub(crate) fn at(&mut self, at: Duration, event: Event) {
        self.timetable.put(at.max(self.now), event);
    }

    /// Runs until both tracks are complete.
    ///
    /// # Panics
    /// When an invariant does not hold.
    pub(crate) fn run(mut self) -> Outcome {
        for track in Track::ALL {
            self.change_params(track, params(track));
            self.at(Duration::ZERO, Event::Unit(track));
        }
        self.settle();
        while !self.is_over() {
            let Some((at, event)) = self.timetable.next() else {
                panic!("invariant: something is always due until the session is complete");
            };
            self.now = at;
            self.check_patience();
            self.happen(event);
            self.settle();
            self.check();
        }
        self.check_completion();
        self.finish_outcome();
        self.outcome
    }

    fn happen(&mut self, event: Event) {
        let now = self.now;
        match event {
            Event::Unit(track) => self.make_unit(track),
            Event::Opened(id) => self.opened(id),
            Event::Path(happening) => {
                for (id, message) in self.network.happen(now, happening) {
                    self.arrive(id, message);
                }
            }
            Event::Down(id, event) => self.tell_publisher(id, event),
            Event::Clock => self.clock(),
            Event::Sync => {
                self.publisher.sync();
                self.at(now + self.scenario.sync_interval, Event::Sync);
            }
            Event::Trouble(trouble) => {
                self.publisher.folder.set_free_bytes((trouble == Some(true)).then_some(3_000));
                let error = (trouble == Some(false)).then_some(std::io::ErrorKind::Other);
                self.publisher.disk_fails = error.is_some();
                self.publisher.folder.fail_writes(error);
            }
            Event::Reset => self.reset(),
            Event::Returned => {
                if let Some(at) = self.network_returned() {
                    self.at(at, Event::LiveCheck(self.watch.disturbances));
                }
            }
            Event::LiveCheck(disturbances) => {
                if let Some(again) = self.check_live(disturbances) {
                    self.at(again, Event::LiveCheck(disturbances));
                }
            }
            Event::ServerRestart => {
                self.ingests.get_or_insert_with(|| new_ingests(&self.disks));
                self.watch.server_up_at = now;
            }
            Event::PublisherRestart => self.publisher.restart(&mut self.rng, &self.scenario),
        }
    }

    fn clock(&mut self) {
        self.clock_at = None;
        for track in Track::ALL {
            let at = track as usize;
            for (ticket, outcome) in self.disks[at].done(self.now, &self.made[at]) {
                if let Some(ingests) = &mut self.ingests {
                    ingests[at].recorded(ticket, outcome);
                }
            }
            if let Some(ingests) = &mut self.ingests {
                ingests[at].tick(self.now);
            }
            if let Some(side) = self.publisher.side(track) {
                side.machine.timeout(self.now);
            }
        }
    }

    fn make_unit(&mut self, track: Track) {
        let at = track as usize;
        if !self.is_recording {
            return;
        }
        let start = unit_time(track) * self.made[at].units.len() as u32;
        let must_stop = self.watch.must_stop;
        let Some(side) = self.publisher.side(track) else { return };
        if start >= self.scenario.length || must_stop {
            side.machine.finish(self.now);
            return;
        }
        let unit = self.encoders[at].next();
        if self.rng.u16(0..500) == 0 {
            side.machine.event(self.now, EventKind::FramesDropped, unit.pts_90k, "3 frames");
        }
        if unit.key && unit.number > 0 && self.rng.u16(0..200) == 0 {
            self.change_params(track, other_params(track, &self.made[at].params, unit.number));
        }
        self.made[at].units.push(unit.clone());
        if let Some(side) = self.publisher.side(track) {
            side.machine.push(self.now, unit).unwrap();
            let spool = side.machine.status().spool;
            self.watch.must_stop |= spool.must_stop;
        }
        self.at(start + unit_time(track), Event::Unit(track));
    }

    fn change_params(&mut self, track: Track, params: Params) {
        self.made[track as usize].params.push(params.clone());
        if let Some(side) = self.publisher.side(track) {
            side.machine.params(self.now, params).unwrap();
        }
    }

    // The network.

    /// The driver tries twice a second to open a connection, until one attempt is answered.
    fn connect(&mut self, track: Track) {
        let id = self.next_connection;
        self.next_connection += 1;
        let Some(side) = self.publisher.side(track) else { return };
        (side.current, side.is_open) = (Some(id), false);
        self.connections
            .insert(id, Connection { track, server_open: true, greeted: false, pieces: BytesMut::new() });
        if self.network.weather.outage_at(self.now).is_some_and(|outage| outage.is_known) {
            let failure = ConnectFailure::NoNetwork("the network is unreachable".into());
            self.at(self.now, Event::Down(id, SocketEvent::ConnectFailed(failure)));
            return;
        }
        let interval = if self.fault == Fault::ConnectsRarely { 10_000 } else { 500 };
        let (weather, mut attempt) = (&self.network.weather, self.now);
        // A round trip for TCP, another for the WebSocket; neither may meet an outage.
        let takes = weather.latency * 4;
        while let Some(outage) =
            weather.outages.iter().find(|outage| outage.start < attempt + takes && attempt < outage.end)
        {
            let waits = outage.end.saturating_sub(attempt).as_millis() as u64;
            attempt += Duration::from_millis(waits / interval * interval + interval);
        }
        self.at(attempt + takes, Event::Opened(id));
    }

    fn opened(&mut self, id: u64) {
        let is_up = self.ingests.is_some();
        let now = self.now;
        let Some((_, side)) = self.publisher.owner(id) else {
            self.connections.remove(&id);
            return;
        };
        if is_up {
            self.network.open(id);
            side.is_open = true;
            side.machine.socket(now, SocketEvent::Opened);
            self.watch.opened_at = now;
        } else {
            let failure = ConnectFailure::Unreachable("connection refused".into());
            side.machine.socket(now, SocketEvent::ConnectFailed(failure));
            self.watch.refused_at = now;
        }
        self.is_fatal();
    }

    fn tell_publisher(&mut self, id: u64, event: SocketEvent) {
        let now = self.now;
        if let Some((_, side)) = self.publisher.owner(id) {
            side.is_open &= !matches!(event, SocketEvent::Closed { .. });
            side.machine.socket(now, event);
            self.is_fatal();
        }
    }

    fn down(&mut self, id: u64, event: SocketEvent) {
        if let Some(at) = self.network.down(self.now, id) {
            self.at(at, Event::Down(id, event));
        }
    }

    // The server.

    fn arrive(&mut self, id: u64, message: Up) {
        let Some(connection) = self.connections.get_mut(&id).filter(|connection| connection.server_open)
        else {
            // The server's system answers that there is no such connection.
            self.network.cut(id);
            return;
        };
        let (track, is_first) = (connection.track, !connection.greeted);
        let is_current = self.publisher.owner(id).is_some();
        // What comes late may take the present connection's place, or its bandwidth.
        self.watch.disturbances += u64::from(!is_current);
        let Some(ingests) = &mut self.ingests else { return };
        let (ingest, server_id) = (&mut ingests[track as usize], ConnectionId(id));
        match message {
            Up::Text(text) if is_first => {
                connection.greeted = true;
                self.heard.push((id, track));
                let Ok(PublisherMessage::Hello(hello)) = PublisherMessage::parse(&text) else {
                    panic!("invariant: hello comes first, not {text}");
                };
                let unix_ms = 1_700_000_000_000 + u64::try_from(self.now.as_millis()).unwrap();
                ingest.connect(self.now, unix_ms, server_id, &hello).expect("invariant: the hello is taken");
                self.outcome.late_hellos += u64::from(!is_current);
            }
            Up::Text(text) => ingest.text(self.now, server_id, &text),
            Up::Binary { bytes, is_last } => {
                connection.pieces.extend_from_slice(&bytes);
                if is_last {
                    let message = connection.pieces.split().freeze();
                    ingest.binary(self.now, server_id, message.clone());
                    self.outcome.late_messages += u64::from(!is_current);
                    self.units_arrived(track, is_current, message);
                }
            }
            Up::Ping(number) => {
                ingest.heard(self.now, server_id);
                if self.fault != Fault::HidesQueues {
                    self.down(id, SocketEvent::Pong(number));
                }
            }
            Up::Gone => {
                connection.server_open = false;
                ingest.disconnect(server_id);
                self.network.cut(id);
            }
        }
        self.is_fatal();
    }

    /// Drains every output of both sides.
    fn settle(&mut self) {
        loop {
            let mut moved = self.drain_publisher();
            moved |= self.drain_server();
            if !moved {
                break;
            }
        }
        let due: Vec<_> = self.network.take_due().collect();
        for (at, happening) in due {
            self.at(at, Event::Path(happening));
        }
        self.plan_clock();
    }

    fn plan_clock(&mut self) {
        let servers = self.ingests.iter().flatten().filter_map(TrackIngest::poll_timeout);
        let disks = self.disks.iter().filter_map(Disk::next_done);
        let sides = self.publisher.program.iter().flat_map(|program| &program.sides);
        let publishers = sides.filter_map(|side| side.machine.next_timeout());
        let Some(due) = servers.chain(disks).chain(publishers).min() else { return };
        // One that lies in the past is due now, and must not stop the clock.
        let due = due.max(self.now + Duration::from_micros(100));
        if self.clock_at.is_none_or(|at| due < at || at <= self.now) {
            self.clock_at = Some(due);
            self.at(due, Event::Clock);
        }
    }

    /// As the driver does: the picture makes room for the sound.
    fn make_room(&mut self) {
        let now = self.now;
        let Some(sound) = self.publisher.side(Track::Audio) else { return };
        let audio = sound.machine.audio_state(now);
        if let Some(picture) = self.publisher.side(Track::Video) {
            picture.machine.make_room(now, audio);
        }
    }

    fn drain_publisher(&mut self) -> bool {
        let mut moved = false;
        self.make_room();
        for track in Track::ALL {
            while let Some(command) = self.publisher.side(track).and_then(|side| side.machine.poll_command())
            {
                moved = true;
                match command {
                    Command::Connect => {
                        // What failed or was closed is gone.
                        self.connect(track);
                    }
                    Command::Disconnect => {
                        let current = self.publisher.side(track).and_then(|side| side.current.take());
                        if let Some(id) = current {
                            self.abandon(id);
                        }
                    }
                    Command::Tell(Tell::KeyframeRequest) => self.encoders[track as usize].request_key(),
                    Command::Tell(_) => {}
                }
                if self.is_fatal() {
                    return true;
                }
            }
            while let Some(side) = self.publisher.side(track)
                && let Some(id) = side.current
                && self.network.has_room(id)
                && let Some(frame) = side.machine.poll_frame(self.now)
            {
                moved = true;
                let (bytes, up) = match frame {
                    Frame::Whole(Message::Text(text)) => (text.len(), Up::Text(text)),
                    Frame::Whole(Message::Binary(bytes)) => {
                        (bytes.len(), Up::Binary { bytes, is_last: true })
                    }
                    Frame::Piece { bytes, is_last, .. } => (bytes.len(), Up::Binary { bytes, is_last }),
                    Frame::Whole(Message::Ping(number)) => {
                        if self.fault == Fault::HidesQueues {
                            self.down(id, SocketEvent::Pong(number));
                        }
                        (10, Up::Ping(number))
                    }
                };
                self.network.write(self.now, id, bytes + 60, up);
                if self.is_fatal() {
                    return true;
                }
            }
        }
        moved
    }

    fn drain_server(&mut self) -> bool {
        let mut moved = false;
        for at in 0..2 {
            while let Some((ticket, record)) =
                self.ingests.as_mut().and_then(|ingests| ingests[at].poll_record())
            {
                moved = true;
                let early = self.disks[at].write(&mut self.rng, self.now, ticket, record);
                if let (Some(early), Some(ingests)) = (early, &mut self.ingests) {
                    ingests[at].recorded(early, Ok(()));
                }
                if self.is_fatal() {
                    return true;
                }
            }
        }
        for at in 0..self.heard.len() {
            let (id, track) = self.heard[at];
            while let Some(transmit) = self
                .ingests
                .as_mut()
                .and_then(|ingests| ingests[track as usize].poll_transmit(ConnectionId(id)))
            {
                moved = true;
                self.transmit(id, track, transmit);
                if self.is_fatal() {
                    return true;
                }
            }
        }
        moved
    }

    fn transmit(&mut self, id: u64, track: Track, transmit: Transmit) {
        match transmit {
            Transmit::Message(ServerMessage::Complete { .. }) if self.fault == Fault::SwallowsComplete => {}
            Transmit::Message(message) => self.down(id, SocketEvent::Text(message.to_json())),
            Transmit::Close(error) => {
                self.outcome.superseded += u64::from(error.code == ErrorCode::Superseded);
                let (code, reason) = (Some(error.code.close_code()), error.message.clone());
                self.down(id, SocketEvent::Text(ServerMessage::Error(error).to_json()));
                self.down(id, SocketEvent::Closed { code, reason });
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.server_open = false;
                }
                if let Some(ingests) = &mut self.ingests {
                    ingests[track as usize].disconnect(ConnectionId(id));
                }
            }
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
