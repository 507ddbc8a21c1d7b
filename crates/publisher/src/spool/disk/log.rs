//! One track's log: units in segment files and in memory, and the notes beside them.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::unit::Unit;
use protocol::{UnitRange, UnitRanges};

use super::WhenFull;
use super::index::{Index, Place, Slot};
use super::record::{self, ParamsSum, Record};
use super::segments::{Budget, Notes, Segments, Unsynced};
use crate::spool::{
    Backlog, Entry, Fill, GivenUp, Health, Note, OVERHEAD_BYTES, Overflow, Trouble, note_given_up,
};

/// Units that one track can hold: the index takes 48 bytes for each, so at most 192 MiB. It is a day of sound.
const MAX_UNITS: usize = 4 << 20;

/// Units of one track whose digests the notes keep: at most 64 MiB of them. A longer session that is killed cannot
/// vouch for those that were acknowledged after that.
const MAX_DIGESTS: u64 = MAX_UNITS as u64;

/// A unit that the disk does not give is asked for so often.
const READ_ATTEMPTS: u8 = 3;

/// With [`WhenFull::Stop`], the part of the capacity that is kept for what the encoders still make after the word
/// to stop: an eighth.
const STOP_RESERVE: u64 = 8;

/// How much a log may hold, and what it does about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The newest units are kept in memory up to so many bytes, to be sent from there.
    pub(super) recent_bytes: u64,
    /// Units that cannot be written are kept in memory up to so many bytes.
    pub(super) unwritten_bytes: u64,
    /// What is given up first.
    pub(super) overflow: Overflow,
    pub(super) when_full: WhenFull,
    /// How much time may wait, in ms.
    pub(super) longest_ms: Option<u64>,
}

/// The newest units, and all that are not on disk.
#[derive(Debug, Default)]
struct Recent {
    units: VecDeque<Unit>,
    bytes: u64,
}

impl Recent {
    fn cost(unit: &Unit) -> u64 {
        unit.payload.len() as u64 + OVERHEAD_BYTES
    }

    fn push(&mut self, unit: Unit) {
        self.bytes += Self::cost(&unit);
        self.units.push_back(unit);
    }

    fn get(&self, number: u64) -> Option<&Unit> {
        let at = self.units.partition_point(|unit| unit.number < number);
        self.units.get(at).filter(|unit| unit.number == number)
    }

    fn remove(&mut self, numbers: UnitRange) {
        let start = self.units.partition_point(|unit| unit.number < numbers.first);
        let end = self.units.partition_point(|unit| unit.number <= numbers.last);
        for unit in self.units.drain(start..end) {
            self.bytes -= Self::cost(&unit);
        }
    }

    /// Keeps so many bytes, and every unit from `keep_from` on.
    fn shrink(&mut self, bytes: u64, keep_from: u64) {
        while self.bytes > bytes
            && let Some(oldest) = self.units.front()
            && oldest.number < keep_from
        {
            self.bytes -= Self::cost(oldest);
            self.units.pop_front();
        }
    }
}

/// One track's log.
pub(super) struct TrackLog {
    index: Index,
    recent: Recent,
    segments: Segments,
    notes: Notes,
    noted_digests: u64,
    /// The units from which codec parameters hold, ascending, and their sums.
    noted_params: Vec<(u64, ParamsSum)>,
    budget: Arc<Budget>,
    limits: Limits,
    /// The start of the newest GOP was given up: its other units are, too, when they come.
    skip_to_key: bool,
    /// The bound was met, and there is not much room since.
    is_full: bool,
    must_stop: bool,
    write_trouble: Option<Trouble>,
    sync_trouble: Option<Trouble>,
    read_trouble: Option<(u64, u8, Trouble)>,
    /// Not told yet.
    given_up: Vec<GivenUp>,
}

