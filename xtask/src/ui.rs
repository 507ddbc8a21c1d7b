//! The app's screen and the server's web site: what npm does for them, in order, and only when something has changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, bail};

use crate::packages::find_on_path;
use crate::run;
use crate::workspace::Workspace;

/// What both are made of, below `ui`.
const SOURCES: &[&str] = &[
    "src",
    "index.html",
    "site.html",
    "package.json",
    "package-lock.json",
    "svelte.config.js",
    "tsconfig.json",
    "vite.config.ts",
];

/// Each build: what makes it, and the page in it.
const BUILDS: &[(&str, &str)] = &[("build", "dist/index.html"), ("build:site", "dist-site/site.html")];

/// Checks, tests and builds both, and has a browser look at every scene of them.
///
/// # Errors
/// When a step fails, or Node.js is missing.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<()> {
    let ui = installed(workspace)?;
    for script in ["check", "test", "build", "a11y"] {
        run::checked(npm(&ui).args(["run", script]))?;
    }
    Ok(())
}

/// Makes sure that `ui/dist`, from where the app takes its screen, and `ui/dist-site`, from where the server takes its site,
/// are there and newer than what they are made of.
///
/// # Errors
/// When it cannot be built, or Node.js is missing.
pub(crate) fn build(workspace: &Workspace) -> anyhow::Result<()> {
    let ui = installed(workspace)?;
    let sources: Vec<_> = SOURCES.iter().map(|source| ui.join(source)).collect();
    for (script, page) in BUILDS {
        if !is_current(&ui.join(page), &sources)? {
            run::checked(npm(&ui).args(["run", script]))?;
        }
    }
    Ok(())
}

/// Whether Node.js is there, without which nothing of it can be built.
pub(crate) fn is_possible() -> bool {
    find_on_path("node").is_some()
}

/// Their folder, with what its lock file names installed.
fn installed(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let ui = workspace.root().join("ui");
    if !is_possible() {
        bail!("the screen and the site need Node.js 20.19 or newer with npm: https://nodejs.org");
    }
    // npm leaves this file behind what it has installed.
    if !is_current(&ui.join("node_modules/.package-lock.json"), &[ui.join("package-lock.json")])? {
        run::checked(npm(&ui).arg("ci"))?;
    }
    Ok(ui)
}

// On Windows npm is a script, which only its full name starts.
const NPM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };

fn npm(ui: &Path) -> Command {
    let mut command = Command::new(NPM);
    command.current_dir(ui);
    command
}

/// Whether `made` exists and is newer than all of `sources`, files and folders alike.
fn is_current(made: &Path, sources: &[impl AsRef<Path>]) -> anyhow::Result<bool> {
    let Ok(made) = fs::metadata(made).and_then(|made| made.modified()) else { return Ok(false) };
    for source in sources {
        if newest(source.as_ref())? > made {
            return Ok(false);
        }
    }
    Ok(true)
}

fn newest(path: &Path) -> anyhow::Result<SystemTime> {
    let metadata = fs::metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
    // A folder changes when something in it is added or removed.
    let mut newest_time = metadata.modified()?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            newest_time = newest_time.max(newest(&entry?.path())?);
        }
    }
    Ok(newest_time)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_change_deep_in_a_folder_makes_what_is_built_stale() {
        let root = tempfile::tempdir().expect("a folder");
        let (sources, made) = (root.path().join("src"), root.path().join("made"));
        let deep = sources.join("a/b.ts");
        fs::create_dir_all(sources.join("a")).expect("made");
        fs::write(&deep, "").expect("written");
        assert!(!is_current(&made, &[&sources]).expect("readable"), "nothing is built");
        fs::write(&made, "").expect("written");
        let touch = |path: &Path, at: SystemTime| {
            fs::File::options().write(true).open(path).expect("opened").set_modified(at).expect("touched");
        };
        let now = SystemTime::now();
        touch(&made, now + Duration::from_secs(60));
        assert!(is_current(&made, &[&sources]).expect("readable"));
        touch(&deep, now + Duration::from_secs(120));
        assert!(!is_current(&made, &[&sources]).expect("readable"));
    }
}
