//! A minute from the synthetic camera and microphone to the recording, with the shipped programs.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use protocol::api::{Session, SessionStatus};
use testkit::child::{Running, Server, check_files, free_port};
use testkit::ffmpeg::{self, Packet};
use testkit::http::recording_path;

const SECONDS: u64 = 60;
const FPS: f64 = 30.0;

/// From the flash of a picture to the click that belongs to it, at most.
const SYNC_S: f64 = 0.020;

fn near(count: u64, wanted: u64) -> bool {
    count.abs_diff(wanted) <= 3
}

fn record(server: &Server) -> Result<Session> {
    let address = server.address();
    let length = format!("{SECONDS}s");
    let args = [
        &["publish", "--server", &address, "--room", "studio", "--camera", "synthetic"][..],
        &["--microphone", "synthetic", "--width", "320", "--height", "180", "--fps", "30"],
        &["--video-bitrate", "500000", "--duration", &length],
    ]
    .concat();
    let mut publisher = Running::start("longtake", &args, &[])?;
    let status = publisher.wait(Duration::from_secs(SECONDS + 60))?;
    ensure!(status.success(), "longtake publish: {status}; it said:\n{}", publisher.output());
    let sessions = server.api.sessions()?;
    ensure!(sessions.len() == 1, "one take is one session, not {}", sessions.len());
    Ok(sessions.into_iter().next().unwrap())
}

/// The times of the flashes: pictures that are almost white.
fn flashes(packets: &[Packet], brightness: &[f32]) -> Vec<f64> {
    let shown: Vec<f64> = packets.iter().filter(|packet| packet.video).map(|packet| packet.pts_s).collect();
    assert_eq!(shown.len(), brightness.len(), "every packet decodes to one picture");
    shown.into_iter().zip(brightness).filter(|(_, luma)| **luma > 190.0).map(|(pts_s, _)| pts_s).collect()
}

/// The times of the clicks: where the sound gets loud after it was quiet.
fn clicks(sound: &[f32]) -> Vec<f64> {
    let mut clicks: Vec<f64> = Vec::new();
    for (sample, amplitude) in sound.iter().enumerate() {
        let at = sample as f64 / 48_000.0;
        if amplitude.abs() > 0.3 && clicks.last().is_none_or(|last| at > last + 0.5) {
            clicks.push(at);
        }
    }
    clicks
}

#[test]
fn a_minute_is_recorded_whole_in_sync_and_playable_from_anywhere() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), free_port()?, &[])?;
    let session = record(&server)?;

    assert_eq!(session.status, SessionStatus::Completed);
    let (video, audio) = (session.video.unwrap(), session.audio.unwrap());
    assert!(near(video.units, SECONDS * 30), "{} frames", video.units);
    assert!(near(audio.units, SECONDS * 50), "{} Opus packets", audio.units);
    for track in [&video, &audio] {
        assert_eq!(track.durable_units, track.units);
        assert!(track.gaps.is_empty() && track.lost.is_empty() && track.finished);
    }

    let recording = server.api.recording(session.id)?;
    let file = folder.path().join("recording.mp4");
    fs::write(&file, &recording)?;
    ffmpeg::decode_silently(&file)?;
    let packets = ffmpeg::packets(&file)?;
    let pictures = packets.iter().filter(|packet| packet.video).count() as u64;
    assert_eq!((pictures, packets.len() as u64 - pictures), (video.units, audio.units));
    assert!(packets.iter().filter(|packet| packet.video && packet.key).count() >= 30, "an IDR every 2 s");

    // Any range is the same bytes.
    let mut rng = fastrand::Rng::with_seed(7);
    for _ in 0..100 {
        let first = rng.usize(0..recording.len());
        let last = rng.usize(first..recording.len());
        let range = format!("bytes={first}-{last}");
        let (status, body) = server.api.get_range(&recording_path(session.id), Some(&range))?;
        assert_eq!(status, 206, "{range}");
        assert!(body == recording[first..=last], "{range}");
    }
    // And a player that seeks over HTTP finds its way.
    let url = format!("http://127.0.0.1:{}{}", server.port, recording_path(session.id));
    for start_s in [0, 13, 31, 58] {
        ffmpeg::play_from(&url, start_s)?;
    }

    let flashes = flashes(&packets, &ffmpeg::brightness(&file)?);
    let clicks = clicks(&ffmpeg::decode_audio(&file)?);
    assert!(flashes.len() as u64 >= SECONDS - 2, "{} flashes", flashes.len());
    let mut worst_s: f64 = 0.0;
    for flash in &flashes {
        let apart =
            clicks.iter().map(|click| (click - flash).abs()).min_by(f64::total_cmp).unwrap_or(f64::INFINITY);
        worst_s = worst_s.max(apart);
        assert!(apart <= SYNC_S, "the flash at {flash:.3} s is {:.1} ms from its click", apart * 1e3);
    }
    println!("{} flashes, at most {:.2} ms from their click", flashes.len(), worst_s * 1e3);
    let last_flash = flashes.last().unwrap();
    assert!(*last_flash > SECONDS as f64 - 2.0 - 1.0 / FPS, "flashes go on to the end: {last_flash}");

    check_files(folder.path())
}