/// Locks a log. After a panic in another thread its state is unsure, but units are still better kept than not.
pub(super) fn lock(log: &Mutex<TrackLog>) -> MutexGuard<'_, TrackLog> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TrackLog {
    pub(super) fn new(
        index: Index,
        segments: Segments,
        notes: Notes,
        noted_digests: u64,
        budget: Arc<Budget>,
        limits: Limits,
    ) -> Self {
        Self {
            index,
            recent: Recent::default(),
            segments,
            notes,
            noted_digests,
            noted_params: Vec::new(),
            budget,
            limits,
            skip_to_key: false,
            is_full: false,
            must_stop: false,
            write_trouble: None,
            sync_trouble: None,
            read_trouble: None,
            given_up: Vec::new(),
        }
    }

    /// Takes the newest unit. The other log gives up units before this one does.
    pub(super) fn push(&mut self, unit: Unit, other: Option<&Mutex<Self>>) -> Vec<GivenUp> {
        self.flush();
        let record_bytes = (record::HEADER_BYTES + unit.encoded_bytes()) as u64;
        let has_room = self.make_room(record_bytes, other);
        if !has_room || self.skip_to_key && !unit.key {
            self.skip_to_key = self.limits.overflow == Overflow::OldestGop;
            let units = UnitRange::new(unit.number, unit.number);
            self.tell(GivenUp { units, pts_90k: unit.pts_90k });
        } else {
            self.skip_to_key = false;
            self.index.push(Entry::from(&unit), Place::Memory);
            self.recent.push(unit);
        }
        self.flush();
        while self.index.unwritten_bytes() > self.limits.unwritten_bytes
            && let Some(first) = self.index.first_unwritten().map(|entry| entry.number)
        {
            self.give_up_from(first);
        }
        self.take_given_up()
    }

    /// Whether the bounds permit as much more; gives up what must be given up for that.
    fn make_room(&mut self, more_bytes: u64, other: Option<&Mutex<Self>>) -> bool {
        if !self.is_over(more_bytes) {
            // What was given up at once makes some room, and is no reason to say that all is well.
            self.is_full &= self.is_near();
            return true;
        }
        self.is_full = true;
        if self.limits.when_full == WhenFull::Stop {
            self.must_stop = true;
            let capacity_bytes = self.budget.capacity_bytes();
            let reserve_bytes = capacity_bytes / STOP_RESERVE;
            return self.budget.used_bytes() + more_bytes <= capacity_bytes + reserve_bytes
                && self.index.len() < MAX_UNITS;
        }
        if let Some(other) = other
            && self.is_over_budget(more_bytes)
        {
            lock(other).shed(more_bytes);
        }
        while self.is_over(more_bytes)
            && let Some(oldest) = self.index.slot_from(0).map(|slot| slot.entry.number)
        {
            self.give_up_from(oldest);
            // A GOP whose start is gone is of no use, and so is the rest of it.
            self.skip_to_key = self.index.is_empty() && self.limits.overflow == Overflow::OldestGop;
        }
        !self.is_over(more_bytes)
    }

    fn is_over_budget(&self, more_bytes: u64) -> bool {
        self.budget.used_bytes() + more_bytes > self.budget.capacity_bytes()
    }

    /// Whether four fifths of the room are taken.
    fn is_near(&self) -> bool {
        self.budget.used_bytes() >= self.budget.capacity_bytes() / 5 * 4
    }

    fn is_over(&self, more_bytes: u64) -> bool {
        let too_long = self.limits.longest_ms.is_some_and(|most| self.index.backlog().duration_ms > most);
        self.is_over_budget(more_bytes) || too_long || self.index.len() >= MAX_UNITS
    }

    /// Gives up the oldest for the other track's sake.
    fn shed(&mut self, more_bytes: u64) {
        while self.is_over_budget(more_bytes)
            && let Some(oldest) = self.index.slot_from(0).map(|slot| slot.entry.number)
        {
            self.give_up_from(oldest);
            self.skip_to_key = self.index.is_empty() && self.limits.overflow == Overflow::OldestGop;
        }
        self.flush();
    }

    /// Gives up one GOP or one unit, from this number on.
    fn give_up_from(&mut self, number: u64) {
        let units = match self.limits.overflow {
            Overflow::OldestGop => self.index.gop_from(number),
            Overflow::OldestUnit => Some(UnitRange::new(number, number)),
        };
        let Some(units) = units else { return };
        let mut runs = Vec::new();
        self.remove(units, |entry| note_given_up(&mut runs, entry.number, entry.pts_90k));
        runs.into_iter().for_each(|run| self.tell(run));
    }

    fn tell(&mut self, given_up: GivenUp) {
        self.notes.push(record::of_note(&Note::GivenUp(given_up)));
        match self.given_up.last_mut() {
            Some(run) if run.units.last + 1 == given_up.units.first => run.units.last = given_up.units.last,
            _ => self.given_up.push(given_up),
        }
    }

    fn remove(&mut self, units: UnitRange, mut removed: impl FnMut(Entry)) {
        let segments = &mut self.segments;
        self.index.remove(units, |Slot { entry, place }| {
            if let Place::File { segment, .. } = place {
                segments.release(segment);
            }
            removed(entry);
        });
        self.recent.remove(units);
    }

    /// Writes what waits, the oldest first.
    fn flush(&mut self) {
        let trouble = self.try_flush().err().map(|error| trouble_of(&error));
        if let (None, Some(trouble)) = (&self.write_trouble, &trouble) {
            tracing::warn!("{trouble}; units are kept in memory");
        }
        self.write_trouble = trouble;
    }

    fn try_flush(&mut self) -> io::Result<()> {
        self.notes.flush()?;
        let mut keep_from = u64::MAX;
        while let Some(number) = self.index.first_unwritten().map(|entry| entry.number) {
            keep_from = number;
            let Some(unit) = self.recent.get(number) else { break };
            let place =
                self.segments.append(&record::of_unit(unit, record::sum_at(&self.noted_params, number)))?;
            self.index.written(place);
            keep_from = u64::MAX;
        }
        self.recent.shrink(self.limits.recent_bytes, keep_from);
        Ok(())
    }

    pub(super) fn note(&mut self, note: &Note) {
        if let Note::Params(params) = note {
            self.noted_params.push((params.from_unit, record::params_sum(params)));
        }
        if let Note::Digests { digests, .. } = note {
            self.noted_digests += digests.len() as u64;
            if self.noted_digests > MAX_DIGESTS {
                return;
            }
        }
        self.notes.push(record::of_note(note));
        self.flush();
    }

    pub(super) fn next_from(&mut self, number: u64) -> Option<Unit> {
        loop {
            let &Slot { entry, place } = self.index.slot_from(number)?;
            if let Some(unit) = self.recent.get(entry.number) {
                return Some(unit.clone());
            }
            match self.read(entry.number, place) {
                Ok(unit) => {
                    self.read_trouble = None;
                    return Some(unit);
                }
                Err(ReadError::Passing(error)) => {
                    let before = self.read_trouble.as_ref().filter(|(number, ..)| *number == entry.number);
                    let attempts = before.map_or(0, |(_, attempts, _)| *attempts) + 1;
                    if attempts < READ_ATTEMPTS {
                        self.read_trouble = Some((entry.number, attempts, trouble_of(&error)));
                        return None;
                    }
                    self.lose(entry, &error.to_string());
                }
                Err(ReadError::Damaged) => self.lose(entry, "its checksum differs"),
            }
        }
    }

    fn read(&self, number: u64, place: Place) -> Result<Unit, ReadError> {
        let Place::File { segment, offset, length_bytes } = place else { return Err(ReadError::Damaged) };
        let bytes =
            self.segments.read(segment, offset, length_bytes).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof => ReadError::Damaged,
                _ => ReadError::Passing(error),
            })?;
        match record::decode(&bytes) {
            Some((Record::Unit(unit, _), _)) if unit.number == number => Ok(unit),
            _ => Err(ReadError::Damaged),
        }
    }

    fn lose(&mut self, entry: Entry, why: &str) {
        tracing::error!(unit = entry.number, why, "a unit in the spool cannot be read any more");
        self.read_trouble = None;
        let units = UnitRange::new(entry.number, entry.number);
        self.remove(units, drop);
        self.tell(GivenUp { units, pts_90k: entry.pts_90k });
        self.flush();
    }

    pub(super) fn forget(&mut self, units: &UnitRanges) {
        for &range in units.as_slice() {
            self.remove(range, drop);
        }
    }

    pub(super) const fn index(&self) -> &Index {
        &self.index
    }

    pub(super) fn held(&self) -> UnitRanges {
        self.index.held()
    }

    pub(super) fn backlog(&self) -> Backlog {
        self.index.backlog()
    }

    pub(super) fn take_given_up(&mut self) -> Vec<GivenUp> {
        std::mem::take(&mut self.given_up)
    }

    pub(super) fn health(&self) -> Health {
        let fill = if self.is_full {
            Fill::Full
        } else if self.is_near() {
            Fill::Warning
        } else {
            Fill::Room
        };
        let reading = self.read_trouble.as_ref().map(|(_, _, trouble)| trouble);
        let trouble = self.write_trouble.as_ref().or(self.sync_trouble.as_ref()).or(reading).cloned();
        Health { fill, must_stop: self.must_stop, trouble }
    }

    /// What has to be made durable. After a failure it is told by [`TrackLog::synced`].
    pub(super) fn take_unsynced(&mut self) -> Unsynced {
        let mut unsynced = self.segments.take_unsynced();
        let notes = self.notes.take_unsynced();
        unsynced.files.extend(notes.files);
        unsynced.names |= notes.names;
        unsynced
    }

    /// Whether what was taken is durable now.
    pub(super) fn synced(&mut self, result: &io::Result<()>) {
        self.sync_trouble = result.as_ref().err().map(trouble_of);
    }
}

enum ReadError {
    Passing(io::Error),
    Damaged,
}

fn trouble_of(error: &io::Error) -> Trouble {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Trouble::DiskFull,
        _ => Trouble::DiskFails(error.to_string()),
    }
}
