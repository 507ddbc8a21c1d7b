//! Segments as files of a folder: `sessions/<session>/<track>/<first unit>.mp4`.
//!
//! Files are opened for each append and closed behind it, so that no number of sessions holds handles.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use protocol::{SessionId, Track};

use super::filesystem::Filesystem;
use super::{Append, SegmentKey, Store, StoreError, StoredSegment};

/// Files that are made durable at the same time: the filesystem commits them as one.
const SYNC_TASKS: usize = 4;

/// From so many files on the whole filesystem is synced at once. With fewer the price, that whatever else is being
/// written on the filesystem has to be waited for, is not worth it.
const WHOLE_SYNC_FILES: usize = 8;

/// A folder of segment files.
#[derive(Debug, Clone)]
pub struct LocalStore {
    root: Arc<Path>,
    filesystem: Option<Arc<Filesystem>>,
}

impl LocalStore {
    /// The store in a folder, which is created if need be.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the folder cannot be made.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let root = root.into();
        create_folder(&root.join("sessions")).map_err(io_error("creating the sessions folder"))?;
        let filesystem = Filesystem::of(&root).map_err(io_error("opening the data folder"))?.map(Arc::new);
        if let Some(filesystem) = &filesystem {
            // Folders of sessions that a killed server had made and not synced would not be synced again.
            filesystem.sync().map_err(io_error("syncing the data folder"))?;
        }
        Ok(Self { root: root.into(), filesystem })
    }

    fn path(&self, key: SegmentKey) -> PathBuf {
        self.root.join(key.to_string())
    }

    fn session_folder(&self, session: SessionId) -> PathBuf {
        self.root.join("sessions").join(session.to_string())
    }

    /// Appends to many files and syncs once.
    fn append_whole(&self, appends: &[Append], filesystem: &Filesystem) -> Vec<Result<(), StoreError>> {
        let written: Vec<io::Result<()>> =
            appends.iter().map(|append| self.write(append).map(drop)).collect();
        let synced = filesystem.sync().map_err(|error| (error.kind(), error.to_string()));
        let finish = |(append, written): (&Append, io::Result<()>)| {
            let outcome = match &synced {
                Ok(()) => written,
                // Which file it was is not known: none of them counts as durable.
                Err((kind, text)) => written.and(Err(io::Error::new(*kind, text.clone()))),
            };
            outcome.map_err(io_error(append.key))
        };
        appends.iter().zip(written).map(finish).collect()
    }

    fn append_now(&self, appends: &[Append]) -> Vec<Result<(), StoreError>> {
        // All bytes are handed to the system before the first sync, so that one commit can cover several files.
        let written: Vec<io::Result<File>> = appends.iter().map(|append| self.write(append)).collect();
        let finish = |(append, file): (&Append, io::Result<File>)| {
            let outcome = file.and_then(|file| {
                self.sync(append, &file).inspect_err(|_| {
                    let _ = file.set_len(append.offset);
                })
            });
            outcome.map_err(io_error(append.key))
        };
        appends.iter().zip(written).map(finish).collect()
    }

    fn write(&self, append: &Append) -> io::Result<File> {
        let path = self.path(append.key);
        let is_new = append.offset == 0;
        let open = || OpenOptions::new().append(true).create(is_new).open(&path);
        let mut file = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_new => {
                self.create_folders(append.key)?;
                open()?
            }
            opened => opened?,
        };
        let length = file.metadata()?.len();
        if length < append.offset {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file is shorter than what was recorded",
            ));
        }
        if length > append.offset {
            file.set_len(append.offset)?;
        }
        if let Err(error) = append.bytes.iter().try_for_each(|bytes| file.write_all(bytes)) {
            // The next append would cut it as well; doing it now frees a full disk.
            let _ = file.set_len(append.offset);
            return Err(error);
        }
        Ok(file)
    }

    fn sync(&self, append: &Append, file: &File) -> io::Result<()> {
        file.sync_data()?;
        if append.offset == 0 {
            sync_folder(&self.session_folder(append.key.session).join(append.key.track.name()))?;
        }
        Ok(())
    }

    fn create_folders(&self, key: SegmentKey) -> io::Result<()> {
        let session = self.session_folder(key.session);
        std::fs::create_dir_all(session.join(key.track.name()))?;
        sync_folder(&session)?;
        sync_folder(&self.root.join("sessions"))
    }

    fn read_now(&self, key: SegmentKey, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, StoreError> {
        let missing = |range: &Range<u64>| StoreError::Missing { key, range: range.clone() };
        let Some(first) = ranges.first() else { return Ok(Vec::new()) };
        let mut file = match File::open(self.path(key)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing(first)),
            opened => opened.map_err(io_error(key))?,
        };
        let length = file.metadata().map_err(io_error(key))?.len();
        ranges
            .iter()
            .map(|range| {
                // The length bounds what is allocated.
                if range.start > range.end || range.end > length {
                    return Err(missing(range));
                }
                let mut bytes = vec![0; (range.end - range.start) as usize];
                file.seek(SeekFrom::Start(range.start))
                    .and_then(|_| file.read_exact(&mut bytes))
                    .map_err(io_error(key))?;
                Ok(Bytes::from(bytes))
            })
            .collect()
    }

    fn sessions_now(&self) -> Result<Vec<SessionId>, StoreError> {
        let mut sessions: Vec<SessionId> =
            names(&self.root.join("sessions"))?.iter().filter_map(|name| name.parse().ok()).collect();
        sessions.sort();
        Ok(sessions)
    }

    fn segments_now(&self, session: SessionId) -> Result<Vec<StoredSegment>, StoreError> {
        let mut segments = Vec::new();
        for track in Track::ALL {
            for name in names(&self.session_folder(session).join(track.name()))? {
                let first_unit = name.strip_suffix(".mp4").and_then(|number| number.parse().ok());
                let Some(first_unit) = first_unit else { continue };
                let key = SegmentKey { session, track, first_unit };
                let bytes = std::fs::metadata(self.path(key)).map_err(io_error(key))?.len();
                segments.push(StoredSegment { key, bytes });
            }
        }
        segments.sort_by_key(|segment| segment.key);
        Ok(segments)
    }

    fn cut_now(&self, key: SegmentKey, bytes: u64) -> Result<(), StoreError> {
        let path = self.path(key);
        let cut = || {
            if bytes > 0 {
                let file = OpenOptions::new().write(true).open(&path)?;
                file.set_len(bytes)?;
                return file.sync_all();
            }
            std::fs::remove_file(&path)?;
            sync_folder(&self.session_folder(key.session).join(key.track.name()))
        };
        cut().map_err(io_error(key))
    }

    fn delete_now(&self, session: SessionId) -> Result<(), StoreError> {
        match std::fs::remove_dir_all(self.session_folder(session)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| sync_folder(&self.root.join("sessions"))),
        }
        .map_err(io_error(format!("removing session {session}")))
    }

    fn probe_now(&self) -> Result<(), StoreError> {
        let path = self.root.join("probe");
        std::fs::write(&path, [0; 4096])
            .and_then(|()| std::fs::remove_file(&path))
            .map_err(io_error("writing to the data folder"))
    }

    /// Runs disk work where it may block.
    fn run<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, StoreError>> {
        let store = self.clone();
        async move {
            match tokio::task::spawn_blocking(move || work(&store)).await {
                Ok(outcome) => outcome,
                Err(error) => Err(io_error(what)(io::Error::other(error))),
            }
        }
        .boxed()
    }
}

