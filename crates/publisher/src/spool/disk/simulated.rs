//! For simulations: a disk in memory that can be full, fail, and lose what was not synced, and a session's queues on it.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::Track;

use super::Settings;
use super::files::{Files, LogFile};
use super::logs::{Logs, MemoryBytes};
use super::record;
use super::segments::Unsynced;
use super::sync::sync;
use crate::spool::Spool;
use crate::track::{Identity, Pace, TrackMachine};

/// The unit in which a disk loses what was not synced.
const SECTOR_BYTES: usize = 64;

#[derive(Debug, Clone, Default)]
struct Content {
    /// What a program reads.
    cached: Vec<u8>,
    /// How much of it a power cut leaves for sure.
    synced_bytes: usize,
    /// Whether the name survives a power cut.
    has_name: bool,
}

#[derive(Debug, Default)]
struct Disk {
    files: BTreeMap<String, Content>,
    /// Removed, and there again after a power cut unless names were synced.
    removed: BTreeMap<String, Content>,
    free_bytes: Option<usize>,
    write_error: Option<ErrorKind>,
    read_error: Option<ErrorKind>,
    drops_digests: bool,
}

/// A folder on the disk. Clones are the same folder.
#[derive(Debug, Clone, Default)]
pub struct SimulatedFolder(Arc<Mutex<Disk>>);

struct ModelFile {
    folder: SimulatedFolder,
    name: String,
}

impl SimulatedFolder {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn files(&self) -> Arc<dyn Files> {
        Arc::new(self.clone())
    }

    /// From now on only so many bytes can be added.
    pub fn set_free_bytes(&self, free_bytes: Option<usize>) {
        self.disk().free_bytes = free_bytes;
    }

    /// Every write and sync fails so, until it is told otherwise.
    pub fn fail_writes(&self, error: Option<ErrorKind>) {
        self.disk().write_error = error;
    }

    /// Every read of a part of a file fails so, until it is told otherwise.
    #[cfg(test)]
    pub(super) fn fail_reads(&self, error: Option<ErrorKind>) {
        self.disk().read_error = error;
    }

    /// A disk that says of digests that it has written them, and has not: whether a simulation's checks see that.
    pub fn drop_digests(&self, drops_digests: bool) {
        self.disk().drops_digests = drops_digests;
    }

    /// The bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.disk().files.values().map(|content| content.cached.len()).sum()
    }

    #[cfg(test)]
    pub(super) fn edit(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        edit(&mut self.disk().files.get_mut(name).unwrap().cached);
    }

    /// What another program would find, had the power failed now. `survives` says of each sector that was written
    /// and not synced, and of each name, whether it was on the disk by chance; else a sector has zeros in it, and
    /// the file may end before it.
    #[must_use]
    pub fn after_power_cut(&self, mut survives: impl FnMut() -> bool) -> Self {
        let mut files = BTreeMap::new();
        let disk = self.disk();
        for (name, content) in disk.removed.iter().chain(&disk.files) {
            let is_sure = content.has_name && disk.files.contains_key(name);
            if !is_sure && !survives() {
                continue;
            }
            let (synced, unsynced) = content.cached.split_at(content.synced_bytes);
            let mut left = synced.to_vec();
            let mut whole = left.len();
            for sector in unsynced.chunks(SECTOR_BYTES) {
                let is_there = survives();
                left.extend(sector.iter().map(|byte| if is_there { *byte } else { 0 }));
                whole = if is_there { left.len() } else { whole };
            }
            if survives() {
                left.truncate(whole);
            }
            let content = Content { synced_bytes: left.len(), cached: left, has_name: true };
            files.insert(name.clone(), content);
        }
        Self(Arc::new(Mutex::new(Disk { files, ..Disk::default() })))
    }
}

impl Files for SimulatedFolder {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.disk().files.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        let mut disk = self.disk();
        if let Some(error) = disk.write_error {
            return Err(error.into());
        }
        if disk.files.contains_key(name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        disk.files.insert(name.to_owned(), Content::default());
        Ok(Arc::new(ModelFile { folder: self.clone(), name: name.to_owned() }))
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let disk = self.disk();
        disk.files.get(name).map(|content| content.cached.clone()).ok_or(ErrorKind::NotFound.into())
    }

