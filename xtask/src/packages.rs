//! The system packages that building and testing need: one table, a check, and an installation.

use std::path::PathBuf;
use std::process::Command;

use anyhow::bail;

use crate::run;

/// What the packages are for. Each purpose includes the ones before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// To build and run the programs.
    Build,
    /// To run the tests and measurements as well.
    Test,
}

struct Package {
    /// The name in Debian and Ubuntu.
    debian: &'static str,
    /// The name in Homebrew, and a program by which to recognise it where there is no dpkg. None: not needed there.
    elsewhere: Option<(&'static str, &'static str)>,
    purpose: Purpose,
    why: &'static str,
}

const PACKAGES: &[Package] = &[
    Package {
        debian: "build-essential",
        elsewhere: None,
        purpose: Purpose::Build,
        why: "compiles the C and C++ of the encoders",
    },
    Package {
        debian: "pkg-config",
        elsewhere: None,
        purpose: Purpose::Build,
        why: "finds the system's libraries",
    },
    Package {
        debian: "cmake",
        elsewhere: Some(("cmake", "cmake")),
        purpose: Purpose::Build,
        why: "builds Opus and the JPEG decoder",
    },
    Package {
        debian: "nasm",
        elsewhere: Some(("nasm", "nasm")),
        purpose: Purpose::Build,
        why: "assembles OpenH264's fast paths; without it encoding costs 2.4 times the CPU",
    },
    Package {
        debian: "clang",
        elsewhere: Some(("llvm", "clang")),
        purpose: Purpose::Build,
        why: "reads the camera interface's C headers",
    },
    Package {
        debian: "libclang-dev",
        elsewhere: None,
        purpose: Purpose::Build,
        why: "reads the camera interface's C headers",
    },
    Package {
        debian: "libasound2-dev",
        elsewhere: None,
        purpose: Purpose::Build,
        why: "links the microphone's ALSA backend",
    },
    Package {
        debian: "libwebkit2gtk-4.1-dev",
        elsewhere: None,
        purpose: Purpose::Build,
        why: "is the app's window",
    },
    Package {
        debian: "gstreamer1.0-plugins-base",
        elsewhere: None,
        purpose: Purpose::Build,
        why: "plays video and sound in the app's window",
    },
    Package {
        debian: "gstreamer1.0-plugins-good",
        elsewhere: None,
        purpose: Purpose::Build,
        why: "plays video and sound in the app's window",
    },
    Package {
        debian: "gstreamer1.0-plugins-bad",
        elsewhere: None,
        purpose: Purpose::Build,
        why: "decodes H.264 in the app's window",
    },
    Package {
        debian: "xvfb",
        elsewhere: None,
        purpose: Purpose::Test,
        why: "is the screen on which the app is tested",
    },
    Package {
        debian: "webkit2gtk-driver",
        elsewhere: None,
        purpose: Purpose::Test,
        why: "clicks and types in the app's window",
    },
    Package {
        debian: "ffmpeg",
        elsewhere: Some(("ffmpeg", "ffmpeg")),
        purpose: Purpose::Test,
        why: "judges recordings from outside: every one must decode without a message",
    },
    Package {
        debian: "pulseaudio",
        elsewhere: None,
        purpose: Purpose::Test,
        why: "is the real sound server of the microphone tests",
    },
    Package {
        debian: "pulseaudio-utils",
        elsewhere: None,
        purpose: Purpose::Test,
        why: "plays the test tone into that sound server",
    },
    Package {
        debian: "libasound2-plugins",
        elsewhere: None,
        purpose: Purpose::Test,
        why: "lets ALSA programs reach that sound server",
    },
    Package {
        debian: "iproute2",
        elsewhere: None,
        purpose: Purpose::Test,
        why: "makes the slow and broken links of the tests between real programs",
    },
    Package { debian: "sox", elsewhere: None, purpose: Purpose::Test, why: "makes the test tone" },
    Package {
        debian: "chromium",
        elsewhere: None,
        purpose: Purpose::Test,
        why: "shows every scene of the screen to the accessibility checks, and plays what the server serves",
    },
    Package {
        debian: "chromium-driver",
        elsewhere: None,
        purpose: Purpose::Test,
        why: "clicks and types on the server's pages",
    },
    Package {
        debian: "fonts-dejavu-core",
        elsewhere: None,
        purpose: Purpose::Test,
        why: "is the font in which it shows them: a system without one draws no text",
    },
    Package {
        debian: "qemu-system-x86",
        elsewhere: None,
        purpose: Purpose::Test,
        why: "runs the machine that has a camera for tests",
    },
    Package {
        debian: "busybox-static",
        elsewhere: None,
        purpose: Purpose::Test,
        why: "is that machine's whole system",
    },
    Package { debian: "cpio", elsewhere: None, purpose: Purpose::Test, why: "packs that machine's files" },
    Package {
        debian: "kmod",
        elsewhere: None,
        purpose: Purpose::Test,
        why: "finds the kernel modules of that machine's camera",
    },
    Package {
        debian: "v4l-utils",
        elsewhere: None,
        purpose: Purpose::Test,
        why: "sets that machine's camera up",
    },
    Package {
        debian: "mmdebstrap",
        elsewhere: None,
        purpose: Purpose::Test,
        why: "makes the clean system on which the installer is tried",
    },
];

