use std::io::ErrorKind;
use std::time::Duration;

use protocol::{UnitRange, UnitRanges};

use super::super::simulated::SimulatedFolder;
use super::*;
use crate::spool::{Fill, GivenUp, Health, Spool, Trouble};

const CAPACITY_BYTES: u64 = 1 << 20;

/// Both tracks on one disk and within one bound.
fn both(disk: &SimulatedFolder, settings: &Settings) -> (DiskSpool, DiskSpool) {
    let budget = Arc::new(Budget::new(settings.capacity_bytes));
    let (video, _) = bare(&disk.files(), Track::Video, settings, MEMORY, &budget);
    let (mut audio, _) = bare(&disk.files(), Track::Audio, settings, MEMORY, &budget);
    audio.other = Some(Arc::clone(&video.log));
    (video, audio)
}

fn all(given_up: impl IntoIterator<Item = GivenUp>) -> UnitRanges {
    given_up.into_iter().map(|run| run.units).collect()
}

/// Whether these are all numbers below `units`, each once.
fn are_all(held: &UnitRanges, lost: &UnitRanges, units: u64) -> bool {
    let mut known = held.clone();
    known.extend(lost);
    held.count() + lost.count() == units && known.gaps_below(units).is_empty()
}

#[test]
fn at_the_bound_the_oldest_gops_go_and_no_sound() {
    let disk = SimulatedFolder::default();
    let (mut video, mut audio) = both(&disk, &settings(CAPACITY_BYTES, WhenFull::Drop));
    let mut lost = UnitRanges::new();
    let mut warned = false;
    for number in 0..3_000 {
        if video.health().fill == Fill::Warning && !warned {
            warned = true;
            assert!(lost.is_empty(), "the warning comes before the loss");
        }
        lost.extend(&all(video.push(picture(number, 30, 1_000))));
        assert_eq!(audio.push(picture(number, 1, 100)), []);
        lost.extend(&all(video.take_given_up()));
        assert!(disk.bytes() as u64 <= CAPACITY_BYTES + 200_000, "notes beside it: {}", disk.bytes());
    }
    assert!(warned && video.health().fill == Fill::Full && !video.health().must_stop);
    assert_eq!(audio.backlog().units, 3_000);
    assert!(are_all(&video.held(), &lost, 3_000), "held {}, lost {lost}", video.held());
    assert!(video.entry_from(0).unwrap().key, "what is left begins with a whole GOP");
}

#[test]
fn sound_goes_when_there_is_no_picture_left() {
    let disk = SimulatedFolder::default();
    let (mut video, mut audio) = both(&disk, &settings(CAPACITY_BYTES, WhenFull::Drop));
    for number in 0..600 {
        video.push(picture(number, 30, 1_000));
    }
    let mut lost = UnitRanges::new();
    for number in 0..9_000 {
        let given_up = all(audio.push(picture(number, 1, 200)));
        assert!(given_up.is_empty() || video.backlog().units == 0, "the picture goes first");
        lost.extend(&given_up);
    }
    assert!(!lost.is_empty() && lost.as_slice().len() == 1, "the oldest went: {lost}");
    assert!(are_all(&audio.held(), &lost, 9_000));
    assert!(are_all(&video.held(), &all(video.take_given_up()), 600), "and the picture is told");
    assert_eq!(video.push(picture(600, 30, 1 << 20)).len(), 1, "there is no room for it");
}

#[test]
fn a_spool_that_may_give_up_nothing_asks_for_the_end_in_time() {
    let disk = SimulatedFolder::default();
    let (mut video, _audio) = both(&disk, &settings(CAPACITY_BYTES, WhenFull::Stop));
    let mut number = 0;
    while !video.health().must_stop {
        assert_eq!(video.push(picture(number, 30, 1_000)), []);
        number += 1;
    }
    let full_at = number;
    while video.push(picture(number, 30, 1_000)).is_empty() {
        number += 1;
    }
    assert!(number - full_at > 100, "what is made until the end is taken: {full_at} to {number}");
    assert_eq!(video.held(), [UnitRange::new(0, number - 1)].into_iter().collect());
}

#[test]
fn what_waits_too_long_is_treated_like_what_is_too_much() {
    let disk = SimulatedFolder::default();
    let longest = Some(Duration::from_secs(10));
    let (mut video, _audio) = both(&disk, &Settings { longest, ..settings(CAPACITY_BYTES, WhenFull::Drop) });
    let mut lost = UnitRanges::new();
    for number in 0..900 {
        lost.extend(&all(video.push(picture(number, 30, 100))));
    }
    assert!((9_000..=10_100).contains(&video.backlog().duration_ms), "{}", video.backlog().duration_ms);
    assert!(are_all(&video.held(), &lost, 900));
}

#[test]
fn a_full_disk_is_bridged_by_memory_and_nothing_is_lost() {
    for (error, expected) in
        [(None, Trouble::DiskFull), (Some(ErrorKind::Other), Trouble::DiskFails("other error".to_owned()))]
    {
        let disk = SimulatedFolder::default();
        let (mut spool, _) = opened(&disk.files(), Track::Video, CAPACITY_BYTES);
        for number in 0..10 {
            spool.push(picture(number, 5, 1_000));
        }
        match error {
            None => disk.set_free_bytes(Some(1_500)),
            Some(_) => disk.fail_writes(error),
        }
        for number in 10..20 {
            assert_eq!(spool.push(picture(number, 5, 1_000)), []);
        }
        assert_eq!(spool.health().trouble, Some(expected));
        assert_eq!(spool.next_from(19).unwrap().number, 19, "it is sent all the same");
        disk.set_free_bytes(None);
        disk.fail_writes(None);
        spool.push(picture(20, 5, 1_000));
        assert_eq!(spool.health(), Health::default());
        let (found, log) = opened(&disk.files(), Track::Video, CAPACITY_BYTES);
        assert_eq!(found.backlog().units, 21);
        assert_eq!((log.damaged_bytes, log.torn_bytes), (0, 0), "what a failed write left was cut off");
    }
}

#[test]
fn memory_is_bounded_while_the_disk_fails_and_whole_gops_go() {
    let disk = SimulatedFolder::default();
    let (mut spool, _) = opened(&disk.files(), Track::Video, CAPACITY_BYTES);
    for number in 0..10 {
        spool.push(picture(number, 10, 1_000));
    }
    disk.set_free_bytes(Some(0));
    let mut lost = UnitRanges::new();
    for number in 10..200 {
        lost.extend(&all(spool.push(picture(number, 10, 1_000))));
        assert!(spool.backlog().bytes <= MEMORY.video + 10 * 1_100, "memory and what is on disk");
    }
    assert!(lost.contains(10) && !lost.contains(9), "what is on disk stays: {lost}");
    assert!(are_all(&spool.held(), &lost, 200), "held {}, lost {lost}", spool.held());
    disk.set_free_bytes(None);
    spool.push(picture(200, 10, 1_000));
    let (found, log) = opened(&disk.files(), Track::Video, CAPACITY_BYTES);
    assert_eq!(found.held(), spool.held());
    assert_eq!(log.given_up, lost);
}