    fn read_at(&self, name: &str, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let disk = self.disk();
        if let Some(error) = disk.read_error {
            return Err(error.into());
        }
        let content = &disk.files.get(name).ok_or(ErrorKind::NotFound)?.cached;
        let part = content.get(offset as usize..offset as usize + bytes);
        part.map(<[u8]>::to_vec).ok_or(ErrorKind::UnexpectedEof.into())
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        ModelFile { folder: self.clone(), name: name.to_owned() }.sync()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.disk();
        let content = disk.files.remove(name).ok_or(ErrorKind::NotFound)?;
        if content.has_name {
            disk.removed.insert(name.to_owned(), content);
        }
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut disk = self.disk();
        disk.files.values_mut().for_each(|content| content.has_name = true);
        disk.removed.clear();
        Ok(())
    }
}

impl LogFile for ModelFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.folder.disk();
        if disk.drops_digests && record::holds_digests(bytes) {
            return Ok(());
        }
        let room = disk.free_bytes.unwrap_or(usize::MAX).min(bytes.len());
        // A failing disk takes a part of it, as a real one may.
        let taken = if disk.write_error.is_some() { bytes.len() / 2 } else { room };
        if let Some(free_bytes) = &mut disk.free_bytes {
            *free_bytes -= taken.min(room);
        }
        let error = disk.write_error.or((taken < bytes.len()).then_some(ErrorKind::StorageFull));
        // Like a file that was removed while it is open: nobody reads it any more.
        if let Some(content) = disk.files.get_mut(&self.name) {
            content.cached.extend_from_slice(&bytes[..taken]);
        }
        error.map_or(Ok(()), |error| Err(error.into()))
    }

    fn cut(&self, length_bytes: u64) -> io::Result<()> {
        let mut disk = self.folder.disk();
        if let Some(error) = disk.write_error {
            return Err(error.into());
        }
        let Some(content) = disk.files.get_mut(&self.name) else { return Ok(()) };
        let gained = content.cached.len().saturating_sub(length_bytes as usize);
        content.cached.truncate(length_bytes as usize);
        content.synced_bytes = content.synced_bytes.min(content.cached.len());
        if let Some(free_bytes) = &mut disk.free_bytes {
            *free_bytes += gained;
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.folder.disk();
        if let Some(error) = disk.write_error {
            return Err(error.into());
        }
        if let Some(content) = disk.files.get_mut(&self.name) {
            content.synced_bytes = content.cached.len();
        }
        Ok(())
    }
}

/// A session's queues in a simulated folder. Nothing is made durable but by [`SimulatedSpool::sync`], and nobody owns
/// the folder.
pub struct SimulatedSpool {
    logs: Logs,
    unsynced: Vec<Unsynced>,
}

impl SimulatedSpool {
    /// Of a new session. `memory_bytes` is what each track may hold while the disk refuses.
    #[must_use]
    pub fn begin(folder: &SimulatedFolder, settings: &Settings, memory_bytes: u64) -> Self {
        let memory = MemoryBytes { video: memory_bytes, audio: memory_bytes };
        Self::of(Logs::begin(folder.files(), settings, memory, &Track::ALL))
    }

    /// Of a session whose program has ended, with the machines that send what is left.
    ///
    /// # Errors
    /// Those of the folder.
    pub fn recover(
        folder: &SimulatedFolder,
        identity: &Identity,
        pace: impl Fn(Track) -> Pace,
        seed: u64,
    ) -> io::Result<(Self, Vec<(Track, TrackMachine)>)> {
        let (logs, found) = Logs::reopen(folder.files(), &Track::ALL, None)?;
        let machine = |(track, found)| {
            (track, TrackMachine::recovered(track, identity.clone(), pace(track), found, seed))
        };
        Ok((Self::of(logs), found.into_iter().map(machine).collect()))
    }

    fn of(logs: Logs) -> Self {
        let unsynced = logs.by_track.keys().map(|_| Unsynced::default()).collect();
        Self { logs, unsynced }
    }

    /// A track's queue.
    #[must_use]
    pub fn spool(&self, track: Track) -> Option<Box<dyn Spool>> {
        Some(Box::new(self.logs.spool(track, None)?))
    }

    /// Makes durable what was written, as the thread of a real session does twice a second.
    pub fn sync(&mut self) {
        for (log, left) in self.logs.by_track.values().zip(&mut self.unsynced) {
            sync(&*self.logs.files, log, left);
        }
    }
}
