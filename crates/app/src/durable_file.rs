use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use tempfile::NamedTempFile;

/// Replaces a file as a whole: after a crash it has its old content or its new one. Only this user may read it.
/// The folder is made when it is missing.
pub(crate) fn write(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    // tempfile makes files that only this user may read.
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(folder.join(name))?;
    // The new name is in the folder, and that has to be durable too. Windows cannot open folders and needs no such thing.
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("new");
        for content in ["first", "second"] {
            write(&below, "a", content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(below.join("a")).unwrap(), content);
        }
        assert_eq!(fs::read_dir(&below).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn only_this_user_may_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a", b"secret").unwrap();
        let mode = fs::metadata(folder.path().join("a")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
