//! The server is killed without warning, again and again, while publishers stream to it.
//!
//! `LONGTAKE_CRASH_ROUNDS=n` sets how often (`cargo xtask torture` runs 200), `LONGTAKE_SEED=n` when.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use protocol::api::{Session, SessionStatus};
use protocol::{SessionId, Track};
use rustix::process::Signal;
use serde_json::Value;
use testkit::child::{PATIENCE, Running, Server, check_files, free_port, wait_until};
use testkit::ffmpeg;
use testkit::network::between;

const ROUNDS: u64 = 15;
const PUBLISHERS: u64 = 4;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a whole number"))
}

/// A running `longtake publish` and its session.
struct Publisher {
    process: Running,
    session: SessionId,
}

impl Publisher {
    fn start(server: &Server, index: u64) -> Result<Self> {
        let session = SessionId::v7(1_700_000_000_000 + index, [index as u8; 10]);
        let (address, id, room) = (server.address(), session.to_string(), format!("room-{index}"));
        let args = [
            &["publish", "--server", &address, "--session", &id, "--room", &room, "--json"][..],
            &["--camera", "synthetic", "--microphone", "synthetic", "--width", "320", "--height", "180"],
            &["--video-bitrate", "300k"],
        ]
        .concat();
        Ok(Self { process: Running::start("longtake", &args, &[])?, session })
    }

    /// The newest status that the publisher printed: what it knew to be durable.
    fn acknowledged(&self, track: Track) -> u64 {
        let output = self.process.output();
        let status = output.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok());
        status.and_then(|status| status[track.name()]["durable_units"].as_u64()).unwrap_or(0)
    }
}

/// What must be true of every session at any moment.
fn check_session(server: &Server, publisher: &Publisher, before: [u64; 2], folder: &Path) -> Result<()> {
    let session = server.api.session(publisher.session)?;
    for (track, acknowledged) in Track::ALL.into_iter().zip(before) {
        let state = match track {
            Track::Video => &session.video,
            Track::Audio => &session.audio,
        };
        let Some(state) = state else {
            ensure!(acknowledged == 0, "{track} of {} is gone", session.id);
            continue;
        };
        // Units are sent in order here, so that the acknowledged ones are the first ones.
        let missing = state.gaps.as_slice().iter().find(|gap| gap.first < acknowledged);
        ensure!(
            missing.is_none() && state.durable_units >= acknowledged,
            "{track} of {}: {acknowledged} units were acknowledged, {missing:?} are missing",
            session.id
        );
    }
    let has_picture = session.video.is_some_and(|video| video.durable_units > 0);
    if has_picture {
        let file = folder.join("recording.mp4");
        fs::write(&file, server.api.recording(publisher.session)?)?;
        ffmpeg::decode_silently(&file)?;
    }
    Ok(())
}

/// Waits until every track has got further than it was.
fn goes_on(server: &Server, publishers: &[Publisher]) -> Result<()> {
    let count = |session: &Session| {
        let units =
            |state: &Option<protocol::api::TrackState>| state.as_ref().map_or(0, |state| state.durable_units);
        (units(&session.video), units(&session.audio))
    };
    let read =
        |publisher: &Publisher| server.api.session(publisher.session).map(|session| count(&session)).ok();
    let start: Vec<_> = publishers.iter().map(|publisher| read(publisher).unwrap_or_default()).collect();
    let went_on = wait_until(PATIENCE, || {
        let further = publishers
            .iter()
            .zip(&start)
            .all(|(publisher, start)| read(publisher).is_some_and(|now| now.0 > start.0 && now.1 > start.1));
        further.then_some(())
    });
    went_on.context("every session goes on")
}

#[test]
fn a_killed_server_loses_nothing_that_it_acknowledged_and_the_sessions_go_on() -> Result<()> {
    let rounds = number("LONGTAKE_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let seed = number("LONGTAKE_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("LONGTAKE_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let folder = tempfile::tempdir()?;
    let scratch = tempfile::tempdir()?;
    let port = free_port()?;
    let mut server = Server::start(folder.path(), port, &[])?;
    let mut publishers = Vec::new();
    for index in 0..PUBLISHERS {
        publishers.push(Publisher::start(&server, index)?);
    }
    goes_on(&server, &publishers)?;
    for round in 1..=rounds {
        // The instant of the kill is the point: anything may be half-done.
        let instant = between(&mut rng, Duration::from_millis(20), Duration::from_millis(2_500));
        wait_until(instant, || None::<()>);
        let before: Vec<[u64; 2]> = publishers
            .iter()
            .map(|publisher| Track::ALL.map(|track| publisher.acknowledged(track)))
            .collect();
        server.process.kill()?;
        check_files(folder.path()).with_context(|| format!("round {round}, seed {seed}, after the kill"))?;
        server = Server::start(folder.path(), port, &[])?;
        for (publisher, before) in publishers.iter().zip(before) {
            check_session(&server, publisher, before, scratch.path())
                .with_context(|| format!("round {round}, seed {seed}"))?;
        }
        goes_on(&server, &publishers).with_context(|| format!("round {round}, seed {seed}"))?;
        check_files(folder.path())
            .with_context(|| format!("round {round}, seed {seed}, after the restart"))?;
    }
    for publisher in &publishers {
        publisher.process.signal(Signal::INT)?;
    }
    for publisher in &mut publishers {
        let status = publisher.process.wait(Duration::from_secs(120))?;
        ensure!(status.success(), "a publisher ended with {status}:\n{}", publisher.process.output());
        let session = server.api.session(publisher.session)?;
        assert_eq!(session.status, SessionStatus::Completed);
        for state in [session.video.unwrap(), session.audio.unwrap()] {
            assert_eq!(state.durable_units, state.units, "every unit is durable");
            assert!(state.lost.is_empty());
        }
    }
    check_files(folder.path())?;
    println!("{rounds} kills, nothing lost");
    Ok(())
}
