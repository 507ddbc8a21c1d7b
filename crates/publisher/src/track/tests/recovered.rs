//! What an earlier program has left of a track.

use protocol::control::Finish;
use protocol::digest::unit_digest;

use super::*;
use crate::spool::Spool as _;
use crate::spool::disk::RecoveredTrack;

/// Units 10 to 19 are left; 3 and 4 were given up, the others were acknowledged, or are gone. Of units 5 to 8 the digests
/// were noted.
fn left(params: Vec<Params>, units: u64) -> Rig {
    let mut spool = MemorySpool::new(1 << 20, Overflow::OldestUnit);
    (10..units).for_each(|number| drop(spool.push(unit(number))));
    let muted = Event { number: 0, at_90k: 7, kind: EventKind::Muted, detail: String::new() };
    let found = RecoveredTrack {
        params,
        events: vec![muted],
        units,
        given_up: ranges(&[(3, 4)]),
        digests: (5..9)
            .chain(10..units)
            .map(|number| (number, unit_digest(Track::Audio, &unit(number))))
            .collect(),
        noted: ranges(&[(5, 8)]),
        end_90k: units * 1_800,
        spool: Box::new(spool),
    };
    Rig::of(TrackMachine::recovered(Track::Audio, identity(), Pace::of(Track::Audio), found, 1))
}

fn finish_of(control: &[PublisherMessage]) -> &Finish {
    control
        .iter()
        .find_map(|message| match message {
            PublisherMessage::Finish(finish) => Some(finish),
            _ => None,
        })
        .unwrap()
}

fn events_of(control: &[PublisherMessage]) -> Vec<(u32, EventKind)> {
    control
        .iter()
        .filter_map(|message| match message {
            PublisherMessage::Event(event) => Some((event.number, event.kind)),
            _ => None,
        })
        .collect()
}

#[test]
fn what_is_left_is_sent_and_the_track_ends_at_its_last_unit() {
    let mut rig = left(vec![opus(0)], 20);
    assert_eq!(rig.commands(), [Command::Connect]);
    assert_eq!(rig.machine.status().counters.lost_units, 2, "before the server has told what it has");
    rig.open();
    rig.welcome(&[(0, 2), (5, 11), (14, 14)]);
    let (units, control) = rig.written();
    assert_eq!(units, [12, 13, 15, 16, 17, 18, 19]);
    let finish = finish_of(&control).clone();
    assert_eq!((finish.units, &finish.lost), (20, &ranges(&[(3, 4)])));
    assert_eq!(finish.unwitnessed, ranges(&[(0, 2), (9, 9)]), "what is neither left nor noted");
    assert_eq!(events_of(&control), [(0, EventKind::Muted)], "the loss was told before the crash");
    rig.complete(20, 18, finish.digest);
    let completion = Completion { units: 20, durable_units: 18, digest: Some(finish.digest) };
    assert_eq!(rig.machine.completion(), Some(completion));
}

#[test]
fn units_that_a_power_cut_took_from_the_log_are_the_tracks_when_the_server_has_them() {
    let mut rig = left(vec![opus(0)], 20);
    rig.commands();
    rig.open();
    rig.welcome(&[(0, 24)]);
    let (units, control) = rig.written();
    assert_eq!(units, [0_u64; 0]);
    let finish = finish_of(&control);
    assert_eq!((finish.units, finish.lost.count()), (25, 0));
    assert_eq!(finish.unwitnessed, ranges(&[(0, 4), (9, 9), (20, 24)]));
    // The next connection is one like every other.
    rig.cut();
    rig.open();
    rig.welcome(&[(0, 25)]);
    assert!(matches!(rig.phase(), Phase::NeedsYou(error) if error.code == ErrorCode::UnitOutOfRange));
}

#[test]
fn units_that_neither_side_has_are_told() {
    let mut rig = left(vec![opus(0)], 20);
    rig.commands();
    rig.open();
    rig.welcome(&[(0, 6)]);
    let (units, control) = rig.written();
    assert_eq!(units, (10..20).collect::<Vec<_>>());
    assert_eq!(finish_of(&control).lost, ranges(&[(7, 9)]), "the server has what was thought to be given up");
    assert_eq!(events_of(&control), [(0, EventKind::Muted), (1, EventKind::UnitsLost)]);
    assert_eq!(rig.machine.status().counters.lost_units, 3);
}

#[test]
fn a_track_without_parameters_is_over_or_needs_somebody() {
    let mut nothing = left(Vec::new(), 0);
    assert_eq!(nothing.commands(), []);
    assert_eq!(nothing.machine.completion(), Some(Completion { units: 0, durable_units: 0, digest: None }));
    let mut units = left(Vec::new(), 20);
    assert_eq!(units.commands(), []);
    assert!(matches!(units.phase(), Phase::NeedsYou(error) if error.code == ErrorCode::InvalidParams));
}
