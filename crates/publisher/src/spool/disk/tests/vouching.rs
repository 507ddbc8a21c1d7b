//! What stands for a unit outlives the unit, so that a later program vouches for what was acknowledged.

use std::time::Duration;

use fastrand::Rng;
use protocol::codec::{CodecParameters, Params};
use protocol::control::{Device, Limits, ServerMessage, Welcome};
use protocol::digest::unit_digest;
use protocol::{PROTOCOL_VERSION, ResumeKey, SessionId, UnitRange, UnitRanges};
use signing::SigningKey;

use super::super::segments::Unsynced;
use super::super::simulated::SimulatedFolder;
use super::super::sync::sync;
use super::*;
use crate::spool::{MAX_NOTED_DIGESTS, Spool as _};
use crate::track::{Identity, Pace, SocketEvent, TrackMachine};

fn machine(spool: DiskSpool) -> TrackMachine {
    let identity = Identity {
        session: SessionId::v7(1_700_000_000_000, [1; 10]),
        resume_key: ResumeKey::from_bytes([2; 16]),
        room: "studio".parse().unwrap(),
        device: Device { name: "desk".into(), platform: "test".into(), app: "test".into() },
        started_unix_ms: 1_700_000_000_000,
        device_key: Arc::new(SigningKey::from_seed([1; 32])),
    };
    let mut machine = TrackMachine::new(Track::Audio, identity, Pace::of(Track::Audio), Box::new(spool), 1);
    let parameters = CodecParameters::Opus { channels: 1, pre_skip_48k: 312 };
    machine.params(Duration::ZERO, Params { from_unit: 0, parameters }).unwrap();
    machine.socket(Duration::ZERO, SocketEvent::Opened);
    machine.poll_message(Duration::ZERO).unwrap();
    let limits = Limits { message_bytes: 1 << 20, unit_bytes: 1 << 20, idle_ms: 60_000 };
    let durable = UnitRanges::new();
    let welcome = Welcome { version: PROTOCOL_VERSION, durable, limits, server_unix_ms: 0 };
    hear(&mut machine, &ServerMessage::Welcome(welcome));
    machine
}

fn hear(machine: &mut TrackMachine, message: &ServerMessage) {
    machine.socket(Duration::ZERO, SocketEvent::Text(message.to_json()));
}

/// Each of these units is known by the digest that it had.
fn assert_vouched(files: &Arc<dyn Files>, units: &UnitRanges, seed: u64) {
    let (_, found) = opened(files, Track::Audio, 1 << 22);
    for range in units.as_slice() {
        for number in range.first..=range.last {
            let expected = unit_digest(Track::Audio, &picture(number, 1, 900));
            assert_eq!(found.digests.get(number), Some(expected), "seed {seed}: unit {number}");
        }
    }
}

#[test]
fn a_killed_program_has_noted_every_acknowledged_unit_and_a_power_cut_takes_only_what_was_not_synced() {
    let seed =
        std::env::var("LONGTAKE_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("LONGTAKE_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    for _ in 0..60 {
        let disk = SimulatedFolder::default();
        let files = disk.files();
        let (spool, _) = opened(&files, Track::Audio, 1 << 22);
        let (log, mut left) = (Arc::clone(&spool.log), Unsynced::default());
        let mut machine = machine(spool);
        let (mut durable, mut synced) = (UnitRanges::new(), UnitRanges::new());
        let units = rng.u64(100..600);
        for number in 0..units {
            machine.push(Duration::ZERO, picture(number, 1, 900)).unwrap();
            if rng.u8(0..20) == 0 {
                let first = rng.u64(0..=number);
                let acknowledged = UnitRange::new(first, rng.u64(first..=number));
                durable.insert_range(acknowledged);
                let durable = [acknowledged].into_iter().collect();
                hear(&mut machine, &ServerMessage::Ack { durable });
            }
            if rng.u8(0..40) == 0 {
                sync(&*files, &log, &mut left);
                synced = durable.clone();
            }
        }
        let all = [UnitRange::new(0, units - 1)].into_iter().collect();
        assert_vouched(&files, &all, seed);
        let luck = rng.f32();
        assert_vouched(&disk.after_power_cut(|| rng.f32() < luck).files(), &synced, seed);
    }
}

#[test]
fn a_digest_is_noted_once_in_records_of_bounded_length() {
    let disk = SimulatedFolder::default();
    let files = disk.files();
    let (spool, _) = opened(&files, Track::Audio, 1 << 22);
    let mut machine = machine(spool);
    let units = 2 * MAX_NOTED_DIGESTS as u64 + 5;
    (0..units).for_each(|number| machine.push(Duration::ZERO, picture(number, 1, 900)).unwrap());
    let ack = |first, last| {
        let durable = [UnitRange::new(first, last)].into_iter().collect();
        ServerMessage::Ack { durable }
    };
    hear(&mut machine, &ack(0, units - 2));
    let notes = || files.read("audio-00000000.notes").unwrap().len();
    let before = notes();
    hear(&mut machine, &ack(0, units - 1));
    assert_eq!(notes() - before, 16 + 8 + 16, "one unit is new");
    hear(&mut machine, &ack(0, units - 1));
    assert_eq!(notes() - before, 16 + 8 + 16);
    assert!(machine.durable().count() == units && notes() < before + 50);
    let (spool, found) = opened(&files, Track::Audio, 1 << 22);
    assert_eq!((found.noted.count(), found.damaged_bytes), (units, 0));
    assert!(spool.held().count() < units, "whole files are gone");
}
