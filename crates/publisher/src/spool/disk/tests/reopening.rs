use proptest::prelude::*;
use protocol::codec::{CodecParameters, Params};
use protocol::control::{Event, EventKind};
use protocol::{UnitRange, UnitRanges};

use super::super::files::Folder;
use super::super::logs::Logs;
use super::super::simulated::SimulatedFolder;
use super::*;
use crate::spool::{Note, Spool as _};

const CAPACITY_BYTES: u64 = 1 << 30;

fn opus() -> Note {
    let parameters = CodecParameters::Opus { channels: 1, pre_skip_48k: 312 };
    Note::Params(Params { from_unit: 0, parameters })
}

fn numbers(spool: &mut DiskSpool) -> Vec<u64> {
    let mut numbers = Vec::new();
    let mut cursor = 0;
    while let Some(unit) = spool.next_from(cursor) {
        assert_eq!(unit.payload, picture(unit.number, 1, unit.payload.len()).payload, "its own payload");
        numbers.push(unit.number);
        cursor = unit.number + 1;
    }
    numbers
}

/// The last file of a track's units.
fn last_segment(files: &dyn Files) -> Option<String> {
    files.names().unwrap().into_iter().filter(|name| name.ends_with(".units")).max()
}

#[test]
fn what_was_pushed_and_noted_is_found_by_the_next_program() {
    let folder = tempfile::tempdir().unwrap();
    let files: Arc<dyn Files> = Arc::new(Folder::new(folder.path()));
    let (mut spool, found) = opened(&files, Track::Audio, CAPACITY_BYTES);
    assert_eq!(found.units(), 0);
    let event = Event { number: 0, at_90k: 3, kind: EventKind::Muted, detail: "off".into() };
    spool.note(opus());
    for number in 0..100 {
        assert_eq!(spool.push(picture(number, 1, 700)), []);
    }
    spool.note(Note::Event(event.clone()));
    spool.forget(&[UnitRange::new(0, 39)].into_iter().collect());
    // Nothing is closed in order: the program is killed.
    std::mem::forget(spool);

    let (mut again, found) = opened(&files, Track::Audio, CAPACITY_BYTES);
    assert_eq!((found.params.len(), found.events.clone()), (1, vec![event]));
    assert_eq!((found.units(), found.finish, found.damaged_bytes, found.torn_bytes), (100, None, 0, 0));
    // The log does not tell what was acknowledged; the server does.
    assert_eq!(numbers(&mut again), (0..100).collect::<Vec<_>>());
    again.note(Note::Finish { units: 100 });
    let (_, found) = opened(&files, Track::Audio, CAPACITY_BYTES);
    assert_eq!((found.finish, found.params.len()), (Some(100), 1));
}

#[test]
fn a_segment_whose_units_are_all_forgotten_is_removed() {
    let disk = SimulatedFolder::default();
    let (mut spool, _) = opened(&disk.files(), Track::Video, 1 << 20);
    for number in 0..200 {
        spool.push(picture(number, 30, 1_000));
    }
    let all = disk.bytes();
    assert!(all > 200_000);
    spool.forget(&[UnitRange::new(0, 149)].into_iter().collect());
    assert!(disk.bytes() < 80_000, "{} of {all} bytes are left", disk.bytes());
    spool.forget(&[UnitRange::new(0, 199)].into_iter().collect());
    assert!(disk.bytes() < 20_000, "{} bytes are left", disk.bytes());
    let (mut again, _) = opened(&disk.files(), Track::Video, 1 << 20);
    assert!(numbers(&mut again).iter().all(|number| *number > 150));
}

