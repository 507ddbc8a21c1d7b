//! What is written, and in which order.

use super::*;

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
    rig.push(0..90);
    rig.machine.push(rig.now, Unit { payload: Bytes::from(vec![0; 20_000]), ..unit(90) }).unwrap();
    rig.push(91..92);
    let mut counts = Vec::new();
    while let Some(message) = rig.machine.poll_message(rig.now) {
        match message {
            Message::Binary(bytes) => counts.push(decode_message(bytes).count()),
            Message::Ping(number) => rig.machine.socket(rig.now, SocketEvent::Pong(number)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(counts, [64, 26, 1, 1]);
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
    assert!(matches!(
        pushed(Unit { payload: huge, ..unit(1) }),
        PushError::Unit(UnitError::PayloadTooLarge(_))
    ));
    assert_eq!(
        rig.machine.params(now, opus(0)),
        Err(PushError::Parameters { from_unit: 0, expected: 1 }),
        "parameters for units that exist"
    );
    rig.machine.finish(now);
    assert_eq!(rig.machine.push(now, unit(1)), Err(PushError::Finished));
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
fn a_large_message_goes_in_pieces_with_pings_between_them_and_keeps_to_the_window() {
    let mut rig = Rig::welcomed();
    let payload: Vec<u8> = (0..200_000_u32).map(|byte| byte as u8).collect();
    rig.machine.push(rig.now, Unit { payload: Bytes::from(payload.clone()), ..unit(0) }).unwrap();
    rig.push(1..2);
    let (mut message, mut pings, mut rounds) = (Vec::new(), Vec::new(), 0);
    let mut is_whole = false;
    while !is_whole {
        let mut under_way = 0;
        while let Some(frame) = rig.machine.poll_frame(rig.now) {
            match frame {
                Frame::Piece { bytes, is_first, is_last } => {
                    assert_eq!(is_first, message.is_empty());
                    under_way += bytes.len();
                    message.extend_from_slice(&bytes);
                    is_whole = is_last;
                }
                Frame::Whole(Message::Ping(number)) => pings.push(number),
                Frame::Whole(other) => assert!(is_whole, "{other:?} between the pieces"),
            }
        }
        // On a path with a queue of 200 ms the window does not grow.
        rig.now += ms(20 + 180 * u64::from(rounds > 0));
        pings.drain(..).for_each(|number| rig.machine.socket(rig.now, SocketEvent::Pong(number)));
        assert!(under_way <= 64 * 1024, "{under_way} bytes at once");
        rounds += 1;
    }
    let units: Vec<Unit> = decode_message(Bytes::from(message)).map(Result::unwrap).collect();
    assert_eq!((units.len(), &units[0].payload[..]), (1, &payload[..]));
    assert!(rounds > 3, "{rounds} rounds");
}