/// Programs that do what a package is for, where it is not to be had: Ubuntu has Chromium as a snap only, but its CI machines
/// come with Chrome.
const AS_GOOD_AS: &[(&str, &[&str])] =
    &[("chromium", &["google-chrome", "chromium-browser"]), ("chromium-driver", &["chromedriver"])];

/// Makes sure that everything for `purpose` is installed: on Debian and Ubuntu by installing it, elsewhere by saying
/// what to install.
///
/// # Errors
/// When something is missing and cannot be installed from here; the text is the command to run.
pub(crate) fn ensure(purpose: Purpose) -> anyhow::Result<()> {
    let needed = PACKAGES.iter().filter(|package| package.purpose <= purpose);
    if find_on_path("dpkg-query").is_some() {
        let missing: Vec<&Package> =
            needed.filter(|package| !is_installed(package.debian) && !is_replaced(package.debian)).collect();
        install(&missing)
    } else {
        let missing: Vec<(&str, &str)> = needed
            .filter_map(|package| Some((package.elsewhere?, package.why)))
            .filter(|((_, program), _)| find_on_path(program).is_none())
            .map(|((name, _), why)| (name, why))
            .collect();
        ask_for(&missing)
    }
}

fn is_installed(name: &str) -> bool {
    run::output(Command::new("dpkg-query").args(["-W", "-f=${db:Status-Status}", name]))
        .is_ok_and(|status| status == "installed")
}

fn is_replaced(name: &str) -> bool {
    AS_GOOD_AS
        .iter()
        .filter(|(package, _)| *package == name)
        .flat_map(|(_, programs)| programs.iter())
        .any(|program| find_on_path(program).is_some())
}

fn install(missing: &[&Package]) -> anyhow::Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    println!("This system lacks:");
    for package in missing {
        println!("  {:<20} {}", package.debian, package.why);
    }
    let names: Vec<&str> = missing.iter().map(|package| package.debian).collect();
    let Some(mut install) = as_root("apt-get") else {
        bail!(
            "installing needs root; run: sudo apt-get update && sudo apt-get install -y --no-install-recommends {}",
            names.join(" ")
        );
    };
    install.args(["install", "-y", "--no-install-recommends"]).args(&names);
    if run::checked(&mut install).is_err() {
        // Without lists, as in a fresh container, or with old ones apt does not find its packages.
        update_lists()?;
        run::checked(&mut install)?;
    }
    Ok(())
}

/// Fetches apt's package lists.
pub(crate) fn update_lists() -> anyhow::Result<()> {
    match as_root("apt-get") {
        Some(mut update) => run::checked(update.arg("update")),
        None => bail!("apt's package lists are missing or old; run: sudo apt-get update"),
    }
}

/// `program` to be run as root, if this user may do so without being asked for a password.
pub(crate) fn as_root(program: &str) -> Option<Command> {
    let is_root = run::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    let mut command = if is_root {
        Command::new("env")
    } else if run::succeeds(Command::new("sudo").args(["-n", "true"])) {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "env"]);
        sudo
    } else {
        return None;
    };
    command.args(["DEBIAN_FRONTEND=noninteractive", program]);
    Some(command)
}

fn ask_for(missing: &[(&str, &str)]) -> anyhow::Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    println!("This system lacks:");
    for (name, why) in missing {
        println!("  {name:<20} {why}");
    }
    let mut names: Vec<&str> = missing.iter().map(|(name, _)| *name).collect();
    names.dedup();
    let installer = if cfg!(target_os = "macos") {
        "brew install"
    } else if cfg!(windows) {
        "choco install"
    } else {
        "your system's package manager, for"
    };
    bail!("install them first: {installer} {}", names.join(" "))
}

/// Where `program` is, by the PATH variable.
pub(crate) fn find_on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(format!("{program}{}", std::env::consts::EXE_SUFFIX)))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_package_stands_twice_and_each_has_a_reason() {
        let mut names: Vec<&str> = PACKAGES.iter().map(|package| package.debian).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PACKAGES.len());
        assert!(PACKAGES.iter().all(|package| !package.why.is_empty()));
        assert!(AS_GOOD_AS.iter().all(|(package, _)| names.contains(package)));
    }

    #[test]
    fn cargo_is_found_on_the_path_and_nonsense_is_not() {
        assert!(find_on_path("cargo").is_some());
        assert!(find_on_path("longtake-no-such-program").is_none());
    }
}