#[test]
fn old_units_come_from_the_files_and_memory_stays_small() {
    let disk = SimulatedFolder::default();
    let (mut spool, _) = opened(&disk.files(), Track::Video, CAPACITY_BYTES);
    for number in 0..900 {
        spool.push(picture(number, 30, 10_000));
    }
    // 9 MB wait, 4 MiB of them in memory: without its files the log has only the newest.
    disk.fail_reads(Some(std::io::ErrorKind::Other));
    assert!(spool.next_from(0).is_none());
    assert_eq!(spool.entry_from(0).unwrap().number, 0, "it is there, it cannot be read now");
    assert!(spool.next_from(600).is_some());
    assert!(spool.health().trouble.is_some());
    disk.fail_reads(None);
    assert_eq!(numbers(&mut spool), (0..900).collect::<Vec<_>>());
    assert_eq!(spool.health().trouble, None);
    assert_eq!(spool.key_from(31).unwrap().number, 60);
    assert_eq!(spool.key_from_pts(61 * 3_000).unwrap().number, 90);
}

#[test]
fn a_unit_that_cannot_be_read_again_is_given_up_and_told() {
    let disk = SimulatedFolder::default();
    let (mut spool, _) = opened(&disk.files(), Track::Video, CAPACITY_BYTES);
    for number in 0..900 {
        spool.push(picture(number, 30, 10_000));
    }
    disk.edit("video-00000000.units", |bytes| bytes[10_000] ^= 1);
    assert_eq!(spool.next_from(0).unwrap().number, 1, "the checksum tells");
    let given_up = spool.take_given_up();
    assert_eq!(given_up.iter().map(|run| run.units).collect::<Vec<_>>(), [UnitRange::new(0, 0)]);
    disk.fail_reads(Some(std::io::ErrorKind::Other));
    // It is tried again before it is given up.
    assert!(spool.next_from(1).is_none() && spool.next_from(1).is_none());
    assert_eq!(spool.take_given_up(), []);
    assert!(spool.next_from(1).is_none());
    assert_eq!(spool.take_given_up()[0].units, UnitRange::new(1, 1));
    disk.fail_reads(None);
    let (_, found) = opened(&disk.files(), Track::Video, CAPACITY_BYTES);
    assert_eq!(found.given_up.to_string(), "0–1", "the next program is told, too");
    assert!(found.damaged_bytes > 0);
}

#[test]
fn damaged_folders_are_read_as_far_as_they_go() {
    type Harm = fn(&SimulatedFolder);
    let harms: [(&str, Harm, u64, bool); 7] = [
        ("untouched", |_| {}, 60, false),
        ("a torn end", |disk| disk.edit("video-00000000.units", |b| b.truncate(b.len() - 5)), 59, false),
        ("zeros at the end", |disk| disk.edit("video-00000000.units", |b| b.extend([0; 5_000])), 60, false),
        ("one byte", |disk| disk.edit("video-00000000.units", |b| b[20_000] ^= 0x80), 59, true),
        ("a hole", |disk| disk.edit("video-00000000.units", |b| b[20_000..24_096].fill(0)), 56, true),
        ("nothing left", |disk| disk.edit("video-00000000.units", Vec::clear), 0, false),
        ("no notes", |disk| disk.edit("video-00000000.notes", |b| b.fill(7)), 60, false),
    ];
    for (name, harm, kept, is_damaged) in harms {
        let disk = SimulatedFolder::default();
        let (mut spool, _) = opened(&disk.files(), Track::Video, CAPACITY_BYTES);
        spool.note(Note::Finish { units: 60 });
        for number in 0..60 {
            spool.push(picture(number, 30, 1_000));
        }
        drop(spool);
        harm(&disk);
        let (mut again, found) = opened(&disk.files(), Track::Video, CAPACITY_BYTES);
        assert_eq!(again.backlog().units, kept, "{name}");
        assert_eq!(numbers(&mut again).len() as u64, kept, "{name}");
        assert_eq!(found.damaged_bytes > 0, is_damaged, "{name}: {} bytes", found.damaged_bytes);
        assert_eq!(found.units(), 60, "{name}: the count is known by the notes or by the units");
    }
}

