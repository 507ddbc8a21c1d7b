//! What a program that ended early has left of a track's log.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;
use protocol::codec::Params;
use protocol::control::Event;
use protocol::digest::{UnitDigests, unit_digest};
use protocol::{Track, UnitRanges};

use super::files::Files;
use super::index::{Index, Place};
use super::record::{Record, Scan, params_sum, scan, sum_at};
use super::segments::{Kind, Segment, name, parse_name};
use crate::spool::{Entry, Note};

/// A track's log as it was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Ascending by the unit from which they hold.
    pub(super) params: Vec<Params>,
    /// Ascending by number.
    pub(super) events: Vec<Event>,
    /// The count of units, if the track had ended.
    pub(super) finish: Option<u64>,
    pub(super) given_up: UnitRanges,
    /// Of the units in the files, and of those that were noted before they were forgotten.
    pub(super) digests: UnitDigests,
    /// The noted ones.
    pub(super) noted: UnitRanges,
    pub(super) index: Index,
    pub(super) segments: BTreeMap<u32, Segment>,
    /// The first number that no file of units, and none of notes, has.
    pub(super) next_segment: u32,
    pub(super) next_notes: u32,
    /// Bytes that are no record, and lie before others that are, or in a file that is not the last one.
    pub(super) damaged_bytes: u64,
    /// Bytes of the record that was being written.
    pub(super) torn_bytes: u64,
}

impl Found {
    /// How many units the track has, as far as the log tells.
    pub(super) fn units(&self) -> u64 {
        let beyond = |last: Option<u64>| last.map_or(0, |last| last + 1);
        let held = beyond(self.index.newest().map(|entry| entry.number));
        held.max(beyond(self.given_up.last())).max(self.finish.unwrap_or(0))
    }
}

/// Reads a track's log. Changes nothing. What cannot be read counts as damaged.
///
/// # Errors
/// When the folder cannot be listed.
pub(super) fn find(files: &dyn Files, track: Track) -> io::Result<Found> {
    let mut found = Found::default();
    let (mut units, mut notes) = (Vec::new(), Vec::new());
    for (_, kind, id) in
        files.names()?.iter().filter_map(|name| parse_name(name)).filter(|(of, ..)| *of == track)
    {
        match kind {
            Kind::Units => units.push(id),
            Kind::Notes => notes.push(id),
        }
    }
    units.sort_unstable();
    notes.sort_unstable();
    let next = |ids: &[u32]| ids.last().map_or(0, |last| last.saturating_add(1));
    (found.next_segment, found.next_notes) = (next(&units), next(&notes));
    for &id in &notes {
        let scan = read(files, &name(track, Kind::Notes, id), |_, _, record| {
            if let Record::Note(note) = record {
                take_note(&mut found, track, note);
            }
        });
        count(&mut found, scan, id + 1 == next(&notes));
    }
    found.noted = found.digests.numbers();
    let sums: Vec<_> = found.params.iter().map(|params| (params.from_unit, params_sum(params))).collect();
    for &id in &units {
        let mut segment = Segment::default();
        let scan = read(files, &name(track, Kind::Units, id), |offset, length_bytes, record| {
            segment.bytes = offset + u64::from(length_bytes);
            let Record::Unit(unit, needs) = record else { return };
            found.digests.record(unit.number, unit_digest(track, &unit));
            // A write that failed may have done its work all the same, and was then repeated.
            let is_newest = found.index.newest().is_none_or(|newest| newest.number < unit.number);
            if let Ok(offset) = u32::try_from(offset)
                && is_newest
                && needs == sum_at(&sums, unit.number)
                && !found.given_up.contains(unit.number)
            {
                found.index.push(Entry::from(&unit), Place::File { segment: id, offset, length_bytes });
                segment.held += 1;
            }
        });
        count(&mut found, scan, id + 1 == next(&units));
        found.segments.insert(id, segment);
    }
    Ok(found)
}

fn read(files: &dyn Files, name: &str, found: impl FnMut(u64, u32, Record)) -> Scan {
    match files.read(name) {
        Ok(content) => scan(&Bytes::from(content), found),
        Err(error) => {
            tracing::error!(name, %error, "a file of the spool cannot be read");
            Scan { damaged_bytes: 1, torn_bytes: 0 }
        }
    }
}

fn count(found: &mut Found, scan: Scan, is_last: bool) {
    found.damaged_bytes += scan.damaged_bytes;
    match is_last {
        true => found.torn_bytes += scan.torn_bytes,
        false => found.damaged_bytes += scan.torn_bytes,
    }
}

/// Takes a note that follows those before; another one is of a write that was repeated.
fn take_note(found: &mut Found, track: Track, note: Note) {
    match note {
        Note::Params(params) => {
            let follows = found.params.last().is_none_or(|last| last.from_unit < params.from_unit);
            if follows && params.parameters.track() == track {
                found.params.push(params);
            }
        }
        Note::Event(event) => {
            if found.events.last().is_none_or(|last| last.number < event.number) {
                found.events.push(event);
            }
        }
        Note::Finish { units } => found.finish = Some(units),
        Note::GivenUp(given_up) => found.given_up.insert_range(given_up.units),
        Note::Digests { first, digests } => {
            (first..).zip(digests).for_each(|(number, digest)| found.digests.record(number, digest));
        }
    }
}
