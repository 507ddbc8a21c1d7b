#![allow(clippy::unwrap_used)]

use std::time::Duration;

use bytes::Bytes;
use protocol::codec::{CodecParameters, Params};
use protocol::control::{Device, Event, EventKind, Finish, Limits, PublisherMessage, ServerMessage, Welcome};
use protocol::error::{ErrorBody, ErrorCode};
use protocol::unit::{Lane, Unit, decode_message};
use protocol::{ResumeKey, SessionId, Track, UnitRange, UnitRanges};

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

/// An audio track with a hand-driven socket and clock.
struct Rig {
    machine: TrackMachine,
    now: Duration,
    limits: Limits,
}

impl Rig {
    fn with(pace: Pace, capacity_bytes: u64) -> Self {
        let identity = Identity {
            session: SessionId::v7(1_700_000_000_000, [1; 10]),
            resume_key: ResumeKey::from_bytes([2; 16]),
            room: "studio".parse().unwrap(),
            device: Device { name: "Desk".into(), platform: "linux".into(), app: "test".into() },
            started_unix_ms: 1_700_000_000_000,
        };
        let spool = Box::new(MemorySpool::new(capacity_bytes, Overflow::OldestUnit));
        let machine = TrackMachine::new(Track::Audio, identity, pace, spool, 1);
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

    /// Drains what is written as unit numbers and control messages.
    fn written(&mut self) -> (Vec<u64>, Vec<PublisherMessage>) {
        let (mut units, mut control) = (Vec::new(), Vec::new());
        for message in self.messages() {
            match message {
                Message::Binary(bytes) => units.extend(decode_message(bytes).map(|unit| unit.unwrap().number)),
                Message::Text(text) => control.push(PublisherMessage::parse(&text).unwrap()),
                Message::Ping => {}
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

#[test]
fn before_welcome_nothing_is_written_but_the_hello() {
    let mut rig = Rig::new();
    rig.push(0..3);
    assert_eq!(rig.messages(), []);
    rig.open();
    rig.push(3..5);
    assert_eq!(rig.messages(), []);
    assert_eq!(rig.phase(), Phase::Connecting);
    rig.welcome(&[]);
    assert_eq!(rig.units(), [0, 1, 2, 3, 4]);
    assert_eq!(rig.phase(), Phase::Live);
}

#[test]
fn after_welcome_sending_starts_at_the_first_unit_that_is_not_durable() {
    let mut rig = Rig::welcomed();
    rig.push(0..10);
    assert_eq!(rig.units().len(), 10);
    rig.ack(&[(0, 1)]);
    rig.cut();
    rig.open();
    rig.welcome(&[(0, 3), (6, 7)]);
    assert_eq!(rig.units(), [4, 5, 8, 9]);
    let counters = rig.machine.status().counters;
    assert_eq!((counters.sent_units, counters.repeated_units, counters.durable_units), (14, 4, 6));
    assert_eq!(counters.reconnects(), 1);
}

#[test]
fn an_ack_for_units_that_wait_to_be_repeated_spares_them() {
    let mut rig = Rig::with_window(300, 1 << 20);
    rig.push(0..6);
    assert_eq!(rig.units(), [0, 1]);
    rig.ack(&[(0, 3)]);
    assert_eq!(rig.units(), [4, 5]);
}

#[test]
fn ready_units_share_a_message_and_large_ones_go_alone() {
    let mut rig = Rig::welcomed();
    rig.push(0..100);
    rig.machine.push(rig.now, Unit { payload: Bytes::from(vec![0; 20_000]), ..unit(100) }).unwrap();
    rig.push(101..102);
    let counts: Vec<usize> = rig
        .messages()
        .into_iter()
        .map(|message| match message {
            Message::Binary(bytes) => decode_message(bytes).count(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(counts, [64, 36, 1, 1]);
}

#[test]
fn the_window_bounds_what_is_in_flight_but_lets_one_message_through() {
    let mut rig = Rig::with_window(300, 1 << 20);
    rig.machine.push(rig.now, Unit { payload: Bytes::from(vec![0; 1_000]), ..unit(0) }).unwrap();
    rig.push(1..5);
    assert_eq!(rig.units(), [0]);
    assert_eq!(rig.machine.status().counters.in_flight_bytes, 1_036);
    rig.ack(&[(0, 0)]);
    assert_eq!(rig.units(), [1, 2]);
    rig.ack(&[(0, 1)]);
    assert_eq!(rig.units(), [3]);
}

#[test]
fn held_units_go_out_when_the_hold_ends_or_the_message_is_full_or_the_track_ends() {
    let mut rig = Rig::with_hold(ms(60));
    rig.push(0..1);
    rig.now = ms(20);
    rig.push(1..2);
    assert!(rig.units().is_empty());
    assert_eq!(rig.machine.next_timeout(), Some(ms(60)));
    rig.now = ms(60);
    assert_eq!(rig.units(), [0, 1]);
    rig.push(2..130);
    assert_eq!(rig.units().len(), 128);
    rig.push(130..131);
    assert!(rig.units().is_empty());
    rig.machine.finish(rig.now);
    assert_eq!(rig.units(), [130]);
}

#[test]
fn the_finish_follows_the_last_unit_and_is_repeated_until_complete() {
    let mut rig = Rig::welcomed();
    rig.push(0..3);
    rig.machine.finish(rig.now);
    let finish = Finish { units: 3, lost: UnitRanges::new() };
    let (units, control) = rig.written();
    assert_eq!(units, [0, 1, 2]);
    assert!(matches!(&control[..], [PublisherMessage::Finish(found)] if *found == finish));
    rig.cut();
    rig.open();
    rig.welcome(&[(0, 2)]);
    let (units, control) = rig.written();
    assert!(units.is_empty());
    assert!(matches!(&control[..], [PublisherMessage::Finish(found)] if *found == finish));
    rig.hear(&ServerMessage::Complete { units: 3, durable_units: 3 });
    assert_eq!(rig.commands(), [Command::Disconnect]);
    assert_eq!(rig.machine.completion(), Some(Completion { units: 3, durable_units: 3 }));
    assert_eq!((rig.phase(), rig.machine.next_timeout()), (Phase::Complete, None));
}

#[test]
fn a_complete_that_does_not_answer_the_finish_is_not_believed() {
    for (finish, units, durable_units) in [(false, 3, 3), (true, 2, 2), (true, 3, 4)] {
        let mut rig = Rig::welcomed();
        rig.push(0..3);
        if finish {
            rig.machine.finish(rig.now);
        }
        rig.messages();
        rig.hear(&ServerMessage::Complete { units, durable_units });
        assert_eq!(rig.machine.completion(), None);
        assert_eq!(rig.commands(), [Command::Disconnect]);
        assert_eq!(rig.machine.status().backlog.units, 3);
    }
}

#[test]
fn a_track_that_never_had_a_unit_is_complete_at_once() {
    let mut rig = Rig::with(Pace::of(Track::Audio), 1_000);
    assert_eq!((rig.phase(), rig.machine.next_timeout()), (Phase::Waiting, None));
    rig.machine.finish(rig.now);
    assert_eq!(rig.phase(), Phase::Complete);
    assert_eq!(rig.commands(), []);
}

#[test]
fn events_are_repeated_after_every_welcome() {
    let mut rig = Rig::new();
    rig.machine.event(rig.now, EventKind::Muted, 900, &"ä".repeat(200));
    rig.open();
    for _ in 0..2 {
        rig.welcome(&[]);
        let (_, control) = rig.written();
        let [PublisherMessage::Event(Event { number: 0, at_90k: 900, detail, .. })] = &control[..] else {
            panic!("{control:?}")
        };
        assert_eq!(detail.len(), 256);
        rig.cut();
        rig.open();
    }
}

#[test]
fn codec_parameters_come_before_the_units_that_need_them() {
    let mut rig = Rig::welcomed();
    rig.push(0..2);
    rig.machine.params(rig.now, opus(2)).unwrap();
    rig.push(2..4);
    let messages = rig.messages();
    assert!(matches!(&messages[0], Message::Text(text) if text.contains("\"from_unit\":2")));
    assert!(matches!(&messages[1..], [Message::Binary(_)]));
    rig.cut();
    rig.machine.socket(rig.now, SocketEvent::Opened);
    let (_, control) = rig.written();
    assert!(matches!(&control[..], [PublisherMessage::Hello(hello)] if hello.params.len() == 2));
    // These are too late for the hello, and their unit is there already when the welcome comes.
    rig.machine.params(rig.now, opus(4)).unwrap();
    rig.push(4..5);
    rig.welcome(&[]);
    let (units, control) = rig.written();
    assert_eq!(units.len(), 5);
    assert!(matches!(&control[..], [PublisherMessage::Params(params)] if params.from_unit == 4));
}

#[test]
fn what_does_not_follow_is_not_taken() {
    let mut rig = Rig::with(Pace::of(Track::Audio), 1 << 20);
    assert_eq!(rig.machine.push(rig.now, unit(0)), Err(PushError::NoParameters));
    rig.machine.params(rig.now, opus(0)).unwrap();
    rig.push(0..1);
    let now = rig.now;
    let mut pushed = |unit| rig.machine.push(now, unit).unwrap_err();
    assert_eq!(pushed(unit(2)), PushError::NotConsecutive { number: 2, expected: 1 });
    assert_eq!(pushed(unit(0)), PushError::NotConsecutive { number: 0, expected: 1 });
    assert_eq!(pushed(Unit { payload: Bytes::new(), ..unit(1) }), UnitError::NoPayload(1).into());
    assert_eq!(pushed(Unit { pts_90k: u64::MAX, ..unit(1) }), UnitError::Time(1).into());
    assert_eq!(pushed(Unit { duration_90k: u32::MAX, ..unit(1) }), UnitError::Time(1).into());
    let huge = Bytes::from(vec![0; protocol::limits::MAX_UNIT_BYTES + 1]);
    assert!(matches!(pushed(Unit { payload: huge, ..unit(1) }), PushError::Unit(UnitError::PayloadTooLarge(_))));
    assert_eq!(
        rig.machine.params(now, opus(0)),
        Err(PushError::Parameters { from_unit: 0, expected: 1 }),
        "parameters for units that exist"
    );
    rig.machine.finish(now);
    assert_eq!(rig.machine.push(now, unit(1)), Err(PushError::Finished));
}

#[test]
fn a_refusal_is_retried_exactly_if_it_can_heal_by_itself() {
    for code in ErrorCode::ALL {
        let error = ErrorBody::new(code, "no");
        let refusals = [
            SocketEvent::ConnectFailed(ConnectFailure::Refused(error.clone())),
            SocketEvent::Text(ServerMessage::Error(error).to_json()),
            SocketEvent::Closed { code: Some(code.close_code()), reason: "no".into() },
        ];
        for (index, refusal) in refusals.into_iter().enumerate() {
            let mut rig = Rig::new();
            rig.push(0..3);
            if index > 0 {
                rig.open();
            }
            rig.machine.socket(rig.now, refusal);
            assert_eq!(rig.commands().len(), usize::from(index == 1), "only an open socket is closed");
            if code.retryable() {
                assert!(matches!(rig.phase(), Phase::Offline { .. }), "{code}");
                assert!(rig.machine.next_timeout().unwrap() <= ms(5_000));
            } else {
                assert!(matches!(rig.phase(), Phase::NeedsYou(error) if error.code == code), "{code}");
                assert_eq!(rig.machine.next_timeout(), None, "{code}");
                // Units are kept, and a person can start again.
                assert_eq!(rig.machine.status().backlog.units, 3);
                rig.machine.reconnect(rig.now);
                assert_eq!(rig.commands(), [Command::Connect]);
            }
        }
    }
}

#[test]
fn a_server_that_speaks_another_version_is_not_tried_again_but_nonsense_is() {
    for (text, needs_you) in [
        (r#"{"type":"welcome","version":2}"#, true),
        (r#"{"type":"surprise"}"#, true),
        ("{", false),
        (r#"{"type":"ack"}"#, false),
        (r#"{"type":"ack","durable":[]}"#, false),
    ] {
        let mut rig = Rig::new();
        rig.open();
        rig.machine.socket(rig.now, SocketEvent::Text(text.into()));
        assert_eq!(rig.commands(), [Command::Disconnect], "{text}");
        assert_eq!(matches!(rig.phase(), Phase::NeedsYou(_)), needs_you, "{text}");
    }
    let mut rig = Rig::welcomed();
    rig.machine.socket(rig.now, SocketEvent::Binary);
    assert_eq!(rig.commands(), [Command::Disconnect]);
}

#[test]
fn units_that_were_never_made_cannot_be_durable() {
    let mut rig = Rig::welcomed();
    rig.push(0..2);
    rig.ack(&[(0, 2)]);
    assert_eq!(rig.commands(), [Command::Disconnect]);
    assert_eq!(rig.machine.status().backlog.units, 2);
    rig.wait();
    rig.commands();
    rig.open();
    rig.welcome(&[(0, 100)]);
    assert!(matches!(rig.phase(), Phase::NeedsYou(error) if error.code == ErrorCode::UnitOutOfRange));
}

#[test]
fn waits_grow_to_five_seconds_and_start_anew_after_progress() {
    let mut rig = Rig::new();
    rig.push(0..1);
    let mut waits = Vec::new();
    for _ in 0..10 {
        let failure = ConnectFailure::Unreachable("nothing listens".into());
        rig.machine.socket(rig.now, SocketEvent::ConnectFailed(failure));
        let before = rig.now;
        rig.wait();
        waits.push(rig.now - before);
        assert_eq!(rig.commands(), [Command::Connect]);
    }
    assert!(waits[0] <= ms(250) && waits[9] > ms(2_400) && waits.iter().all(|wait| *wait <= ms(5_000)));
    assert!(matches!(rig.phase(), Phase::Offline { since, reason } if since == ms(0) && reason == "nothing listens"));
    // A welcome alone proves little: a server may die at the first unit.
    for (durable, longest) in [(false, ms(5_000)), (true, ms(250))] {
        rig.open();
        rig.welcome(&[]);
        rig.messages();
        if durable {
            rig.ack(&[(0, 0)]);
        }
        let before = rig.now;
        rig.cut();
        let wait = rig.now - before;
        assert!(wait <= longest && (durable || wait > ms(2_000)), "{wait:?}");
    }
}

#[test]
fn a_silent_connection_is_pinged_and_given_up() {
    let mut rig = Rig::welcomed();
    rig.wait();
    assert_eq!((rig.now, rig.messages()), (ms(3_000), vec![Message::Ping]));
    rig.now = ms(3_040);
    rig.machine.socket(rig.now, SocketEvent::Pong);
    assert_eq!(rig.machine.status().counters.round_trip, Some(ms(40)));
    let mut pings = 0;
    while rig.commands().is_empty() {
        pings += rig.messages().len();
        rig.wait();
    }
    assert_eq!((rig.now, pings), (ms(13_040), 3));
    assert!(matches!(rig.phase(), Phase::Offline { since, .. } if since == ms(13_040)));
}

#[test]
fn pings_keep_within_the_idle_time_of_the_server() {
    let mut rig = Rig::new();
    rig.limits.idle_ms = 3_000;
    rig.open();
    rig.welcome(&[]);
    rig.wait();
    assert_eq!((rig.now, rig.messages()), (ms(1_000), vec![Message::Ping]));
}

#[test]
fn a_server_that_does_not_answer_or_does_not_welcome_is_given_up() {
    for opens in [false, true] {
        let mut rig = Rig::new();
        if opens {
            rig.now = ms(1_000);
            rig.open();
        }
        while rig.commands().is_empty() {
            rig.messages();
            rig.wait();
        }
        assert_eq!(rig.now, ms(10_000));
    }
}

#[test]
fn timeouts_lie_ahead_while_the_socket_takes_no_message() {
    let mut rig = Rig::with_hold(ms(50));
    rig.push(0..1);
    for _ in 0..20 {
        let due = rig.machine.next_timeout().unwrap();
        assert!(due > rig.now || rig.now == ms(0));
        rig.wait();
        rig.machine.socket(rig.now, SocketEvent::Heard);
    }
}

#[test]
fn what_a_full_spool_gives_up_is_counted_told_and_named_in_the_finish() {
    let mut rig = Rig::with(Pace::of(Track::Audio), 1_000);
    rig.machine.params(rig.now, opus(0)).unwrap();
    rig.push(0..8);
    let status = rig.machine.status();
    assert_eq!((status.backlog.units, status.counters.lost_units), (5, 3));
    assert_eq!(rig.machine.lost(), ranges(&[(0, 2)]));
    rig.open();
    rig.welcome(&[]);
    rig.machine.finish(rig.now);
    let (units, control) = rig.written();
    assert_eq!(units, [3, 4, 5, 6, 7]);
    let [PublisherMessage::Event(event), PublisherMessage::Finish(finish)] = &control[..] else {
        panic!("{control:?}")
    };
    assert_eq!((event.kind, event.at_90k), (EventKind::UnitsLost, 0));
    assert!(event.detail.contains("3 units") && event.detail.contains("0–2"), "{}", event.detail);
    assert_eq!(*finish, Finish { units: 8, lost: ranges(&[(0, 2)]) });
    rig.hear(&ServerMessage::Complete { units: 8, durable_units: 5 });
    assert_eq!(rig.machine.completion().unwrap().lost_units(), 3);
    assert_eq!(rig.machine.status().counters.lost_units, 3);
}

#[test]
fn a_unit_given_up_in_flight_is_not_lost_if_it_arrives() {
    let mut rig = Rig::welcomed_with(Pace::of(Track::Audio), 1_000);
    rig.push(0..5);
    assert_eq!(rig.units().len(), 5);
    rig.push(5..7);
    assert_eq!(rig.machine.status().counters.lost_units, 2);
    rig.ack(&[(0, 6)]);
    assert_eq!(rig.machine.status().counters.lost_units, 0);
    rig.machine.finish(rig.now);
    let (_, control) = rig.written();
    assert!(matches!(&control[..], [PublisherMessage::Finish(finish)] if finish.lost.is_empty()));
}

#[test]
fn losses_that_go_on_are_told_every_ten_seconds() {
    let mut rig = Rig::with_window(0, 1_000);
    let mut told = 0;
    for number in 0..1_500 {
        rig.now = ms(20 * number);
        rig.machine.push(rig.now, unit(number)).unwrap();
        rig.machine.socket(rig.now, SocketEvent::Heard);
        let (_, control) = rig.written();
        told += control.iter().filter(|message| matches!(message, PublisherMessage::Event(_))).count();
    }
    assert_eq!(told, 3);
}

#[test]
fn what_an_outage_left_behind_travels_in_the_backfill_lane_up_to_a_recent_key_unit() {
    let mut rig = Rig::new();
    for number in 0..500 {
        // Key units every 25: half a second.
        rig.machine.push(rig.now, Unit { key: number % 25 == 0, ..unit(number) }).unwrap();
    }
    rig.open();
    rig.welcome(&[]);
    assert_eq!(rig.phase(), Phase::CatchingUp);
    let lanes: Vec<Lane> = rig
        .messages()
        .into_iter()
        .flat_map(|message| match message {
            Message::Binary(bytes) => decode_message(bytes).map(|unit| unit.unwrap().lane).collect(),
            _ => Vec::new(),
        })
        .collect();
    assert_eq!(lanes.len(), 500);
    assert!(lanes[..400].iter().all(|lane| *lane == Lane::Backfill));
    assert!(lanes[400..].iter().all(|lane| *lane == Lane::Live));
}

#[test]
fn a_unit_beyond_the_limits_of_the_server_needs_a_person_and_is_kept() {
    let mut rig = Rig::new();
    rig.limits.unit_bytes = PAYLOAD_BYTES as u32 - 1;
    rig.push(0..2);
    rig.open();
    rig.welcome(&[]);
    assert_eq!(rig.messages(), []);
    assert_eq!(rig.commands(), [Command::Disconnect]);
    assert!(matches!(rig.phase(), Phase::NeedsYou(error) if error.code == ErrorCode::TooLarge));
    assert_eq!(rig.machine.status().backlog.units, 2);
}

#[test]
fn what_the_server_tells_is_passed_on() {
    let mut rig = Rig::welcomed();
    let notice = ErrorBody::new(ErrorCode::StorageUnavailable, "\u{1b}[2Jthe disk is nearly full");
    rig.hear(&ServerMessage::KeyframeRequest {});
    rig.hear(&ServerMessage::Viewers { count: 3 });
    rig.hear(&ServerMessage::Notice(notice.clone()));
    let shown = ErrorBody { message: "[2Jthe disk is nearly full".into(), ..notice };
    assert_eq!(
        rig.commands(),
        [Tell::KeyframeRequest, Tell::Viewers(3), Tell::Notice(shown)].map(Command::Tell)
    );
}

#[test]
fn acks_are_timed_from_the_writing_of_the_unit() {
    let mut rig = Rig::welcomed();
    rig.push(0..2);
    rig.messages();
    rig.now = ms(300);
    rig.ack(&[(0, 1)]);
    assert_eq!((rig.machine.ack_latency().count(), rig.machine.ack_latency().longest()), (2, ms(300)));
}

#[test]
fn events_of_a_socket_that_is_given_up_change_nothing() {
    let mut rig = Rig::welcomed();
    rig.machine.socket(rig.now, SocketEvent::Closed { code: Some(4401), reason: String::new() });
    let refused = rig.phase();
    for event in [SocketEvent::Opened, SocketEvent::Pong, SocketEvent::Binary, SocketEvent::Text("{}".into())] {
        rig.machine.socket(rig.now, event);
        assert_eq!((rig.phase(), rig.commands()), (refused.clone(), vec![]));
    }
}
