//! Faults that the kernel makes. All of them vanish with the test that asked for them, also when it is killed.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod bad_link;
mod disk_full;
mod forgetful;
mod namespace;
mod power_cut;
mod small_disk;

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use protocol::SessionId;
use protocol::api::SessionStatus;
use testkit::child::{PATIENCE, Running, Server};
use testkit::ffmpeg;

/// The token of servers that ask for one.
const TOKEN: &str = "correct-horse";

/// Runs a test that needs root. Who is not root, and may become it without a password, runs it by sudo.
fn as_root(test: impl FnOnce() -> Result<()>) -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return test();
    }
    let thread = std::thread::current();
    let name = thread.name().context("a test's thread has the test's name")?;
    let this = std::env::current_exe()?;
    let mut sudo = Command::new("sudo");
    sudo.args(["-n", "-E"]).arg(this).args(["--exact", name, "--nocapture"]);
    match sudo.status() {
        Ok(status) if status.success() => Ok(()),
        _ => bail!(
            "{name} makes network links and disks of its own, which needs root: run it as root, or let this user run sudo \
             without a password"
        ),
    }
}

/// Runs a program of the system.
fn run(program: &str, args: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(args)
        .output()
        .with_context(|| format!("{program} starts; it is in the package iproute2 (`cargo xtask setup`)"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {said}", args.join(" "));
    Ok(())
}

/// A number in the environment, or how it is in the gate.
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a whole number"))
}

/// The session is complete without loss, its recording plays without a message, and its certificate is right.
fn check_recording(server: &Server, id: SessionId) -> Result<()> {
    let session = server.api.session(id)?;
    ensure!(session.status == SessionStatus::Completed, "the session is {:?}", session.status);
    for state in [&session.video, &session.audio].into_iter().flatten() {
        ensure!(state.durable_units == state.units && state.lost.is_empty(), "{state:?}");
    }
    plays(server, id)?;
    let url = format!("http://127.0.0.1:{}/api/sessions/{id}", server.port);
    let mut verify = Running::start("longtake", &["verify", &url], &[("LONGTAKE_TOKEN", TOKEN)])?;
    let status = verify.wait(PATIENCE)?;
    ensure!(status.success() && verify.output().starts_with("complete: "), "{}", verify.output());
    Ok(())
}

/// What is recorded so far plays without a message.
fn plays(server: &Server, id: SessionId) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("recording.mp4");
    fs::write(&file, server.api.recording(id)?)?;
    ffmpeg::decode_silently(&file)
}
