//! A session's folder: who the session is, who owns the folder, and the logs of its tracks.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use protocol::control::Device;
use protocol::{ResumeKey, RoomName, SessionId, Track};
use serde::{Deserialize, Serialize};
use signing::SigningKey;

use super::files::{Files, Folder, make_private_folder, private, sync_folder};
use super::logs::{Logs, MemoryBytes, RecoveredTrack};
use super::segments::{Kind, parse_name};
use super::sync::Syncer;
use super::{DEFAULT_CAPACITY_BYTES, Settings, SpoolError, WhenFull};
use crate::address::ServerAddress;
use crate::spool::Spool;
use crate::track::Identity;

const ABOUT: &str = "session.json";
const LOCK: &str = "lock";

/// The version of the folder's layout.
const VERSION: u32 = 1;

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

/// A session's folder that this program owns, until it and its queues are dropped.
pub(crate) struct SessionFolder {
    path: PathBuf,
    logs: Logs,
    /// Ends before the lock is given back.
    syncer: Mutex<Option<Syncer>>,
    /// The tracks that are not complete.
    open: Mutex<Vec<Track>>,
    lock: Arc<File>,
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
        let logs = Logs::begin(Arc::new(Folder::new(&path)), settings, memory, tracks);
        Self::with(path, lock, logs)
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
        let (logs, tracks) = Logs::reopen(Arc::new(Folder::new(&path)), &about.tracks, Some(&lock))
            .map_err(|source| SpoolError::Disk { path: path.clone(), source })?;
        let folder = Self::with(path, lock, logs)?;
        Ok(Reopened { folder, identity: about.identity(device_key), server: about.server, tracks })
    }

    fn with(path: PathBuf, lock: Arc<File>, logs: Logs) -> Result<Self, SpoolError> {
        let syncer = Syncer::start(Arc::clone(&logs.files), logs.by_track.values().cloned().collect())
            .map_err(|source| SpoolError::Disk { path: path.clone(), source })?;
        let open = Mutex::new(logs.by_track.keys().copied().collect());
        Ok(Self { path, logs, syncer: Mutex::new(Some(syncer)), open, lock })
    }

    /// The queue of a track. When there is no room, sound makes the picture give up first.
    pub(crate) fn spool(&self, track: Track) -> Option<Box<dyn Spool>> {
        Some(Box::new(self.logs.spool(track, Some(&self.lock))?))
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
        if let Err(error) = remove(&self.path, &*self.logs.files) {
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

impl Settings {
    /// The defaults in this folder: 4 GiB for both tracks together, of any age; when that is full, the session
    /// stops.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        let capacity_bytes = DEFAULT_CAPACITY_BYTES;
        Self { folder: folder.to_owned(), capacity_bytes, longest: None, when_full: WhenFull::Stop }
    }
}
