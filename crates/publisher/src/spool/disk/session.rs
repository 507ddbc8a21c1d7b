//! A session's folder: who the session is, who owns the folder, and the logs of its tracks.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use protocol::codec::Params;
use protocol::control::{Device, Event};
use protocol::digest::UnitDigests;
use protocol::unit::Unit;
use protocol::{ResumeKey, RoomName, SessionId, Track, UnitRanges};
use serde::{Deserialize, Serialize};
use signing::SigningKey;

use super::files::{Files, Folder, make_private_folder, private, sync_folder};
use super::index::Index;
use super::log::{Limits, TrackLog, lock};
use super::recovery::{Found, find};
use super::segments::{Budget, Kind, Notes, Segments, parse_name};
use super::sync::Syncer;
use super::{Settings, SpoolError, WhenFull};
use crate::address::ServerAddress;
use crate::spool::{Backlog, Entry, GivenUp, Health, Note, Overflow, Spool};
use crate::track::Identity;

const ABOUT: &str = "session.json";
const LOCK: &str = "lock";

/// The version of the folder's layout.
const VERSION: u32 = 1;

/// The smallest capacity: some segments of some records.
const LEAST_CAPACITY_BYTES: u64 = 1024 * 1024;

/// The newest units of a track that are sent from memory, in bytes.
const RECENT_BYTES: u64 = 4 * 1024 * 1024;

/// What `session.json` tells: everything that a resume needs but the access token, which is never written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct About {
    version: u32,
    pub(super) session: SessionId,
    resume_key: ResumeKey,
    pub(super) room: RoomName,
    pub(super) server: String,
    device: Device,
    pub(super) started_unix_ms: u64,
    pub(super) tracks: Vec<Track>,
}

impl About {
    pub(super) fn identity(&self, device_key: &Arc<SigningKey>) -> Identity {
        Identity {
            session: self.session,
            resume_key: self.resume_key.clone(),
            room: self.room.clone(),
            device: self.device.clone(),
            started_unix_ms: self.started_unix_ms,
            device_key: Arc::clone(device_key),
        }
    }

    /// # Errors
    /// [`SpoolError::Unreadable`]: it is not there, or is not what was written.
    pub(super) fn read(folder: &Path) -> Result<Self, SpoolError> {
        let path = folder.join(ABOUT);
        let unreadable = |reason: String| SpoolError::Unreadable { path: path.clone(), reason };
        let text = fs::read(&path).map_err(|error| unreadable(error.to_string()))?;
        let about: Self = serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))?;
        match about.version {
            VERSION => Ok(about),
            other => Err(unreadable(format!("its version is {other}, and this program knows {VERSION}"))),
        }
    }

    fn write(&self, folder: &Path) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        let new = folder.join("session.json.new");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        private(&mut options);
        let mut file = options.open(&new)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&new, folder.join(ABOUT))?;
        sync_folder(folder)
    }
}

/// How much the tracks may hold in memory when the disk fails, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemoryBytes {
    pub(crate) video: u64,
    pub(crate) audio: u64,
}

/// A session's folder that this program owns, until it and its queues are dropped.
pub(crate) struct SessionFolder {
    path: PathBuf,
    files: Arc<dyn Files>,
    logs: BTreeMap<Track, Arc<Mutex<TrackLog>>>,
    /// Ends before the lock is given back.
    syncer: Mutex<Option<Syncer>>,
    /// The tracks that are not complete.
    open: Mutex<Vec<Track>>,
    lock: Arc<File>,
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

/// A session that another program has left.
pub(crate) struct Reopened {
    pub(crate) folder: SessionFolder,
    pub(crate) identity: Identity,
    /// The address that it was sent to.
    pub(crate) server: String,
    pub(crate) tracks: Vec<(Track, RecoveredTrack)>,
}

impl SessionFolder {
    /// Makes the folder of a new session.
    ///
    /// # Errors
    /// [`SpoolError`]: the disk refuses, or the folder exists.
    pub(crate) fn begin(
        settings: &Settings,
        memory: MemoryBytes,
        server: &ServerAddress,
        identity: &Identity,
        tracks: &[Track],
    ) -> Result<Self, SpoolError> {
        let path = settings.folder.join(identity.session.to_string());
        let disk = |source| SpoolError::Disk { path: path.clone(), source };
        if path.join(ABOUT).exists() {
            return Err(SpoolError::Exists(path));
        }
        make_private_folder(&path).map_err(disk)?;
        let lock = Arc::new(own(&path)?);
        let about = About {
            version: VERSION,
            session: identity.session,
            resume_key: identity.resume_key.clone(),
            room: identity.room.clone(),
            server: server.to_string(),
            device: identity.device.clone(),
            started_unix_ms: identity.started_unix_ms,
            tracks: tracks.to_vec(),
        };
        about.write(&path).map_err(disk)?;
        sync_folder(&settings.folder).map_err(disk)?;
        let budget = Arc::new(Budget::new(settings.capacity_bytes.max(LEAST_CAPACITY_BYTES)));
        let files: Arc<dyn Files> = Arc::new(Folder::new(&path));
        let log = |&track: &Track| {
            let limits = limits(settings, memory, track);
            (track, Arc::new(Mutex::new(track_log(&files, track, limits, &budget, &mut Found::default()))))
        };
        let logs = tracks.iter().map(log).collect();
        Self::with(path, lock, files, logs)
    }