#[test]
fn units_whose_codec_parameters_are_gone_are_not_sent_with_others() {
    let disk = SimulatedFolder::default();
    let (mut spool, _) = opened(&disk.files(), Track::Audio, CAPACITY_BYTES);
    spool.note(opus());
    (0..10).for_each(|number| drop(spool.push(picture(number, 1, 100))));
    let whole = disk.files().read("audio-00000000.notes").unwrap().len();
    let other = CodecParameters::Opus { channels: 2, pre_skip_48k: 312 };
    spool.note(Note::Params(Params { from_unit: 10, parameters: other }));
    (10..20).for_each(|number| drop(spool.push(picture(number, 1, 100))));
    let (_, found) = opened(&disk.files(), Track::Audio, CAPACITY_BYTES);
    assert_eq!((found.index.held().count(), found.params.len()), (20, 2));
    disk.edit("audio-00000000.notes", |bytes| bytes.truncate(whole));
    let (spool, _) = opened(&disk.files(), Track::Audio, CAPACITY_BYTES);
    assert_eq!(spool.held().to_string(), "0–9");
}

#[test]
fn what_a_dead_program_has_written_is_durable_once_another_has_opened_it() {
    let disk = SimulatedFolder::default();
    let (mut spool, _) = opened(&disk.files(), Track::Audio, CAPACITY_BYTES);
    (0..10).for_each(|number| drop(spool.push(picture(number, 1, 100))));
    drop(spool);
    Logs::reopen(disk.files(), &[Track::Audio], None).unwrap();
    let (spool, _) = opened(&disk.after_power_cut(|| false).files(), Track::Audio, CAPACITY_BYTES);
    assert_eq!(spool.held().count(), 10);
}

proptest! {
    #[test]
    fn what_is_held_is_what_was_pushed_less_what_was_forgotten_however_the_last_file_is_cut(
        steps in prop::collection::vec((0u8..6, 0u64..150, 0u64..30, 1usize..600), 1..150), cut in any::<prop::sample::Index>(),
    ) {
        let disk = SimulatedFolder::default();
        let (mut spool, _) = opened(&disk.files(), Track::Video, 1 << 20);
        let (mut held, mut next) = (UnitRanges::new(), 0);
        for (kind, first, more, payload_bytes) in steps {
            match kind {
                0 => {
                    let forgotten = UnitRange::new(first, first + more);
                    spool.forget(&[forgotten].into_iter().collect());
                    held = (0..next).filter(|n| held.contains(*n) && !(first..=first + more).contains(n))
                        .map(|n| UnitRange::new(n, n)).collect();
                }
                1 => {
                    drop(spool);
                    let (again, found) = opened(&disk.files(), Track::Video, 1 << 20);
                    spool = again;
                    prop_assert_eq!((found.damaged_bytes, found.torn_bytes), (0, 0));
                    prop_assert!(held.as_slice().iter().all(|range| (range.first..=range.last).all(|n| spool.held().contains(n))));
                    prop_assert!(spool.held().last().is_none_or(|last| last < next));
                    held = spool.held();
                }
                _ => {
                    prop_assert_eq!(spool.push(picture(next, 10, payload_bytes)), []);
                    held.insert(next);
                    next += 1;
                }
            }
            prop_assert_eq!(spool.held(), held.clone());
            prop_assert_eq!(numbers(&mut spool).len() as u64, held.count());
        }
        drop(spool);
        let files = disk.files();
        let (before, _) = opened(&files, Track::Video, 1 << 20);
        let before = before.held();
        if let Some(last) = last_segment(&*files) {
            disk.edit(&last, |bytes| { let at = cut.index(bytes.len() + 1); bytes.truncate(at); });
        }
        let (mut after, found) = opened(&files, Track::Video, 1 << 20);
        prop_assert_eq!(found.damaged_bytes, 0);
        let kept = after.held();
        let end = kept.last().map_or(0, |last| last + 1);
        for range in before.as_slice() {
            for number in range.first..=range.last {
                prop_assert!(kept.contains(number) == (number < end), "what is cut off is the end: {number}, {kept}");
            }
        }
        prop_assert_eq!(numbers(&mut after).len() as u64, kept.count());
    }
}
