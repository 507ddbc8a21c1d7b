#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::codec::{CodecParameters, Params};
use protocol::control::{Device, Event, EventKind, Limits, PublisherMessage, ServerMessage, Welcome};
use protocol::error::{ErrorBody, ErrorCode};
use protocol::unit::{Lane, Unit, decode_message};
use protocol::{ResumeKey, SessionId, Track, UnitRange, UnitRanges};
use signing::SigningKey;

use super::*;
use crate::spool::{MemorySpool, Overflow};
use crate::status::Phase;

const PAYLOAD_BYTES: usize = 100;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn ranges(pairs: &[(u64, u64)]) -> UnitRanges {
    pairs.iter().map(|&(first, last)| UnitRange::new(first, last)).collect()
}

fn opus(from_unit: u64) -> Params {
    Params { from_unit, parameters: CodecParameters::Opus { channels: 1, pre_skip_48k: 312 } }
}

/// Units of 20 ms.
fn unit(number: u64) -> Unit {
    Unit {
        lane: Lane::Live,
        key: true,
        number,
        pts_90k: number * 1_800,
        duration_90k: 1_800,
        capture_us: number * 20_000,
        payload: Bytes::from(vec![7; PAYLOAD_BYTES]),
    }
}

mod finishing;
mod lanes;
mod losses;
mod rating;
mod recovered;
mod refusals;
mod sending;

/// An audio track with a hand-driven socket and clock.
struct Rig {
    machine: TrackMachine,
    now: Duration,
    limits: Limits,
}

fn identity() -> Identity {
    Identity {
        session: SessionId::v7(1_700_000_000_000, [1; 10]),
        resume_key: ResumeKey::from_bytes([2; 16]),
        room: "studio".parse().unwrap(),
        device: Device { name: "Desk".into(), platform: "linux".into(), app: "test".into() },
        started_unix_ms: 1_700_000_000_000,
        device_key: Arc::new(SigningKey::from_seed([9; 32])),
    }
}

impl Rig {
    fn with(pace: Pace, capacity_bytes: u64) -> Self {
        let spool = Box::new(MemorySpool::new(capacity_bytes, Overflow::OldestUnit));
        Self::of(TrackMachine::new(Track::Audio, identity(), pace, spool, 1))
    }

    fn of(machine: TrackMachine) -> Self {
        let limits = Limits { message_bytes: 1 << 20, unit_bytes: 1 << 20, idle_ms: 60_000 };
        Self { machine, now: Duration::ZERO, limits }
    }

    fn new() -> Self {
        let mut rig = Self::with(Pace::of(Track::Audio), 1 << 20);
        rig.machine.params(rig.now, opus(0)).unwrap();
        assert_eq!(rig.commands(), [Command::Connect]);
        rig
    }

    fn welcomed() -> Self {
        Self::welcomed_with(Pace::of(Track::Audio), 1 << 20)
    }

    fn welcomed_with(pace: Pace, capacity_bytes: u64) -> Self {
        let mut rig = Self::with(pace, capacity_bytes);
        rig.machine.params(rig.now, opus(0)).unwrap();
        assert_eq!(rig.commands(), [Command::Connect]);
        rig.open();
        rig.welcome(&[]);
        rig
    }

    fn with_window(in_flight_bytes: u64, capacity_bytes: u64) -> Self {
        Self::welcomed_with(Pace { in_flight_bytes, ..Pace::of(Track::Audio) }, capacity_bytes)
    }

    fn with_hold(hold: Duration) -> Self {
        Self::welcomed_with(Pace { hold, ..Pace::of(Track::Audio) }, 1 << 20)
    }

    fn push(&mut self, numbers: std::ops::Range<u64>) {
        for number in numbers {
            self.machine.push(self.now, unit(number)).unwrap();
        }
    }

    fn commands(&mut self) -> Vec<Command> {
        std::iter::from_fn(|| self.machine.poll_command()).collect()
    }

    fn messages(&mut self) -> Vec<Message> {
        std::iter::from_fn(|| self.machine.poll_message(self.now)).collect()
    }

    /// Drains what is written as unit numbers and control messages. Pings are answered at once.
    fn written(&mut self) -> (Vec<u64>, Vec<PublisherMessage>) {
        let (mut units, mut control) = (Vec::new(), Vec::new());
        while let Some(message) = self.machine.poll_message(self.now) {
            match message {
                Message::Binary(bytes) => {
                    units.extend(decode_message(bytes).map(|unit| unit.unwrap().number))
                }
                Message::Text(text) => control.push(PublisherMessage::parse(&text).unwrap()),
                Message::Ping(number) => self.machine.socket(self.now, SocketEvent::Pong(number)),
            }
        }
        (units, control)
    }

    fn units(&mut self) -> Vec<u64> {
        self.written().0
    }

    fn open(&mut self) {
        self.machine.socket(self.now, SocketEvent::Opened);
        assert!(matches!(&self.written().1[..], [PublisherMessage::Hello(_)]));
    }

    fn hear(&mut self, message: &ServerMessage) {
        self.machine.socket(self.now, SocketEvent::Text(message.to_json()));
    }

    fn welcome(&mut self, durable: &[(u64, u64)]) {
        let (durable, limits) = (ranges(durable), self.limits.clone());
        self.hear(&ServerMessage::Welcome(Welcome { version: 1, durable, limits, server_unix_ms: 0 }));
        // The ping that goes ahead of everything.
        if let Some(message) = self.machine.poll_message(self.now) {
            assert_eq!(message, Message::Ping(0));
            self.machine.socket(self.now, SocketEvent::Pong(0));
        }
    }

    /// The server completes the track with this digest.
    fn complete(&mut self, units: u64, durable_units: u64, digest: TrackDigest) {
        self.hear(&ServerMessage::Complete { units, durable_units, digest });
    }

    fn ack(&mut self, durable: &[(u64, u64)]) {
        self.hear(&ServerMessage::Ack { durable: ranges(durable) });
    }

    /// The connection is cut, and the machine's wait for the next one is over.
    fn cut(&mut self) {
        self.machine.socket(self.now, SocketEvent::Closed { code: None, reason: "cut".into() });
        self.wait();
        assert_eq!(self.commands(), [Command::Connect]);
    }

    fn wait(&mut self) {
        self.now = self.machine.next_timeout().unwrap();
        self.machine.timeout(self.now);
    }

    fn phase(&self) -> Phase {
        self.machine.status().phase
    }
}
