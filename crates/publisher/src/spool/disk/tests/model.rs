//! A disk in memory that can be full, fail, and lose what was not synced.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};

use super::super::files::{Files, LogFile};

/// The unit in which a disk loses what was not synced.
const SECTOR_BYTES: usize = 64;

#[derive(Debug, Clone, Default)]
struct Content {
    /// What a program reads.
    cached: Vec<u8>,
    /// What a power cut leaves for sure.
    synced: Vec<u8>,
    /// Whether the name survives a power cut.
    has_name: bool,
}

#[derive(Debug, Default)]
struct Disk {
    files: BTreeMap<String, Content>,
    free_bytes: Option<usize>,
    write_error: Option<ErrorKind>,
    read_error: Option<ErrorKind>,
}

/// A folder on the disk. Clones are the same folder.
#[derive(Debug, Clone, Default)]
pub(super) struct ModelFolder(Arc<Mutex<Disk>>);

struct ModelFile {
    folder: ModelFolder,
    name: String,
}

impl ModelFolder {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }

    pub(super) fn files(&self) -> Arc<dyn Files> {
        Arc::new(self.clone())
    }

    /// From now on only so many bytes can be added.
    pub(super) fn set_free_bytes(&self, free_bytes: Option<usize>) {
        self.disk().free_bytes = free_bytes;
    }

    pub(super) fn fail_writes(&self, error: Option<ErrorKind>) {
        self.disk().write_error = error;
    }

    pub(super) fn fail_reads(&self, error: Option<ErrorKind>) {
        self.disk().read_error = error;
    }

    pub(super) fn bytes(&self) -> usize {
        self.disk().files.values().map(|content| content.cached.len()).sum()
    }

    pub(super) fn edit(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        edit(&mut self.disk().files.get_mut(name).unwrap().cached);
    }

    /// What another program would find, had the power failed now. `survives` says of each sector that was written
    /// and not synced, and of each name, whether it was on the disk by chance; else a sector has zeros in it, and
    /// the file may end before it.
    pub(super) fn after_power_cut(&self, mut survives: impl FnMut() -> bool) -> Self {
        let mut files = BTreeMap::new();
        for (name, content) in &self.disk().files {
            if !content.has_name && !survives() {
                continue;
            }
            let mut left = content.synced.clone();
            let unsynced = content.cached.get(content.synced.len()..).unwrap_or_default();
            let mut whole = left.len();
            for sector in unsynced.chunks(SECTOR_BYTES) {
                let is_there = survives();
                left.extend(sector.iter().map(|byte| if is_there { *byte } else { 0 }));
                whole = if is_there { left.len() } else { whole };
            }
            if survives() {
                left.truncate(whole);
            }
            let content = Content { cached: left.clone(), synced: left, has_name: true };
            files.insert(name.clone(), content);
        }
        Self(Arc::new(Mutex::new(Disk { files, ..Disk::default() })))
    }
}

impl Files for ModelFolder {
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
        if let Some(error) = self.disk().read_error {
            return Err(error.into());
        }
        let content = self.read(name)?;
        let part = content.get(offset as usize..offset as usize + bytes);
        part.map(<[u8]>::to_vec).ok_or(ErrorKind::UnexpectedEof.into())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk().files.remove(name).map(drop).ok_or(ErrorKind::NotFound.into())
    }

    fn sync_names(&self) -> io::Result<()> {
        self.disk().files.values_mut().for_each(|content| content.has_name = true);
        Ok(())
    }
}

impl LogFile for ModelFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.folder.disk();
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
            content.synced = content.cached.clone();
        }
        Ok(())
    }
}
