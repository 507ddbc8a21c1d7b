//! The files of one session's folder, as far as a log needs them: a seam, so that a full disk and a power cut can be
//! put in the place of a real one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A folder of logs.
pub(super) trait Files: Send + Sync {
    /// The names of all files in it, in no order.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Makes a file that does not exist yet.
    fn create(&self, name: &str) -> io::Result<Arc<dyn LogFile>>;

    /// A whole file.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// A part of a file; an error when it is not there.
    fn read_at(&self, name: &str, offset: u64, bytes: usize) -> io::Result<Vec<u8>>;

    /// Makes durable what another program has added to a file.
    fn sync(&self, name: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes durable which files there are.
    fn sync_names(&self) -> io::Result<()>;
}

/// A file that grows at its end.
pub(super) trait LogFile: Send + Sync {
    /// Adds these bytes; after an error any first part of them may have been added.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file to this length.
    fn cut(&self, length_bytes: u64) -> io::Result<()>;

    /// Makes what was added durable.
    fn sync(&self) -> io::Result<()>;
}

/// A real folder.
pub(super) struct Folder {
    path: PathBuf,
    /// The file that was read last: a backlog is read from one file for a while.
    reader: Mutex<Option<(String, File)>>,
}

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), reader: Mutex::new(None) }
    }
}

impl Files for Folder {
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            // No file of ours has a name that is no text.
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        private(&mut options);
        Ok(Arc::new(options.open(self.path.join(name))?))
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path.join(name))
    }

    fn read_at(&self, name: &str, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        if reader.as_ref().is_none_or(|(open, _)| open != name) {
            *reader = Some((name.to_owned(), File::open(self.path.join(name))?));
        }
        let Some((_, file)) = reader.as_mut() else { return Err(io::ErrorKind::NotFound.into()) };
        let mut content = vec![0; bytes];
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut content));
        if let Err(error) = read {
            *reader = None;
            return Err(error);
        }
        Ok(content)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        OpenOptions::new().append(true).open(self.path.join(name))?.sync_data()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        // Windows does not remove a file that is open.
        self.reader.lock().unwrap_or_else(PoisonError::into_inner).take_if(|(open, _)| open == name);
        fs::remove_file(self.path.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        sync_folder(&self.path)
    }
}

impl LogFile for File {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self;
        file.write_all(bytes)
    }

    fn cut(&self, length_bytes: u64) -> io::Result<()> {
        self.set_len(length_bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Makes the names in a folder durable. Windows cannot open folders, and needs no such thing.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

/// Only this user may read a file that is made so.
pub(super) fn private(options: &mut OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    #[cfg(not(unix))]
    let _ = options;
}

/// Makes a folder, and those above it that are missing, durably. Only this user may read them.
pub(super) fn make_private_folder(path: &Path) -> io::Result<()> {
    let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty() && !path.is_dir()) else {
        return make_one(path);
    };
    make_private_folder(above)?;
    make_one(path)?;
    sync_folder(above)
}

fn make_one(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
