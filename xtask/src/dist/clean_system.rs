//! A clean Debian or Ubuntu in a folder, on which the package must install and the app must start.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use crate::packages;
use crate::run;
use crate::workspace::Workspace;

/// What the clean system has beside its smallest set of packages: a display, and eyes.
const EYES: &str = "xvfb,xauth,x11-utils,x11-apps,scrot,desktop-file-utils,ca-certificates";

/// Installs the package in a copy of the clean system, and starts the app there.
const STAGE: &str = include_str!("stage.sh");
/// Runs on the display of that system: the app starts and shows something.
const FIRST_START: &str = include_str!("first_start.sh");

/// Below the repository's top folder: a picture of the app's first window, and its log.
const ARTIFACTS: &str = "artifacts/first-start";

/// Installs `package` on a clean system of this machine's release and starts the app.
pub(super) fn try_package(workspace: &Workspace, package: &Path) -> anyhow::Result<()> {
    let codename = codename(&fs::read_to_string("/etc/os-release").context("this is no Linux")?)?;
    let folder = workspace.target_dir().join("clean-system");
    let base = folder.join(&codename);
    if !base.exists() {
        install_base(&folder, &base, &codename)?;
    }
    let artifacts = workspace.root().join(ARTIFACTS);
    if artifacts.exists() {
        fs::remove_dir_all(&artifacts)?;
    }
    fs::create_dir_all(&artifacts)?;
    let stage = folder.join("stage.sh");
    fs::write(&stage, STAGE)?;
    let first_start = folder.join("first_start.sh");
    fs::write(&first_start, FIRST_START)?;

    // What is mounted is gone with its last process, whatever happens.
    let mut command = as_root("unshare")?;
    command.args(["--mount", "--pid", "--fork", "--kill-child", "sh"]).arg(&stage);
    command.arg(&base).arg(package).arg(&first_start).arg(&artifacts);
    run::checked(&mut command)
        .with_context(|| format!("what the app said and showed is in {}", artifacts.display()))?;
    println!("The app's first window: {}", artifacts.join("window.png").display());
    Ok(())
}

/// Fills `base` with the release's smallest system, from where this machine's own packages come from.
fn install_base(folder: &Path, base: &Path, codename: &str) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let sources = match sources(codename)? {
        sources if sources.is_empty() => {
            packages::update_lists()?;
            self::sources(codename)?
        }
        sources => sources,
    };
    ensure!(!sources.is_empty(), "apt names no source of {codename}'s packages");
    let list = folder.join("sources.list");
    fs::write(&list, sources)?;
    // Renamed when complete, so that a broken attempt is not taken for a clean system.
    let partial = folder.join("partial");
    run::checked(as_root("rm")?.arg("-rf").arg(&partial))?;
    let mut command = as_root("mmdebstrap")?;
    command.args(["--mode=root", "--variant=minbase", "--format=directory", &format!("--include={EYES}")]);
    command.arg(codename).arg(&partial).arg("-").stdin(Stdio::from(fs::File::open(&list)?));
    run::checked(&mut command)?;
    run::checked(as_root("mv")?.arg(&partial).arg(base))
}

/// The lines of a `sources.list` that names what apt on this machine knows of the release itself.
fn sources(codename: &str) -> anyhow::Result<String> {
    let targets = run::output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "deb $(REPO_URI) $(RELEASE) $(COMPONENT)",
        "Created-By: Packages",
    ]))?;
    Ok(of_release(&targets, codename))
}

/// The lines that speak of the release or one of its pockets (`bookworm`, `bookworm-security`), each once.
fn of_release(targets: &str, codename: &str) -> String {
    let mut lines: Vec<&str> = targets
        .lines()
        .filter(|line| {
            let suite = line.split(' ').nth(2).unwrap_or_default();
            suite.strip_prefix(codename).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
        .collect();
    lines.sort_unstable();
    lines.dedup();
    lines.into_iter().map(|line| format!("{line}\n")).collect()
}

fn codename(os_release: &str) -> anyhow::Result<String> {
    let name = os_release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    match name.map(|name| name.trim_matches('"')) {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => bail!("this system does not tell its release's code name; Debian and Ubuntu do"),
    }
}

fn as_root(program: &str) -> anyhow::Result<Command> {
    packages::as_root(program).with_context(|| {
        format!("a system in a folder needs root for {program}; run this as root or with sudo")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_release_and_its_pockets_are_taken_each_once() {
        let targets = "deb http://a/debian bookworm main\ndeb http://a/debian bookworm main\n\
                       deb http://b/security bookworm-security main\ndeb https://c/node nodistro main\n\
                       deb http://a/debian bookwormish main\n";
        assert_eq!(
            of_release(targets, "bookworm"),
            "deb http://a/debian bookworm main\ndeb http://b/security bookworm-security main\n"
        );
        assert_eq!(of_release("", "bookworm"), "");
    }

    #[test]
    fn the_code_name_is_read_with_and_without_quotes() {
        assert_eq!(codename("ID=debian\nVERSION_CODENAME=bookworm\n").expect("named"), "bookworm");
        assert_eq!(codename("VERSION_CODENAME=\"jammy\"\n").expect("named"), "jammy");
        assert!(codename("ID=arch\n").is_err());
    }
}
