//! `cargo xtask dist`: installers of the app for this system, small enough, and on request tried on a clean system.

mod clean_system;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use crate::packages::{self, Purpose};
use crate::tauri_cli::tauri;
use crate::workspace::Workspace;
use crate::{run, ui};

/// What to do beyond making the installers.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Install the Debian package on a clean system, start the app there, and keep a picture of its first window.
    #[arg(long)]
    verify: bool,
}

/// A person on a slow line should not wait a minute for the app.
const INSTALLER_MAX_BYTES: u64 = 15_000_000;

/// The kinds of installer that Tauri can make here without fetching tools, each with the ending of its files.
const KINDS: &[(&str, &str)] = if cfg!(target_os = "macos") {
    &[("dmg", ".dmg")]
} else if cfg!(windows) {
    &[("nsis", "-setup.exe")]
} else {
    &[("deb", ".deb"), ("rpm", ".rpm")]
};

/// Makes the installers, tells how large they are, and tries the Debian package if asked to.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    packages::ensure(if options.verify { Purpose::Test } else { Purpose::Build })?;
    ui::build(workspace)?;
    let folder = workspace.target_dir().join("dist").join("bundle");
    // Installers of earlier versions lie there too.
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let kinds: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
    let mut build = tauri(workspace);
    build.args(["build", "--ci", "--bundles", &kinds.join(","), "--", "--locked", "--profile", "dist"]);
    run::checked(&mut build)?;

    let mut installers = Vec::new();
    for (kind, ending) in KINDS {
        installers.push(only_file(&folder.join(kind), ending)?);
    }
    for installer in &installers {
        let size_bytes = fs::metadata(installer)?.len();
        println!("{:.1} MB  {}", size_bytes as f64 / 1e6, installer.display());
        ensure!(
            size_bytes <= INSTALLER_MAX_BYTES,
            "an installer is over {} MB",
            INSTALLER_MAX_BYTES / 1_000_000
        );
    }
    if options.verify {
        let Some(package) = installers.iter().find(|file| file.extension().is_some_and(|end| end == "deb"))
        else {
            bail!("only the Debian package can be tried on a clean system");
        };
        clean_system::try_package(workspace, package)?;
    }
    Ok(())
}

/// The one file in `folder` whose name ends so.
fn only_file(folder: &Path, ending: &str) -> anyhow::Result<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_file() && path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    match <[PathBuf; 1]>::try_from(found) {
        Ok([file]) => Ok(file),
        Err(found) => bail!("{} files in {} end in {ending}", found.len(), folder.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_installer_is_found_and_none_or_two_are_an_error() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert!(only_file(folder.path(), ".deb").is_err());
        fs::write(folder.path().join("a.deb"), "").expect("written");
        fs::create_dir(folder.path().join("a")).expect("created");
        assert_eq!(only_file(folder.path(), ".deb").expect("one"), folder.path().join("a.deb"));
        fs::write(folder.path().join("b.deb"), "").expect("written");
        assert!(only_file(folder.path(), ".deb").is_err());
    }
}
