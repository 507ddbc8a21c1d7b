//! A disk of a few MiB, and a file that takes its room.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

/// A file system of its own in memory. Dropping it removes it.
#[derive(Debug)]
pub(super) struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    pub(super) fn new(mib: u32) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let size = std::ffi::CString::new(format!("size={mib}m"))?;
        mount("longtake-test", folder.path(), "tmpfs", MountFlags::empty(), Some(size.as_c_str()))
            .context("a small disk is mounted")?;
        Ok(Self { folder })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    fn free_bytes(&self) -> Result<u64> {
        let about = rustix::fs::statvfs(self.path())?;
        Ok(about.f_bavail * about.f_frsize)
    }

    /// Takes all room but this much.
    pub(super) fn fill(&self, left_bytes: u64) -> Result<()> {
        let taken = self.free_bytes()?.saturating_sub(left_bytes);
        Ok(fs::write(self.filler(), vec![0; usize::try_from(taken)?])?)
    }

    /// Gives back what was taken.
    pub(super) fn make_room(&self) -> Result<()> {
        Ok(fs::remove_file(self.filler())?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Programs that still have files open keep it alive for themselves only.
        let _ = unmount(self.folder.path(), UnmountFlags::DETACH);
    }
}
