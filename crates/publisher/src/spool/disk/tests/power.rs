use fastrand::Rng;
use protocol::UnitRanges;

use super::super::segments::Unsynced;
use super::super::simulated::SimulatedFolder;
use super::super::sync::sync;
use super::*;
use crate::spool::Spool as _;

/// Whatever part of the unsynced writes survives: each synced unit is there, none is another's, and nothing panics.
#[test]
fn a_power_cut_costs_nothing_that_was_synced() {
    let seed =
        std::env::var("LONGTAKE_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("LONGTAKE_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    for _ in 0..150 {
        let disk = SimulatedFolder::default();
        let files = disk.files();
        let (mut spool, _) = opened(&files, Track::Video, 1 << 20);
        let (mut synced, mut left) = (UnitRanges::new(), Unsynced::default());
        let units = rng.u64(1..150);
        let (sync_every, forget_every) = (rng.u64(1..40), rng.u64(5..80));
        for number in 0..units {
            assert_eq!(spool.push(picture(number, 30, rng.usize(1..700))), []);
            if number % sync_every == sync_every - 1 {
                sync(&*files, &spool.log, &mut left);
                synced = spool.held();
            }
            if number % forget_every == forget_every - 1 {
                let first = rng.u64(0..=number);
                let forgotten = protocol::UnitRange::new(first, rng.u64(first..=number));
                spool.forget(&[forgotten].into_iter().collect());
                let kept = synced.as_slice().iter().flat_map(|range| range.first..=range.last);
                let kept = kept.filter(|number| !(forgotten.first..=forgotten.last).contains(number));
                synced = kept.map(|number| protocol::UnitRange::new(number, number)).collect();
            }
        }
        let luck = rng.f32();
        let after = disk.after_power_cut(|| rng.f32() < luck);
        let (mut found, _) = opened(&after.files(), Track::Video, 1 << 20);
        let held = found.held();
        for range in synced.as_slice() {
            for number in range.first..=range.last {
                assert!(held.contains(number), "seed {seed}: unit {number} was synced");
            }
        }
        let mut cursor = 0;
        while let Some(unit) = found.next_from(cursor) {
            assert_eq!(unit, picture(unit.number, 30, unit.payload.len()), "seed {seed}");
            assert!(unit.number < units);
            cursor = unit.number + 1;
        }
        assert_eq!(found.take_given_up(), [], "what the recovery found can be read");
    }
}

#[test]
fn a_killed_program_loses_nothing_without_any_sync() {
    let disk = SimulatedFolder::default();
    let (mut spool, _) = opened(&disk.files(), Track::Audio, 1 << 20);
    for number in 0..500 {
        spool.push(picture(number, 1, 100));
        let (found, _) = opened(&disk.files(), Track::Audio, 1 << 20);
        assert_eq!(found.backlog().units, number + 1);
    }
}

#[test]
fn a_sync_that_fails_is_told_and_tried_again() {
    let disk = SimulatedFolder::default();
    let files = disk.files();
    let (mut spool, _) = opened(&files, Track::Audio, 1 << 20);
    spool.push(picture(0, 1, 100));
    let mut left = Unsynced::default();
    disk.fail_writes(Some(std::io::ErrorKind::Other));
    sync(&*files, &spool.log, &mut left);
    assert!(spool.health().trouble.is_some());
    disk.fail_writes(None);
    sync(&*files, &spool.log, &mut left);
    assert_eq!(spool.health().trouble, None);
    let (found, _) = opened(&disk.after_power_cut(|| false).files(), Track::Audio, 1 << 20);
    assert_eq!(found.backlog().units, 1);
}
