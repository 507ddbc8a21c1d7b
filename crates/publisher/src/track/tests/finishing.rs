//! How a track ends: what `finish` says, and what `complete` must say.

use protocol::Hex;
use protocol::control::Finish;
use protocol::digest::{UnitDigests, unit_digest};
use signing::verify;

use super::*;

/// The only control message that was written.
fn finish(control: &[PublisherMessage]) -> Finish {
    let [PublisherMessage::Finish(finish)] = control else { panic!("{control:?}") };
    finish.clone()
}

/// By the definition, of the units that the server has.
fn digest(units: u64, present: &[u64]) -> TrackDigest {
    let digests: UnitDigests =
        present.iter().map(|&number| (number, unit_digest(Track::Audio, &unit(number)))).collect();
    let absent = digests.numbers().gaps_below(units);
    digests.track_digest(Track::Audio, units, &absent).unwrap()
}

#[test]
fn the_finish_follows_the_last_unit_and_is_repeated_until_complete() {
    let mut rig = Rig::welcomed();
    rig.push(0..3);
    rig.machine.finish(rig.now);
    let (units, control) = rig.written();
    assert_eq!(units, [0, 1, 2]);
    let first = finish(&control);
    assert_eq!((first.units, first.lost.count(), first.digest), (3, 0, digest(3, &[0, 1, 2])));
    assert_eq!(rig.messages(), [], "what has not changed is not said again");
    rig.cut();
    rig.open();
    rig.welcome(&[(0, 2)]);
    let (units, control) = rig.written();
    assert!(units.is_empty());
    assert_eq!(finish(&control), first);
    rig.complete(3, 3, first.digest);
    assert_eq!(rig.commands(), [Command::Disconnect]);
    let completion = Completion { units: 3, durable_units: 3, digest: Some(first.digest) };
    assert_eq!(rig.machine.completion(), Some(completion));
    assert_eq!((rig.phase(), rig.machine.next_timeout()), (Phase::Complete, None));
}

#[test]
fn the_finish_is_signed_by_the_device() {
    let mut rig = Rig::welcomed();
    rig.push(0..2);
    rig.machine.finish(rig.now);
    let finish = finish(&rig.written().1);
    let session = SessionId::v7(1_700_000_000_000, [1; 10]);
    let statement = finish.statement(session, Track::Audio, 1_700_000_000_000).to_json();
    assert_eq!(finish.device_key, SigningKey::from_seed([9; 32]).public());
    assert!(verify(&finish.device_key, &statement, &finish.signature));
    assert_eq!(
        statement,
        format!(
            r#"{{"session":"{session}","track":"audio","started_unix_ms":1700000000000,"units":2,"lost":[],"unwitnessed":[],"digest":"{}"}}"#,
            finish.digest
        )
    );
}

#[test]
fn a_late_ack_changes_the_finish_and_its_digest() {
    let mut rig = Rig::welcomed_with(Pace::of(Track::Audio), 1_000);
    rig.push(0..5);
    assert_eq!(rig.units().len(), 5);
    rig.push(5..7);
    rig.machine.finish(rig.now);
    let before = finish(&rig.written().1.split_off(1));
    assert_eq!((before.lost, before.digest), (ranges(&[(0, 1)]), digest(7, &[2, 3, 4, 5, 6])));
    rig.ack(&[(1, 1)]);
    let after = finish(&rig.written().1);
    assert_eq!((after.lost, after.digest), (ranges(&[(0, 0)]), digest(7, &[1, 2, 3, 4, 5, 6])));
    rig.complete(7, 6, before.digest);
    assert_eq!(rig.machine.completion(), None, "the server answers another finish");
    assert_eq!(rig.commands(), [Command::Disconnect]);
}

#[test]
fn another_digest_is_not_believed() {
    let mut rig = Rig::welcomed();
    rig.push(0..3);
    rig.machine.finish(rig.now);
    rig.messages();
    rig.complete(3, 3, Hex([0; 32]));
    assert_eq!(rig.machine.completion(), None);
    assert_eq!(rig.commands(), [Command::Disconnect]);
}

#[test]
fn a_digest_mismatch_needs_a_person() {
    let mut rig = Rig::welcomed();
    rig.push(0..3);
    rig.machine.finish(rig.now);
    rig.messages();
    rig.hear(&ServerMessage::Error(ErrorBody::new(ErrorCode::DigestMismatch, "differs")));
    assert!(matches!(rig.phase(), Phase::NeedsYou(error) if error.code == ErrorCode::DigestMismatch));
}
