//! The power of the server, of the device, or of both is cut at random instants, and what was not synced is gone.
//!
//! `LONGTAKE_CRASH_ROUNDS=n` sets how often (`cargo xtask torture`), `LONGTAKE_SEED=n` when.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use protocol::api::{SessionStatus, TrackState};
use protocol::{SessionId, Track};
use rustix::process::Signal;
use serde_json::Value;
use testkit::child::{PATIENCE, Running, SPOOL, Server, check_files, free_port, wait_until};
use testkit::network::between;

use super::forgetful::ForgetfulDisk;
use super::{as_root, check_recording, number, plays};

const ROUNDS: u64 = 4;
/// With both tracks of each, commits of few files and of many: the server syncs them in different ways.
const MOST_PUBLISHERS: u64 = 5;
const FINISH: Duration = Duration::from_secs(180);

/// Whose power is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Server,
    Device,
    Both,
}

struct Publisher {
    process: Running,
    session: SessionId,
}

impl Publisher {
    fn start(server: &str, session: SessionId, device: &ForgetfulDisk) -> Result<Self> {
        let id = session.to_string();
        let args = [
            &["publish", "--server", server, "--session", &id, "--json", "--duration", "1h"][..],
            &["--camera", "synthetic", "--microphone", "synthetic", "--width", "320", "--height", "180"],
            &["--video-bitrate", "300k", "--connect-timeout", "0", "--finish-timeout", "2m"],
        ];
        let env = environment(device)?;
        Ok(Self { process: Running::start("longtake", &args.concat(), &borrowed(&env))?, session })
    }

    /// The units of a track that it knew to be durable when it last said so.
    fn acknowledged(&self, track: Track) -> u64 {
        let output = self.process.output();
        let status = output.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok());
        status.and_then(|status| status[track.name()]["durable_units"].as_u64()).unwrap_or(0)
    }

    fn has_begun(&self) -> bool {
        Track::ALL.iter().all(|track| self.acknowledged(*track) > 0)
    }
}

