//! The logs of a session's tracks, which share a bound.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex};

use protocol::codec::Params;
use protocol::control::Event;
use protocol::digest::UnitDigests;
use protocol::unit::Unit;
use protocol::{Track, UnitRanges};

use super::Settings;
use super::files::Files;
use super::index::Index;
use super::log::{Limits, TrackLog, lock};
use super::recovery::{Found, find};
use super::segments::{Budget, Notes, Segments, parse_name};
use crate::spool::{Backlog, Entry, GivenUp, Health, Note, Overflow, Spool};

/// The smallest capacity: some segments of some records.
const LEAST_CAPACITY_BYTES: u64 = 1024 * 1024;

/// The newest units of a track that are sent from memory, in bytes.
const RECENT_BYTES: u64 = 4 * 1024 * 1024;

/// How much the tracks may hold in memory when the disk fails, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemoryBytes {
    pub(crate) video: u64,
    pub(crate) audio: u64,
}

/// A track as it was found.
pub(crate) struct RecoveredTrack {
    /// Codec parameters.
    pub(crate) params: Vec<Params>,
    /// Events.
    pub(crate) events: Vec<Event>,
    /// How many units the track has, as far as the log tells.
    pub(crate) units: u64,
    /// Units that were given up.
    pub(crate) given_up: UnitRanges,
    /// What stands for the units that are left, and for those that were acknowledged.
    pub(crate) digests: UnitDigests,
    /// Those whose digests are kept whatever becomes of the units.
    pub(crate) noted: UnitRanges,
    /// The newest unit's end.
    pub(crate) end_90k: u64,
    /// What is left of them.
    pub(crate) spool: Box<dyn Spool>,
}

/// The logs of a session's tracks.
pub(super) struct Logs {
    pub(super) files: Arc<dyn Files>,
    pub(super) by_track: BTreeMap<Track, Arc<Mutex<TrackLog>>>,
}

impl Logs {
    /// Of a new session, in an empty folder.
    pub(super) fn begin(
        files: Arc<dyn Files>,
        settings: &Settings,
        memory: MemoryBytes,
        tracks: &[Track],
    ) -> Self {
        let budget = Arc::new(Budget::new(settings.capacity_bytes.max(LEAST_CAPACITY_BYTES)));
        let log = |&track: &Track| {
            let limits = limits(settings, memory, track);
            (track, Arc::new(Mutex::new(track_log(&files, track, limits, &budget, &mut Found::default()))))
        };
        let by_track = tracks.iter().map(log).collect();
        Self { files, by_track }
    }

    /// Of a session whose program has ended. Nothing but notes is added to it.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub(super) fn reopen(
        files: Arc<dyn Files>,
        tracks: &[Track],
        owner: Option<&Arc<File>>,
    ) -> io::Result<(Self, Vec<(Track, RecoveredTrack)>)> {
        // Nothing is added but notes, and so nothing needs a bound.
        let budget = Arc::new(Budget::new(u64::MAX));
        let memory = MemoryBytes { video: 0, audio: 0 };
        let settings = Settings::new("".as_ref());
        let (mut logs, mut recovered) = (Self { files, by_track: BTreeMap::new() }, Vec::new());
        sync_found(&*logs.files);
        for &track in tracks {
            let mut found = find(&*logs.files, track)?;
            if found.damaged_bytes > 0 {
                let damaged_bytes = found.damaged_bytes;
                tracing::warn!(%track, damaged_bytes, "the spool is damaged; units of this track may be lost");
            }
            let units = found.units();
            let (params, events) = (std::mem::take(&mut found.params), std::mem::take(&mut found.events));
            let given_up = std::mem::take(&mut found.given_up);
            let (digests, noted) = (std::mem::take(&mut found.digests), found.noted.clone());
            let newest = found.index.newest();
            let end_90k = newest.map_or(0, |newest| newest.pts_90k + u64::from(newest.duration_90k));
            let limits = limits(&settings, memory, track);
            let log = Arc::new(Mutex::new(track_log(&logs.files, track, limits, &budget, &mut found)));
            logs.by_track.insert(track, Arc::clone(&log));
            let spool = Box::new(DiskSpool { log, other: None, _lock: owner.cloned() });
            let found = RecoveredTrack { params, events, units, given_up, digests, noted, end_90k, spool };
            recovered.push((track, found));
        }
        Ok((logs, recovered))
    }

    /// The queue of a track. When there is no room, sound makes the picture give up first.
    pub(super) fn spool(&self, track: Track, owner: Option<&Arc<File>>) -> Option<DiskSpool> {
        let log = Arc::clone(self.by_track.get(&track)?);
        let other = match track {
            Track::Audio => self.by_track.get(&Track::Video).cloned(),
            Track::Video => None,
        };
        Some(DiskSpool { log, other, _lock: owner.cloned() })
    }
}

