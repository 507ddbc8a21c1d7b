//! The bit rate follows the connection, and the live lane what is said of it.

use super::*;
use crate::rate::{Settings, Target, WhenSlow};

/// Units of 20 ms, each tenth a key unit: 400 kbit/s.
const UNIT_BYTES: usize = 1_000;

fn settings(when_slow: WhenSlow) -> Settings {
    Settings { when_slow, bitrate_bps: 400_000, fps: 50 }
}

/// What a path that takes so many bytes in 20 ms carries for so many seconds; the encoder does not listen. Gives the
/// targets.
fn play(rig: &mut Rig, seconds: u64, path_bytes: usize) -> Vec<Target> {
    let (mut targets, mut room) = (Vec::new(), 0);
    let mut queue: std::collections::VecDeque<Message> = Default::default();
    for _ in 0..seconds * 50 {
        rig.now += ms(20);
        let number = rig.now.as_millis() as u64 / 20;
        let payload = Bytes::from(vec![0; UNIT_BYTES]);
        rig.machine
            .push(rig.now, Unit { key: number.is_multiple_of(10), payload, ..unit(number - 1) })
            .unwrap();
        queue.extend(rig.messages());
        room = (room + path_bytes).min(path_bytes.max(20 * UNIT_BYTES));
        while let Some(message) = queue.front() {
            let bytes = match message {
                Message::Binary(bytes) => bytes.len(),
                _ => 0,
            };
            if bytes > room {
                break;
            }
            room -= bytes;
            if let Some(Message::Ping(number)) = queue.pop_front() {
                rig.machine.socket(rig.now, SocketEvent::Pong(number));
            }
        }
        if rig.machine.next_timeout().is_some_and(|due| due <= rig.now) {
            rig.machine.timeout(rig.now);
        }
        rig.commands();
        targets.push(rig.machine.status().target.unwrap());
    }
    targets
}

fn rig(when_slow: WhenSlow) -> Rig {
    // The server's acknowledgements are of no account here.
    let pace = Pace { in_flight_bytes: 1 << 30, ..Pace::of(Track::Audio) };
    let mut rig = Rig::with(pace, 64 << 20);
    rig.machine.follow_network(settings(when_slow));
    rig.machine.params(rig.now, opus(0)).unwrap();
    rig.commands();
    rig.open();
    rig.welcome(&[]);
    rig
}

#[test]
fn a_path_that_carries_half_lowers_the_target_and_one_that_carries_all_restores_it() {
    let mut rig = rig(WhenSlow::KeepUp);
    assert!(play(&mut rig, 10, 2 * UNIT_BYTES).iter().all(|target| !target.is_lowered()));
    let lowered = play(&mut rig, 20, UNIT_BYTES / 2);
    assert!(lowered.last().unwrap().bitrate_bps < 220_000, "{:?}", lowered.last());
    let restored = play(&mut rig, 60, 8 * UNIT_BYTES);
    assert!(!restored.last().unwrap().is_lowered(), "{:?}", restored.last());
}

#[test]
fn where_quality_is_kept_the_target_is_the_full_one() {
    let mut rig = rig(WhenSlow::KeepQuality);
    assert!(
        play(&mut rig, 30, UNIT_BYTES / 2).iter().all(|target| !target.is_lowered() && !target.is_paused)
    );
}

#[test]
fn an_outage_lowers_nothing() {
    let mut rig = rig(WhenSlow::KeepUp);
    play(&mut rig, 5, 2 * UNIT_BYTES);
    rig.machine.socket(rig.now, SocketEvent::Closed { code: None, reason: "cut".into() });
    assert!(play(&mut rig, 60, 0).iter().all(|target| !target.is_lowered() && !target.is_paused));
}

#[test]
fn while_the_live_picture_pauses_nothing_is_written_and_after_the_end_everything_is() {
    let mut rig = rig(WhenSlow::KeepQuality);
    play(&mut rig, 5, 2 * UNIT_BYTES);
    rig.machine.make_room(rig.now, AudioState { delay: ms(800), catches_up: false });
    let targets = play(&mut rig, 8, 2 * UNIT_BYTES);
    assert!(targets.last().unwrap().is_paused);
    assert_eq!(lanes_written(&mut rig), []);
    rig.machine.finish(rig.now);
    rig.machine.timeout(rig.now);
    assert!(!lanes_written(&mut rig).is_empty());
}

/// The lanes of the units that are written now.
fn lanes_written(rig: &mut Rig) -> Vec<Lane> {
    let mut lanes = Vec::new();
    for message in rig.messages() {
        if let Message::Binary(bytes) = message {
            lanes.extend(decode_message(bytes).map(|unit| unit.unwrap().lane));
        }
    }
    lanes
}

#[test]
fn while_the_sound_catches_up_the_live_picture_goes_on_and_what_was_left_behind_of_it_waits() {
    let mut rig = Rig::new();
    let push = |rig: &mut Rig, numbers: std::ops::Range<u64>| {
        for number in numbers {
            rig.machine.push(rig.now, Unit { key: number == 500, ..unit(number) }).unwrap();
        }
    };
    push(&mut rig, 0..500);
    rig.open();
    let audio = AudioState { delay: ms(0), catches_up: true };
    rig.machine.make_room(rig.now, audio);
    rig.welcome(&[]);
    assert_eq!(lanes_written(&mut rig), []);
    assert_eq!(rig.commands(), [Command::Tell(Tell::KeyframeRequest)]);
    push(&mut rig, 500..510);
    assert_eq!(lanes_written(&mut rig), [Lane::Live; 10]);
    rig.machine.make_room(rig.now, AudioState::default());
    assert!(lanes_written(&mut rig).contains(&Lane::Backfill));
}

#[test]
fn after_the_end_what_was_left_behind_of_the_picture_waits_for_no_sound() {
    let mut rig = Rig::new();
    rig.push(0..500);
    rig.open();
    rig.machine.make_room(rig.now, AudioState { delay: ms(0), catches_up: true });
    rig.machine.finish(rig.now);
    rig.welcome(&[]);
    assert!(lanes_written(&mut rig).contains(&Lane::Backfill));
}

#[test]
fn sound_catches_up_while_units_that_were_left_behind_wait_on_a_connection() {
    let mut rig = Rig::new();
    rig.push(0..500);
    assert!(!rig.machine.audio_state(rig.now).catches_up);
    rig.open();
    rig.welcome(&[]);
    assert!(rig.machine.audio_state(rig.now).catches_up);
    while rig.machine.audio_state(rig.now).catches_up {
        rig.units();
    }
    assert!(rig.machine.status().counters.sent_units > 400);
}

#[test]
fn what_a_silence_lowers_is_taken_back_when_the_connection_is_given_up() {
    let mut rig = rig(WhenSlow::KeepUp);
    play(&mut rig, 30, 2 * UNIT_BYTES);
    let silent = play(&mut rig, 5, 0);
    let lowest = silent.into_iter().min_by_key(|target| target.bitrate_bps).unwrap();
    assert!(
        lowest.bitrate_bps < 100_000,
        "nothing tells a silence from a path that has become slow: {lowest:?}"
    );
    while !matches!(rig.phase(), Phase::Offline { .. }) {
        rig.wait();
    }
    assert!(!rig.machine.status().target.unwrap().is_lowered());
}
