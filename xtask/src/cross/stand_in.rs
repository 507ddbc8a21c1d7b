//! What stands in for the compilers of C and of Windows' resources, the archiver and CMake of another system.
//!
//! A check runs the build scripts of the encoders, but nobody links what those compile. So there is no need for a C compiler and
//! the headers of each system: a program is enough that always succeeds, and leaves the files that a build script looks for.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::targets::Target;

/// Answers what the crate `cc` asks a compiler: `-?` is for Microsoft's alone, and the output of `-E` tells whose it is. `-V` asks a compiler of
/// resources the same.
const SCRIPT: &str = r#"#!/bin/sh
output=
for word; do
  case "$word" in
    '-?') exit 1 ;;
    -V) echo 'GNU windres'; exit 0 ;;
    -E) echo '"clang"'; exit 0 ;;
    *.a) : > "$word" ;;
  esac
  [ -z "$output" ] || : > "$word"
  output=
  [ "$word" != -o ] || output=next
done
"#;

/// The program's place.
pub(super) struct StandIn(PathBuf);

impl StandIn {
    /// Writes it into `folder`.
    pub(super) fn install(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join("stand-in");
        fs::write(&path, SCRIPT).with_context(|| format!("cannot write {}", path.display()))?;
        executable(&path)?;
        Ok(Self(path))
    }

    /// The variables by which the crates `cc`, `cmake` and `embed-resource` find their programs, and where Apple's headers would be.
    pub(super) fn environment(&self, target: &Target) -> Vec<(String, PathBuf)> {
        let target = target.triple.replace('-', "_");
        ["CC", "CXX", "AR", "RANLIB", "CMAKE", "RC"]
            .iter()
            .map(|tool| (format!("{tool}_{target}"), self.0.clone()))
            .chain(self.0.parent().map(|folder| ("SDKROOT".to_owned(), folder.to_owned())))
            .collect()
    }
}

#[cfg(unix)]
fn executable(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

#[cfg(not(unix))]
fn executable(_path: &Path) -> anyhow::Result<()> {
    anyhow::bail!("this check needs a Unix shell; the workflows run it on Linux")
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::run;

    #[test]
    fn the_stand_in_answers_as_a_compiler_and_as_an_archiver() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let stand_in = StandIn::install(folder.path()).expect("installed");
        let call = |words: &[&str]| run::output(Command::new(&stand_in.0).args(words).current_dir(&folder));
        assert_eq!(call(&["-E", "family.c"]).expect("answers"), "\"clang\"\n");
        assert!(call(&["-?"]).is_err());
        assert!(call(&["-V", "/?"]).expect("answers").contains("GNU windres"));
        call(&["-O2", "-c", "a.c", "-o", "a.o"]).expect("compiles");
        call(&["cq", "liba.a", "a.o"]).expect("archives");
        assert!(folder.path().join("a.o").exists() && folder.path().join("liba.a").exists());
        assert!(!folder.path().join("a.c").exists());
    }
}