fn limits(settings: &Settings, memory: MemoryBytes, track: Track) -> Limits {
    let (overflow, unwritten_bytes) = match track {
        Track::Video => (Overflow::OldestGop, memory.video),
        Track::Audio => (Overflow::OldestUnit, memory.audio),
    };
    let longest_ms = settings.longest.map(|longest| u64::try_from(longest.as_millis()).unwrap_or(u64::MAX));
    Limits {
        recent_bytes: RECENT_BYTES,
        unwritten_bytes,
        overflow,
        when_full: settings.when_full,
        longest_ms,
    }
}

fn track_log(
    files: &Arc<dyn Files>,
    track: Track,
    limits: Limits,
    budget: &Arc<Budget>,
    found: &mut Found,
) -> TrackLog {
    let index: Index = std::mem::take(&mut found.index);
    let segments = std::mem::take(&mut found.segments);
    let segments = Segments::new(
        Arc::clone(files),
        track,
        segment_bytes(budget.capacity_bytes(), track),
        Arc::clone(budget),
        segments,
        found.next_segment,
    );
    let notes = Notes::new(Arc::clone(files), track, found.next_notes);
    TrackLog::new(index, segments, notes, found.noted.count(), Arc::clone(budget), limits)
}

/// Makes durable what a dead program has written: it was not given the time, and the next power cut would take it.
fn sync_found(files: &dyn Files) {
    let logs = files.names().map(|names| names.into_iter().filter(|name| parse_name(name).is_some()));
    let synced = logs.and_then(|mut names| names.try_for_each(|name| files.sync(&name)));
    if let Err(error) = synced.and_then(|()| files.sync_names()) {
        tracing::warn!(%error, "what an earlier program has left cannot be made durable");
    }
}

/// What is given up at once when there is no room, and what an unacknowledged unit keeps on disk beside itself: for
/// video 4 MiB, for audio a sixteenth of that, and never more than a 64th of the whole.
fn segment_bytes(capacity_bytes: u64, track: Track) -> u64 {
    let most = match track {
        Track::Video => 4 * 1024 * 1024,
        Track::Audio => 256 * 1024,
    };
    (capacity_bytes / 64).clamp(16 * 1024, most)
}

/// A track's queue on disk.
pub(super) struct DiskSpool {
    pub(super) log: Arc<Mutex<TrackLog>>,
    /// Whose units are given up before this track's. Always locked after this track's own log.
    pub(super) other: Option<Arc<Mutex<TrackLog>>>,
    /// As long as something can be written, no other program may own the folder.
    pub(super) _lock: Option<Arc<File>>,
}

impl Spool for DiskSpool {
    fn push(&mut self, unit: Unit) -> Vec<GivenUp> {
        lock(&self.log).push(unit, self.other.as_deref())
    }

    fn next_from(&mut self, number: u64) -> Option<Unit> {
        lock(&self.log).next_from(number)
    }

    fn entry_from(&self, number: u64) -> Option<Entry> {
        lock(&self.log).index().slot_from(number).map(|slot| slot.entry)
    }

    fn key_from(&self, number: u64) -> Option<Entry> {
        lock(&self.log).index().key_from(number)
    }

    fn key_from_pts(&self, pts_90k: u64) -> Option<Entry> {
        lock(&self.log).index().key_from_pts(pts_90k)
    }

    fn forget(&mut self, units: &UnitRanges) {
        lock(&self.log).forget(units);
    }

    fn held(&self) -> UnitRanges {
        lock(&self.log).held()
    }

    fn backlog(&self) -> Backlog {
        lock(&self.log).backlog()
    }

    fn note(&mut self, note: Note) {
        lock(&self.log).note(&note);
    }

    fn take_given_up(&mut self) -> Vec<GivenUp> {
        lock(&self.log).take_given_up()
    }

    fn health(&self) -> Health {
        lock(&self.log).health()
    }
}

/// For tests: a track's queue in any folder, without a session around it.
#[cfg(test)]
pub(super) fn bare(
    files: &Arc<dyn Files>,
    track: Track,
    settings: &Settings,
    memory: MemoryBytes,
    budget: &Arc<Budget>,
) -> (DiskSpool, Found) {
    let mut found = find(&**files, track).expect("the folder is listed");
    let log = track_log(files, track, limits(settings, memory, track), budget, &mut found);
    let found = find(&**files, track).expect("the folder is listed");
    (DiskSpool { log: Arc::new(Mutex::new(log)), other: None, _lock: None }, found)
}
