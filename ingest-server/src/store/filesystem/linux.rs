use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::FsWord;

/// The first kernel whose `syncfs` reports that writing back has failed (syncfs(2), "Errors").
const REPORTS_ERRORS: (u32, u32) = (5, 8);

/// Those whose `syncfs` is known to wait until everything is on the disk, by their numbers in statfs(2). Others go file by
/// file: through FUSE the call does nothing at all and succeeds.
const SYNCED_WHOLE: [FsWord; 5] = [EXT4, XFS, BTRFS, F2FS, TMPFS];
const EXT4: FsWord = 0xef53;
const XFS: FsWord = 0x5846_5342;
const BTRFS: FsWord = 0x9123_683e_u32 as FsWord;
const F2FS: FsWord = 0xf2f5_2010_u32 as FsWord;
const TMPFS: FsWord = 0x0102_1994;

/// The filesystem that a folder is on. Kept open, since the kernel reports a failed write-back once for each
/// time the file has been opened.
#[derive(Debug)]
pub(in crate::store) struct Filesystem(File);

impl Filesystem {
    /// `None` when the kernel is too old to report failures, or the filesystem is not known to keep the promise.
    pub(in crate::store) fn of(folder: &Path) -> io::Result<Option<Self>> {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        let reports_errors = version(&release).is_some_and(|version| version >= REPORTS_ERRORS);
        let kind = rustix::fs::statfs(folder)?.f_type;
        let is_synced_whole = SYNCED_WHOLE.contains(&kind);
        if reports_errors && is_synced_whole {
            File::open(folder).map(|file| Some(Self(file)))
        } else {
            Ok(None)
        }
    }

    /// Makes everything durable that was written on this filesystem, by anyone, files and folders.
    ///
    /// # Errors
    /// When something could not be written since the last call.
    pub(in crate::store) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.0)?)
    }
}

/// Major and minor version of a kernel release such as `6.1.0-28-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_releases_are_compared_by_number() {
        assert_eq!(version("6.1.0-28-amd64"), Some((6, 1)));
        assert!(version("5.15.167.4-microsoft") >= Some(REPORTS_ERRORS));
        assert!(version("5.4.0") < Some(REPORTS_ERRORS));
        assert_eq!(version("unknown"), None);
    }

    #[test]
    fn a_filesystem_that_is_not_known_to_keep_the_promise_is_synced_file_by_file() {
        assert!(Filesystem::of(Path::new("/proc")).unwrap().is_none());
    }
}
