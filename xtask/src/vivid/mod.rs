//! A real V4L2 camera for tests: a virtual machine with Linux's `vivid` driver, which behaves as a webcam does.
//!
//! Containers and CI machines have no camera and may not load kernel modules. So a Debian kernel, taken from its
//! package without installing it, boots in qemu with nothing but busybox, the test program and the camera driver. The
//! processor is emulated: a stock kernel hangs under nested KVM on some hosts, and emulation works on all of them.
//!
//! The test program is the capture crate's test binary `vivid`. It runs as root in the machine with `LONGTAKE_VIVID=1`,
//! a camera at `/dev/video0`, and a folder named by `LONGTAKE_VIVID_OUT`. Every `*.h264` file that it leaves there must
//! decode on the host without a message; it must leave at least one.

mod initramfs;
mod kernel;
mod machine;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::packages::{self, Purpose};
use crate::run;
use crate::workspace::Workspace;

/// What to run in the machine.
#[derive(clap::Args, Default)]
pub(crate) struct Options {
    /// Run this test program instead of the capture crate's.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Give up after this many seconds [default: 300].
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Arguments for the test program, such as a test's name.
    #[arg(last = true)]
    args: Vec<String>,
}

/// Many times what it takes, and still an end to a machine that hangs.
const DEFAULT_LIMIT: Duration = Duration::from_secs(300);
/// In the order of loading; each comes with the modules that it depends on.
const MODULES: &[&str] = &["virtio_pci", "virtio_blk", "vivid"];

/// Builds the machine, runs the test program in it, and judges what comes out.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("the machine with a camera runs programs built for x86-64 Linux only");
    }
    packages::ensure(Purpose::Test)?;
    let folder = workspace.target_dir().join("vivid");
    std::fs::create_dir_all(&folder)?;
    let program = match &options.program {
        Some(program) => program.clone(),
        None => build_test_program(workspace)?,
    };
    let kernel = kernel::Kernel::obtain(&folder.join("kernels"))?;
    let modules = kernel.modules(MODULES)?;
    let initrd = initramfs::build(&folder, &modules, &program, &options.args)?;

    let start = Instant::now();
    let limit = options.seconds.map_or(DEFAULT_LIMIT, Duration::from_secs);
    let machine =
        machine::Machine { kernel: kernel.image(), initrd: &initrd, results: &folder.join("results.tar") };
    let console = machine.run(limit)?;
    println!("the machine ran for {:.1} s", start.elapsed().as_secs_f64());
    let passed = verdict(&console)?;
    let results = folder.join("results");
    unpack(machine.results, &results)?;
    let clips = check_clips(&results)?;
    println!("{passed} tests passed in the machine, {clips} clips decode");
    Ok(())
}

/// Builds the capture crate's test binary and returns where cargo put it.
fn build_test_program(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let mut command = workspace.cargo();
    command
        // As all tests are built, so that what they have compiled is not compiled again with fewer features.
        .args(["test", "--workspace", "--all-features", "--test", "vivid", "--no-run"])
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(std::process::Stdio::inherit());
    println!("$ {}", run::shown(&command));
    let messages = command.output().context("cannot start cargo")?;
    if !messages.status.success() {
        bail!("the capture crate's test program `vivid` does not build");
    }
    executable(&String::from_utf8_lossy(&messages.stdout))
        .context("cargo named no test program `vivid` of the capture crate")
}

/// The test program in cargo's JSON messages.
fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "vivid")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// The number of tests that passed, by what the console shows.
///
/// The exit code alone would accept a test program that ran nothing.
fn verdict(console: &str) -> anyhow::Result<u64> {
    let code = console
        .lines()
        .find_map(|line| line.trim().strip_prefix(initramfs::EXIT_LINE))
        .context("the machine ended before the test program did")?;
    if code != "0" {
        bail!("the test program failed in the machine with exit code {code}");
    }
    let passed = console
        .lines()
        .filter_map(|line| line.trim().strip_prefix("test result: ok. "))
        .filter_map(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .sum();
    if passed == 0 {
        bail!("the test program ran no test in the machine");
    }
    Ok(passed)
}

fn unpack(archive: &Path, folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    run::output(Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(folder))
        .context("the machine's results cannot be read")?;
    Ok(())
}

/// Decodes every clip; returns how many there are.
fn check_clips(folder: &Path) -> anyhow::Result<usize> {
    let mut clips: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<_>>()?;
    clips.retain(|path| path.extension().is_some_and(|extension| extension == "h264"));
    clips.sort();
    for clip in &clips {
        let frames = decoded_frames(clip)?;
        let name = clip.file_name().unwrap_or_default().display();
        if frames == 0 {
            bail!("{name} has no frame");
        }
        println!("{name}: {frames} frames decode without a message");
    }
    if clips.is_empty() {
        bail!("the test program left no .h264 file in LONGTAKE_VIVID_OUT");
    }
    Ok(clips.len())
}

/// Decodes with ffmpeg, which must have nothing to say, and counts the frames.
fn decoded_frames(clip: &Path) -> anyhow::Result<u64> {
    let decoded = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-f", "h264", "-i"])
        .arg(clip)
        .args(["-f", "null", "-"])
        .output()
        .context("cannot start ffmpeg")?;
    let complaints = String::from_utf8_lossy(&decoded.stderr);
    if !decoded.status.success() || !complaints.trim().is_empty() {
        bail!("{} does not decode cleanly: {}", clip.display(), complaints.trim());
    }
    let count = run::output(
        Command::new("ffprobe")
            .args(["-v", "error", "-f", "h264", "-count_frames"])
            .args(["-select_streams", "v", "-show_entries", "stream=nb_read_frames"])
            .args(["-of", "default=noprint_wrappers=1:nokey=1"])
            .arg(clip),
    )?;
    count.trim().parse().with_context(|| format!("ffprobe counted no frames: {count:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_exit_code_of_zero_with_a_passed_test_is_a_success() {
        let line = initramfs::EXIT_LINE;
        for (console, expected) in [
            (format!("test result: ok. 3 passed; 0 failed\r\n{line}0\r\n"), Some(3)),
            (format!("test result: ok. 0 passed; 0 failed\r\n{line}0\r\n"), None),
            (format!("test result: FAILED. 2 passed; 1 failed\r\n{line}101\r\n"), None),
            (format!("test result: ok. 3 passed; 0 failed\r\n{line}139\r\n"), None),
            ("test result: ok. 3 passed; 0 failed\r\n".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(verdict(&console).ok(), expected, "{console:?}");
        }
    }

    #[test]
    fn the_test_program_is_the_executable_of_the_target_vivid() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"capture"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"vivid"},"executable":"/t/vivid-1"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages), Some(PathBuf::from("/t/vivid-1")));
    }
}
