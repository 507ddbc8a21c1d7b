//! A disk that is full, at the server and on the device: both say so, nothing is corrupt, and all goes on when there is room.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use protocol::SessionId;
use rustix::process::Signal;
use serde_json::Value;
use testkit::child::{PATIENCE, Running, SPOOL, Server, check_files, free_port, wait_until};

use super::small_disk::SmallDisk;
use super::{as_root, check_recording};

/// What the programs find free at first: some seconds of a session.
const LEFT_BYTES: u64 = 1_500_000;

fn publish(server: &str, session: SessionId, spool: &Path) -> Result<Running> {
    let (id, spool) = (session.to_string(), spool.to_str().context("test folders have plain names")?);
    let args = [
        &["publish", "--server", server, "--session", &id, "--json", "--duration", "1h"][..],
        &["--connect-timeout", "0", "--camera", "synthetic", "--microphone", "synthetic"],
        &["--width", "640", "--height", "360", "--video-bitrate", "2M"],
    ];
    Running::start("longtake", &args.concat(), &[(SPOOL, spool)])
}

/// Waits until the publisher's newest status is as wanted.
fn wait_for_status(publisher: &Running, wanted: impl Fn(&Value) -> bool) -> Option<()> {
    wait_until(PATIENCE, || {
        let output = publisher.output();
        let mut lines = output.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.find(|line| line["type"] == "status").is_some_and(|status| wanted(&status)).then_some(())
    })
}

fn wait_for_log(server: &Server, words: &str) -> Option<()> {
    wait_until(PATIENCE, || server.process.output().contains(words).then_some(()))
}

/// Ends the session and finds all of it in the recording.
fn complete(server: &Server, publisher: &mut Running, session: SessionId, folder: &Path) -> Result<()> {
    publisher.signal(Signal::INT)?;
    let status = publisher.wait(Duration::from_secs(120))?;
    ensure!(status.success(), "longtake publish: {status}; it said:\n{}", publisher.output());
    check_recording(server, session)?;
    check_files(folder)
}

fn is_live(status: &Value) -> bool {
    ["video", "audio"].iter().all(|track| status[track]["phase"] == "live")
}

#[test]
fn a_server_whose_disk_is_full_says_so_and_goes_on_when_there_is_room() -> Result<()> {
    as_root(|| {
        let (disk, spool) = (SmallDisk::new(64)?, tempfile::tempdir()?);
        let (port, id) = (free_port()?, SessionId::v7(1_700_000_000_000, [5; 10]));
        let mut server = Server::start(disk.path(), port, &[])?;
        disk.fill(LEFT_BYTES)?;
        let mut publisher = publish(&server.address(), id, spool.path())?;
        wait_for_status(&publisher, is_live).with_context(|| publisher.output())?;

        // The disk fills: the server says so once and goes on answering, and the device keeps what is not acknowledged.
        wait_for_log(&server, "cannot store: ").with_context(|| server.process.output())?;
        let waits = |status: &Value| !is_live(status) && status["video"]["backlog_ms"].as_u64() > Some(2_000);
        wait_for_status(&publisher, waits).with_context(|| publisher.output())?;
        ensure!(!server.process.has_ended() && !publisher.has_ended(), "both go on");
        let before = server.api.session(id)?.video.map_or(0, |video| video.durable_units);
        ensure!(before > 0, "what was stored is listed");
        check_files(disk.path()).context("the disk is full")?;
        disk.make_room()?;
        wait_for_log(&server, "storing works again").with_context(|| server.process.output())?;
        wait_for_status(&publisher, is_live).with_context(|| publisher.output())?;

        // It fills once more, and the server is killed meanwhile. How often it says so is not fixed: while the disk fills, a
        // small write may find room where a large one did not.
        let times_full = || server.process.output().matches("cannot store: ").count();
        let times_before = times_full();
        disk.fill(LEFT_BYTES)?;
        wait_until(PATIENCE, || (times_full() > times_before).then_some(()))
            .with_context(|| server.process.output())?;
        server.process.kill()?;
        disk.make_room()?;
        check_files(disk.path()).context("killed while the disk was full")?;
        let mut server = Server::start(disk.path(), port, &[])?;
        wait_for_status(&publisher, is_live).with_context(|| publisher.output())?;
        let after = server.api.session(id)?.video.map_or(0, |video| video.durable_units);
        ensure!(after > before, "{after} units after {before}");
        complete(&server, &mut publisher, id, disk.path())?;
        server.process.end();
        Ok(())
    })
}

#[test]
fn a_device_whose_disk_is_full_says_so_and_loses_nothing_as_long_as_memory_suffices() -> Result<()> {
    as_root(|| {
        let (disk, folder) = (SmallDisk::new(64)?, tempfile::tempdir()?);
        let (port, id) = (free_port()?, SessionId::v7(1_700_000_000_000, [6; 10]));
        disk.fill(LEFT_BYTES)?;
        // There is no server, so that everything has to wait on the device.
        let mut publisher = publish(&format!("ws://127.0.0.1:{port}"), id, disk.path())?;
        let is_told = |status: &Value| {
            status["video"]["spool_trouble"] == "the disk of this device is full"
                && status["video"]["phase"] == "offline"
        };
        wait_for_status(&publisher, is_told).with_context(|| publisher.output())?;
        let waiting = |publisher: &Running| {
            let longer = |status: &Value| status["video"]["backlog_bytes"].as_u64() > Some(2 * LEFT_BYTES);
            wait_for_status(publisher, longer)
        };
        waiting(&publisher).with_context(|| publisher.output())?;
        ensure!(!publisher.has_ended(), "it goes on");

        disk.make_room()?;
        let is_well = |status: &Value| {
            ["video", "audio"]
                .iter()
                .all(|track| status[track]["spool_trouble"].is_null() && status[track]["lost_units"] == 0)
        };
        wait_for_status(&publisher, is_well).with_context(|| publisher.output())?;
        // What was kept in memory is on the disk now: killing the program costs nothing.
        publisher.kill()?;
        let server = Server::start(folder.path(), port, &[])?;
        let spool = disk.path().to_str().context("test folders have plain names")?;
        let mut resume =
            Running::start("longtake", &["resume", "--server", &server.address()], &[(SPOOL, spool)])?;
        let status = resume.wait(Duration::from_secs(120))?;
        ensure!(status.success(), "longtake resume: {status}; it said:\n{}", resume.output());
        check_recording(&server, id)?;
        check_files(folder.path())
    })
}
