use std::fs::File;
use std::io;
use std::path::Path;

/// The first kernel whose `syncfs` reports that writing back has failed (syncfs(2), "Errors").
const REPORTS_ERRORS: (u32, u32) = (5, 8);

/// The filesystem that a folder is on. Kept open, since the kernel reports a failed write-back once for each
/// time the file has been opened.
#[derive(Debug)]
pub(in crate::store) struct Filesystem(File);

impl Filesystem {
    /// `None` when the kernel is too old to report failures.
    pub(in crate::store) fn of(folder: &Path) -> io::Result<Option<Self>> {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        let reports_errors = version(&release).is_some_and(|version| version >= REPORTS_ERRORS);
        if reports_errors { File::open(folder).map(|file| Some(Self(file))) } else { Ok(None) }
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
}