fn environment(device: &ForgetfulDisk) -> Result<[(&'static str, String); 2]> {
    let path = device.path().to_str().context("test folders have plain names")?;
    Ok([(SPOOL, format!("{path}/spool")), ("LONGTAKE_DATA_DIR", format!("{path}/key"))])
}

fn borrowed<'a>(env: &'a [(&'static str, String); 2]) -> [(&'a str, &'a str); 2] {
    env.each_ref().map(|(name, value)| (*name, value.as_str()))
}

/// What must be true of a session of which so many units of each track were known to be durable at the cut.
fn check_session(server: &Server, id: SessionId, acknowledged: [u64; 2]) -> Result<[Option<TrackState>; 2]> {
    let session = server.api.session(id)?;
    let states = [session.video, session.audio];
    for ((state, track), acknowledged) in states.iter().zip(Track::ALL).zip(acknowledged) {
        let Some(state) = state else {
            ensure!(acknowledged == 0, "{track} is gone");
            continue;
        };
        // Units are sent in order here, so that the acknowledged ones are the first ones.
        let missing = state.gaps.as_slice().iter().find(|gap| gap.first < acknowledged);
        ensure!(
            missing.is_none() && state.durable_units >= acknowledged,
            "{track}: {acknowledged} units were acknowledged, {} are there, {missing:?} are missing",
            state.durable_units
        );
    }
    if states[0].as_ref().is_some_and(|video| video.durable_units > 0) {
        plays(server, id)?;
    }
    Ok(states)
}

/// One machine room: the server's disk and the device's, and what came of the cuts.
struct Room {
    server_disk: ForgetfulDisk,
    device_disk: ForgetfulDisk,
    port: u16,
    rng: Rng,
    sent_again: u64,
    lost: u64,
}

impl Room {
    fn round(&mut self, round: u64) -> Result<()> {
        let folder = self.server_disk.path().join("server");
        let mut server = Server::start(&folder, self.port, &[])?;
        let mut publishers = Vec::new();
        for index in 0..self.rng.u64(1..=MOST_PUBLISHERS) {
            let session = SessionId::v7(1_700_000_000_000 + round, [index as u8; 10]);
            publishers.push(Publisher::start(&server.address(), session, &self.device_disk)?);
        }
        for publisher in &publishers {
            let begun = || publisher.has_begun().then_some(());
            // In some rounds the cut comes before anything is there.
            let patience = if self.rng.u8(0..4) == 0 { Duration::ZERO } else { PATIENCE };
            wait_until(patience, begun);
        }
        let instant = between(&mut self.rng, Duration::from_millis(1), Duration::from_millis(2_500));
        wait_until(instant, || None::<()>);

        let cut = *self.rng.choice(&[Cut::Server, Cut::Device, Cut::Both]).context("a choice")?;
        let is_server_cut = cut != Cut::Device;
        let is_device_cut = cut != Cut::Server;
        let acknowledged: Vec<[u64; 2]> = publishers
            .iter()
            .map(|publisher| Track::ALL.map(|track| publisher.acknowledged(track)))
            .collect();
        let server_after = is_server_cut.then(|| self.server_disk.cut(&mut self.rng));
        let device_after = is_device_cut.then(|| self.device_disk.cut(&mut self.rng));
        if let Some(after) = server_after {
            server.process.kill()?;
            self.server_disk.restart(after)?;
            if folder.join("longtake.db").exists() || folder.join("sessions").exists() {
                check_files(&folder).with_context(|| format!("{cut:?}, after the cut"))?;
            }
            server = Server::start(&folder, self.port, &[])?;
            for (publisher, acknowledged) in publishers.iter().zip(&acknowledged) {
                if *acknowledged != [0; 2] {
                    check_session(&server, publisher.session, *acknowledged)
                        .with_context(|| format!("{cut:?}, after the server's start"))?;
                }
            }
        }
        if let Some(after) = device_after {
            for publisher in &mut publishers {
                publisher.process.kill()?;
            }
            self.device_disk.restart(after)?;
            self.resume(&server)?;
        } else {
            for publisher in &mut publishers {
                // One that was cut at its very start is let come as far as to have a session.
                wait_until(PATIENCE, || publisher.has_begun().then_some(()));
                publisher.process.signal(Signal::INT)?;
                let status = publisher.process.wait(FINISH)?;
                ensure!(status.success(), "{cut:?}: {status}:\n{}", publisher.process.output());
            }
        }
        for (publisher, acknowledged) in publishers.iter().zip(acknowledged) {
            self.check_end(&server, publisher, acknowledged, is_device_cut)
                .with_context(|| format!("{cut:?}, at the end"))?;
        }
        server.process.kill()?;
        check_files(&folder)
    }

    fn resume(&self, server: &Server) -> Result<()> {
        let env = environment(&self.device_disk)?;
        let args = ["resume", "--server", &server.address()];
        let mut resume = Running::start("longtake", &args, &borrowed(&env))?;
        let status = resume.wait(FINISH)?;
        // What the last second held may be lost, which is an exit code of its own.
        ensure!(matches!(status.code(), Some(0 | 5)), "resume: {status}:\n{}", resume.output());
        Ok(())
    }

    fn check_end(
        &mut self,
        server: &Server,
        publisher: &Publisher,
        acknowledged: [u64; 2],
        is_device_cut: bool,
    ) -> Result<()> {
        if !is_device_cut {
            return check_recording(server, publisher.session);
        }
        if acknowledged == [0; 2] {
            // Its program may not have come as far as to keep anything.
            return Ok(());
        }
        let states = check_session(server, publisher.session, acknowledged)?;
        let session = server.api.session(publisher.session)?;
        ensure!(session.status == SessionStatus::Completed, "the session is {:?}", session.status);
        for (state, track) in states.into_iter().zip(Track::ALL) {
            let Some(state) = state else { continue };
            self.lost += state.lost.count();
            self.sent_again +=
                state.durable_units.saturating_sub(acknowledged[usize::from(track == Track::Audio)]);
        }
        Ok(())
    }
}

#[test]
fn a_power_cut_costs_nothing_that_was_acknowledged() -> Result<()> {
    as_root(|| {
        let rounds = number("LONGTAKE_CRASH_ROUNDS").unwrap_or(ROUNDS);
        let seed = number("LONGTAKE_SEED").unwrap_or_else(|| fastrand::u64(..));
        println!("LONGTAKE_SEED={seed}");
        let mut room = Room {
            server_disk: ForgetfulDisk::new()?,
            device_disk: ForgetfulDisk::new()?,
            port: free_port()?,
            rng: Rng::with_seed(seed),
            sent_again: 0,
            lost: 0,
        };
        for round in 1..=rounds {
            room.round(round).with_context(|| format!("round {round}, seed {seed}"))?;
        }
        let Room { sent_again, lost, .. } = room;
        println!(
            "{rounds} power cuts, {sent_again} units came after the cut, {lost} of the device's last second are lost"
        );
        Ok(())
    })
}