    /// Takes over the folder of a session whose program has ended.
    ///
    /// # Errors
    /// [`SpoolError`]: another program owns it, or it cannot be read.
    pub(crate) fn reopen(
        folder: &Path,
        session: SessionId,
        device_key: &Arc<SigningKey>,
    ) -> Result<Reopened, SpoolError> {
        let path = folder.join(session.to_string());
        let about = About::read(&path)?;
        let lock = Arc::new(own(&path)?);
        let files: Arc<dyn Files> = Arc::new(Folder::new(&path));
        // Nothing is added but notes, and so nothing needs a bound.
        let budget = Arc::new(Budget::new(u64::MAX));
        let memory = MemoryBytes { video: 0, audio: 0 };
        let settings = Settings::new(folder);
        let (mut logs, mut tracks) = (BTreeMap::new(), Vec::new());
        for &track in &about.tracks {
            let disk = |source| SpoolError::Disk { path: path.clone(), source };
            let mut found = find(&*files, track).map_err(disk)?;
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
            let log = Arc::new(Mutex::new(track_log(&files, track, limits, &budget, &mut found)));
            logs.insert(track, Arc::clone(&log));
            let spool = Box::new(DiskSpool { log, other: None, _lock: Some(Arc::clone(&lock)) });
            let found = RecoveredTrack { params, events, units, given_up, digests, noted, end_90k, spool };
            tracks.push((track, found));
        }
        let folder = Self::with(path, lock, files, logs)?;
        Ok(Reopened { folder, identity: about.identity(device_key), server: about.server, tracks })
    }

    fn with(
        path: PathBuf,
        lock: Arc<File>,
        files: Arc<dyn Files>,
        logs: BTreeMap<Track, Arc<Mutex<TrackLog>>>,
    ) -> Result<Self, SpoolError> {
        let syncer = Syncer::start(Arc::clone(&files), logs.values().cloned().collect())
            .map_err(|source| SpoolError::Disk { path: path.clone(), source })?;
        let open = Mutex::new(logs.keys().copied().collect());
        Ok(Self { path, files, logs, syncer: Mutex::new(Some(syncer)), open, lock })
    }

    /// The queue of a track. When there is no room, sound makes the picture give up first.
    pub(crate) fn spool(&self, track: Track) -> Option<Box<dyn Spool>> {
        let log = Arc::clone(self.logs.get(&track)?);
        let other = match track {
            Track::Audio => self.logs.get(&Track::Video).cloned(),
            Track::Video => None,
        };
        Some(Box::new(DiskSpool { log, other, _lock: Some(Arc::clone(&self.lock)) }))
    }

    /// Makes durable what was written, and leaves it at that.
    pub(crate) fn close(&self) {
        drop(self.syncer.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// The server has everything of this track. With the last one the folder is removed.
    pub(crate) fn complete(&self, track: Track) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|other| *other != track);
        if !open.is_empty() {
            return;
        }
        self.close();
        if let Err(error) = remove(&self.path, &*self.files) {
            tracing::warn!(%error, folder = %self.path.display(), "the spool of a complete session stays");
        }
    }
}

/// Removes a session's folder. The order is such that what a crash leaves is complete too: without units the
/// server is asked once more, without notes there is nothing to ask.
pub(super) fn remove(path: &Path, files: &dyn Files) -> io::Result<()> {
    let names = files.names()?;
    let of = |wanted: Kind| {
        names.iter().filter(move |name| parse_name(name).is_some_and(|(_, kind, _)| kind == wanted))
    };
    for name in of(Kind::Units).chain(of(Kind::Notes)) {
        files.remove(name)?;
    }
    for name in names.iter().filter(|name| parse_name(name).is_none() && *name != LOCK) {
        files.remove(name)?;
    }
    files.remove(LOCK)?;
    fs::remove_dir(path)
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

/// What is given up at once when there is no room, and what an unacknowledged unit keeps on disk beside itself: for
/// video 4 MiB, for audio a sixteenth of that, and never more than a 64th of the whole.
fn segment_bytes(capacity_bytes: u64, track: Track) -> u64 {
    let most = match track {
        Track::Video => 4 * 1024 * 1024,
        Track::Audio => 256 * 1024,
    };
    (capacity_bytes / 64).clamp(16 * 1024, most)
}

/// Takes the lock that says which program owns the folder. The system gives it back when the program ends.
pub(super) fn own(path: &Path) -> Result<File, SpoolError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    private(&mut options);
    let disk = |source| SpoolError::Disk { path: path.to_owned(), source };
    let file = options.truncate(false).open(path.join(LOCK)).map_err(disk)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SpoolError::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(disk(source)),
    }
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

impl Settings {
    /// The defaults in this folder: 4 GiB for both tracks together, of any age; when that is full, the session
    /// stops.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        let capacity_bytes = 4 * 1024 * 1024 * 1024;
        Self { folder: folder.to_owned(), capacity_bytes, longest: None, when_full: WhenFull::Stop }
    }
}