impl Store for LocalStore {
    fn append(&self, mut appends: Vec<Append>) -> BoxFuture<'_, Vec<Result<(), StoreError>>> {
        async move {
            if let Some(filesystem) = self.filesystem.clone()
                && appends.len() >= WHOLE_SYNC_FILES
            {
                let count = appends.len();
                let store = self.clone();
                let work = move || store.append_whole(&appends, &filesystem);
                return tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
                    let failed = || Err(io_error("appending")(io::Error::other(error.to_string())));
                    (0..count).map(|_| failed()).collect()
                });
            }
            let share = appends.len().div_ceil(SYNC_TASKS).max(1);
            let mut tasks = Vec::new();
            while !appends.is_empty() {
                let rest = appends.split_off(share.min(appends.len()));
                let mine = std::mem::replace(&mut appends, rest);
                let count = mine.len();
                let store = self.clone();
                let task = tokio::task::spawn_blocking(move || store.append_now(&mine));
                tasks.push(task.map(move |done| {
                    done.unwrap_or_else(|error| {
                        let failed = || Err(io_error("appending")(io::Error::other(error.to_string())));
                        (0..count).map(|_| failed()).collect()
                    })
                }));
            }
            join_all(tasks).await.into_iter().flatten().collect()
        }
        .boxed()
    }

    fn read(
        &self,
        key: SegmentKey,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, StoreError>> {
        self.run("reading", move |store| store.read_now(key, &ranges))
    }

    fn sessions(&self) -> BoxFuture<'_, Result<Vec<SessionId>, StoreError>> {
        self.run("listing", Self::sessions_now)
    }

    fn segments(&self, session: SessionId) -> BoxFuture<'_, Result<Vec<StoredSegment>, StoreError>> {
        self.run("listing", move |store| store.segments_now(session))
    }

    fn cut(&self, key: SegmentKey, bytes: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        self.run("cutting", move |store| store.cut_now(key, bytes))
    }

    fn delete(&self, session: SessionId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.run("removing", move |store| store.delete_now(session))
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.run("probing", Self::probe_now)
    }
}

fn io_error(what: impl std::fmt::Display) -> impl FnOnce(io::Error) -> StoreError {
    let what = what.to_string();
    move |source| StoreError::Io { what, source }
}

/// The names in a folder that are text; none when there is no folder.
fn names(folder: &Path) -> Result<Vec<String>, StoreError> {
    let listed = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.and_then(Iterator::collect::<io::Result<Vec<_>>>),
    };
    let entries = listed.map_err(io_error(folder.display()))?;
    Ok(entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

/// Makes a folder, and those above it that are missing, durably: a file is as safe as the names that lead to it.
fn create_folder(path: &Path) -> io::Result<()> {
    let Some(above) = path.parent() else { return Ok(()) };
    let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
    if path.is_dir() {
        // Who made it may have been killed before this; a folder of others that may not be read is theirs to keep.
        let _ = sync_folder(above);
        return Ok(());
    }
    create_folder(above)?;
    std::fs::create_dir_all(path)?;
    sync_folder(above)
}

/// Makes the entries of a folder durable. Windows opens no folders and makes entries durable with the file.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(windows) { Ok(()) } else { File::open(folder)?.sync_all() }
}
