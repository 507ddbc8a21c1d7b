//! The publisher, the server, or both are killed without warning, again and again, and what the publisher leaves is resumed.
//!
//! `LONGTAKE_CRASH_ROUNDS=n` sets how often, `LONGTAKE_SEED=n` when.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use protocol::api::{SessionStatus, TrackState};
use protocol::certificate::{Certificate, Statement, TrackStatement};
use protocol::{SessionId, Track};
use publisher::spool::disk;
use rustix::process::Signal;
use serde_json::Value;
use testkit::child::{PATIENCE, Running, SPOOL, Server, check_files, free_port, wait_until};
use testkit::ffmpeg;
use testkit::network::between;

const ROUNDS: u64 = 10;

/// Who is killed in a round, at a random instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Killed {
    Publisher,
    /// The publisher of a resumed session may be killed, too.
    PublisherAndResume,
    /// There is no server for a while, and everything waits on disk.
    PublisherOffline,
    Server,
    /// The server first, or the publisher.
    Both {
        server_first: bool,
    },
}

impl Killed {
    fn draw(rng: &mut Rng) -> Self {
        match rng.u8(0..6) {
            0 => Self::Publisher,
            1 => Self::PublisherAndResume,
            2 => Self::PublisherOffline,
            3 => Self::Server,
            _ => Self::Both { server_first: rng.bool() },
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a whole number"))
}

fn publish(server: &str, session: SessionId, spool: &str) -> Result<Running> {
    let id = session.to_string();
    let args = [
        &["publish", "--server", server, "--session", &id, "--json", "--duration", "1h"][..],
        &["--connect-timeout", "0", "--camera", "synthetic", "--microphone", "synthetic"],
        &["--width", "320", "--height", "180", "--video-bitrate", "300k"],
    ]
    .concat();
    Running::start("longtake", &args, &[(SPOOL, spool)])
}

/// The most units of each track that the killed program is known to have made: by its own status lines.
fn made(publisher: &Running) -> [u64; 2] {
    let lines: Vec<Value> =
        publisher.output().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    Track::ALL
        .map(|track| lines.iter().filter_map(|line| line[track.name()]["units"].as_u64()).max().unwrap_or(0))
}

/// What a killed program has left, by track: units below the first number that is not in the log.
fn left(spool: &Path, session: SessionId) -> Result<[u64; 2]> {
    let listing = disk::unfinished(spool)?;
    ensure!(listing.unreadable.is_empty(), "{:?}", listing.unreadable);
    let found = listing.sessions.into_iter().find(|found| found.session == session);
    let found = found.context("the session's folder is there")?;
    ensure!(!found.in_use, "its program is dead");
    Ok(Track::ALL.map(|track| {
        found.tracks.iter().find(|(other, _)| *other == track).map_or(0, |(_, backlog)| backlog.units)
    }))
}

/// Everything that was made until the kill is in the recording.
fn check(server: &Server, session: SessionId, made: [u64; 2], left: [u64; 2], scratch: &Path) -> Result<()> {
    let session = server.api.session(session)?;
    ensure!(session.status == SessionStatus::Completed, "the session is {:?}", session.status);
    let tracks: [Option<TrackState>; 2] = [session.video, session.audio];
    for ((state, track), (made, left)) in tracks.iter().zip(Track::ALL).zip(made.into_iter().zip(left)) {
        let Some(state) = state else {
            ensure!(made == 0 && left == 0, "{track} is missing, {made} units were made");
            continue;
        };
        ensure!(state.finished && state.lost.is_empty(), "{track} has lost {}", state.lost);
        ensure!(state.durable_units == state.units, "{track}: {} of {}", state.durable_units, state.units);
        ensure!(state.units >= made.max(left), "{track}: {made} made, {left} left, {} recorded", state.units);
    }
    let (status, body) = server.api.get(&format!("/api/sessions/{}/certificate", session.id))?;
    ensure!(status == 200, "the certificate: {status}");
    let certificate: Certificate = serde_json::from_slice(&body)?;
    let statement: Statement = serde_json::from_str(&certificate.certificate.statement)?;
    for TrackStatement { track, unwitnessed, .. } in statement.tracks {
        ensure!(unwitnessed.is_empty(), "the device does not vouch for {track} units {unwitnessed}");
    }
    if tracks[0].as_ref().is_some_and(|video| video.units > 0) {
        let file = scratch.join("recording.mp4");
        fs::write(&file, server.api.recording(session.id)?)?;
        ffmpeg::decode_silently(&file)?;
    }
    Ok(())
}

/// Every unit of the recording is the one that the certificate names.
fn verify(server: &Server, session: SessionId) -> Result<()> {
    let url = format!("http://127.0.0.1:{}/api/sessions/{session}", server.port);
    let mut verify = Running::start("longtake", &["verify", &url], &[])?;
    let status = verify.wait(PATIENCE)?;
    ensure!(status.success(), "verify: {status}:\n{}", verify.output());
    Ok(())
}

/// Lets a random time pass, up to so much.
fn pass(rng: &mut Rng, most_ms: u64) {
    wait_until(between(rng, Duration::from_millis(1), Duration::from_millis(most_ms)), || None::<()>);
}

fn resume(args: &[&str], spool: &str) -> Result<(i32, String)> {
    let mut resume = Running::start("longtake", &[&["resume", "--json"], args].concat(), &[(SPOOL, spool)])?;
    let code = resume.wait(Duration::from_secs(120))?.code().unwrap_or(-1);
    Ok((code, resume.output()))
}

#[test]
fn kills_of_publisher_and_server_lose_nothing_that_the_encoders_made() -> Result<()> {
    let rounds = number("LONGTAKE_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let seed = number("LONGTAKE_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("LONGTAKE_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let (folder, scratch, spool) = (tempfile::tempdir()?, tempfile::tempdir()?, tempfile::tempdir()?);
    let spool_text = spool.path().to_str().context("test folders have plain names")?;
    let port = free_port()?;
    let mut server = Server::start(folder.path(), port, &[])?;
    let mut sent_after_the_kill = 0;
    for round in 1..=rounds {
        let killed = Killed::draw(&mut rng);
        let context = || format!("{killed:?}, round {round}, seed {seed}");
        let session = SessionId::v7(1_700_000_000_000 + round, [round as u8; 10]);
        if killed == Killed::PublisherOffline {
            server.process.kill()?;
        }
        let mut publisher = publish(&server.address(), session, spool_text)?;
        let begun = wait_until(PATIENCE, || publisher.output().contains("\"started\"").then_some(()));
        ensure!(begun.is_some(), "{}: {}", context(), publisher.output());
        // The instant of the kill is the point: anything may be half-done.
        pass(&mut rng, 4_000);
        match killed {
            Killed::Publisher | Killed::PublisherOffline => publisher.kill()?,
            Killed::PublisherAndResume => {
                publisher.kill()?;
                let args = ["resume", "--json", "--server", &server.address()];
                let mut resume = Running::start("longtake", &args, &[(SPOOL, spool_text)])?;
                pass(&mut rng, 300);
                resume.kill()?;
            }
            Killed::Server => server.process.kill()?,
            Killed::Both { server_first } => {
                let [first, second] = match server_first {
                    true => [&mut server.process, &mut publisher],
                    false => [&mut publisher, &mut server.process],
                };
                first.kill()?;
                pass(&mut rng, 100);
                second.kill()?;
            }
        }
        let made = made(&publisher);
        if server.process.has_ended() {
            server = Server::start(folder.path(), port, &[]).with_context(context)?;
        }
        let left = if publisher.has_ended() {
            let is_left = !disk::waiting_sessions(spool.path())?.is_empty();
            let left = if is_left { left(spool.path(), session).with_context(context)? } else { [0; 2] };
            if killed == Killed::PublisherOffline {
                ensure!(
                    is_left && left[0] >= made[0] && left[1] >= made[1],
                    "{}: {left:?} of {made:?}",
                    context()
                );
            }
            let (code, output) = resume(&["--server", &server.address()], spool_text)?;
            ensure!(code == 0, "{}: resume ended with {code}:\n{output}", context());
            left
        } else {
            publisher.signal(Signal::INT)?;
            let status = publisher.wait(Duration::from_secs(120))?;
            ensure!(status.success(), "{}: {status}:\n{}", context(), publisher.output());
            [0; 2]
        };
        sent_after_the_kill += left[0] + left[1];
        ensure!(disk::unfinished(spool.path())?.sessions.is_empty(), "{}", context());
        ensure!(fs::read_dir(spool.path())?.next().is_none(), "{}: the folder is removed", context());
        if left != [0; 2] || made != [0; 2] {
            check(&server, session, made, left, scratch.path()).with_context(context)?;
            verify(&server, session).with_context(context)?;
        }
    }
    ensure!(sent_after_the_kill > 0, "the kills have left something to resume");
    server.process.kill()?;
    check_files(folder.path())?;
    println!("{rounds} kills, {sent_after_the_kill} units were left behind, nothing lost");
    Ok(())
}

#[test]
fn what_waits_is_listed_kept_from_others_and_discarded() -> Result<()> {
    let spool = tempfile::tempdir()?;
    let spool_text = spool.path().to_str().context("test folders have plain names")?;
    let nobody = format!("ws://127.0.0.1:{}", free_port()?);
    let session = SessionId::v7(1_700_000_000_000, [7; 10]);
    let id = session.to_string();
    let mut publisher = publish(&nobody, session, spool_text)?;
    let has_units = || disk_bytes(&spool.path().join(&id)) > 20_000;
    ensure!(wait_until(PATIENCE, || has_units().then_some(())).is_some(), "{}", publisher.output());

    let (code, listed) = resume(&["--list"], spool_text)?;
    ensure!(code == 0 && listed.contains(&id) && listed.contains("\"in_use\":true"), "{code}: {listed}");
    let (code, output) = resume(&["--discard", &id], spool_text)?;
    ensure!(code == 2 && output.contains("another program"), "{code}: {output}");
    publisher.kill()?;

    let (code, listed) = resume(&["--list"], spool_text)?;
    let line: Value = serde_json::from_str(listed.trim())?;
    ensure!(code == 0 && line["video"]["units"].as_u64() > Some(0) && line["in_use"] == false, "{listed}");
    ensure!(!disk_text(spool.path(), &id)?.contains("token"), "no access token is written");
    let (code, output) = resume(&["--connect-timeout", "300ms"], spool_text)?;
    ensure!(code == 3 && output.contains("is the server running?"), "{code}: {output}");
    let (code, output) = resume(&["--discard", &id], spool_text)?;
    ensure!(code == 0, "{code}: {output}");
    let (code, output) = resume(&[], spool_text)?;
    ensure!(code == 0 && output.contains("nothing waits"), "{code}: {output}");
    Ok(())
}

fn disk_bytes(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|about| about.len()).sum()
}

/// What tells whose session it is; only this user may read it.
fn disk_text(spool: &Path, session: &str) -> Result<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, file) = (spool.join(session), spool.join(session).join("session.json"));
    for (path, mode) in [(&folder, 0o700), (&file, 0o600)] {
        let found = fs::metadata(path)?.permissions().mode() & 0o777;
        ensure!(found == mode, "{} has mode {found:o}", path.display());
    }
    Ok(fs::read_to_string(file)?)
}
