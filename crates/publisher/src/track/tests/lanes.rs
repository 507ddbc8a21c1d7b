//! The newest units first, what was left behind after them.

use super::*;

/// Drains the units that are written, with their lanes. Pings are answered after `round_trip` if at all.
fn lanes(rig: &mut Rig, answer: bool) -> Vec<(u64, Lane)> {
    let mut lanes = Vec::new();
    while let Some(message) = rig.machine.poll_message(rig.now) {
        match message {
            Message::Binary(bytes) => lanes.extend(decode_message(bytes).map(|unit| {
                let unit = unit.unwrap();
                (unit.number, unit.lane)
            })),
            Message::Ping(number) if answer => rig.machine.socket(rig.now, SocketEvent::Pong(number)),
            Message::Ping(_) => {}
            Message::Text(text) => panic!("{text}"),
        }
    }
    lanes
}

/// Units of which every `gop`th is a key unit.
fn push_gops(rig: &mut Rig, numbers: std::ops::Range<u64>, gop: u64) {
    for number in numbers {
        rig.machine.push(rig.now, Unit { key: number % gop == 0, ..unit(number) }).unwrap();
    }
}

fn backfill(numbers: std::ops::Range<u64>) -> Vec<(u64, Lane)> {
    numbers.map(|number| (number, Lane::Backfill)).collect()
}

fn live(numbers: std::ops::Range<u64>) -> Vec<(u64, Lane)> {
    numbers.map(|number| (number, Lane::Live)).collect()
}

const KEY_REQUEST: Command = Command::Tell(Tell::KeyframeRequest);

#[test]
fn after_an_outage_a_fresh_gop_goes_first_and_the_backlog_after_it() {
    let mut rig = Rig::new();
    push_gops(&mut rig, 0..500, 25);
    rig.open();
    rig.welcome(&[]);
    assert_eq!(rig.phase(), Phase::CatchingUp);
    let written = lanes(&mut rig, true);
    assert_eq!(written[..25], live(475..500));
    assert_eq!(written[25..], backfill(0..475));
    assert_eq!(rig.commands(), []);
    push_gops(&mut rig, 500..505, 25);
    assert_eq!(lanes(&mut rig, true), live(500..505));
}

#[test]
fn without_a_fresh_key_unit_one_is_asked_for_and_the_backlog_uses_the_wait() {
    let mut rig = Rig::new();
    push_gops(&mut rig, 0..500, 400);
    rig.open();
    rig.welcome(&[]);
    let written = lanes(&mut rig, true);
    // Those of the last half second may be live again, when nothing else is left.
    assert_eq!(written[..475], backfill(0..475));
    assert_eq!(written.iter().map(|(number, _)| *number).collect::<Vec<_>>(), Vec::from_iter(0..500));
    assert_eq!(rig.commands(), [KEY_REQUEST]);
    // Nothing is left behind: the live lane needs no key unit to go on.
    push_gops(&mut rig, 500..501, 400);
    assert_eq!(lanes(&mut rig, true), live(500..501));
}

#[test]
fn a_live_lane_that_falls_behind_is_given_up_and_starts_anew_at_the_next_key_unit() {
    let mut rig = Rig::welcomed_with(Pace::of(Track::Audio), 8 << 20);
    // Nothing is answered: the path carries nothing beyond the window.
    let big = |number: u64, key: bool| Unit { key, payload: Bytes::from(vec![0; 10_000]), ..unit(number) };
    for number in 0..200 {
        rig.machine.push(rig.now, big(number, number == 0)).unwrap();
        rig.now += ms(20);
    }
    let started = lanes(&mut rig, false);
    let stopped = started.len() as u64;
    assert_eq!(started, backfill(0..stopped));
    assert_eq!(rig.commands(), [KEY_REQUEST]);
    rig.machine.push(rig.now, big(200, true)).unwrap();
    assert_eq!(lanes(&mut rig, false), live(200..201));
    rig.machine.push(rig.now, big(201, false)).unwrap();
    assert_eq!(lanes(&mut rig, false), live(201..202));
}

#[test]
fn what_is_left_behind_never_takes_the_last_quarter_of_the_window() {
    let mut rig = Rig::new();
    push_gops(&mut rig, 0..5_000, 1_000_000);
    rig.open();
    rig.welcome(&[]);
    let written = lanes(&mut rig, false);
    let under_way = written.len() * (PAYLOAD_BYTES + 36);
    assert!((12 * 1024..=15 * 1024).contains(&under_way), "{under_way} bytes");
    push_gops(&mut rig, 5_000..5_010, 5_000);
    assert_eq!(lanes(&mut rig, false), live(5_000..5_010));
}

#[test]
fn a_track_that_has_ended_sends_everything_and_asks_for_nothing() {
    let mut rig = Rig::new();
    push_gops(&mut rig, 0..500, 400);
    rig.machine.finish(rig.now);
    rig.open();
    rig.welcome(&[]);
    let (units, control) = rig.written();
    assert_eq!(units.len(), 500);
    assert!(matches!(&control[..], [PublisherMessage::Finish(_)]));
    assert_eq!(rig.commands(), []);
}
