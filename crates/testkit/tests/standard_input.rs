//! `longtake publish --camera -` and `--microphone -`: what another program writes is recorded whole.
#![allow(clippy::unwrap_used)]

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use protocol::api::{Session, SessionStatus};
use testkit::child::{Running, Server, free_port};

const SECONDS: usize = 2;

/// What the server has of a take whose only source is standard input.
fn published(args: &[&str], input: Vec<u8>) -> Result<Session> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), free_port()?, &[])?;
    let address = server.address();
    let args = [&["publish", "--server", &address][..], args].concat();
    let mut publisher = Running::start_fed("longtake", &args, &[], input)?;
    let status: ExitStatus = publisher.wait(Duration::from_secs(60))?;
    ensure!(status.success(), "longtake publish: {status}; it said:\n{}", publisher.output());
    let mut sessions = server.api.sessions()?;
    ensure!(sessions.len() == 1, "one take is one session, not {}", sessions.len());
    let mut session = sessions.remove(0);
    // The word that all is durable goes out before the session's own row says so.
    let deadline = Instant::now() + Duration::from_secs(20);
    while session.status == SessionStatus::Active && Instant::now() < deadline {
        session = server.api.session(session.id)?;
    }
    Ok(session)
}

/// As `ffmpeg -f yuv4mpegpipe -` writes it: 30 pictures a second that get brighter.
fn y4m() -> Vec<u8> {
    const WIDTH: usize = 64;
    const HEIGHT: usize = 48;
    let mut stream = format!("YUV4MPEG2 W{WIDTH} H{HEIGHT} F30:1 Ip A1:1 C420jpeg\n").into_bytes();
    for picture in 0..SECONDS * 30 {
        stream.extend_from_slice(b"FRAME\n");
        stream.extend(std::iter::repeat_n(picture as u8, WIDTH * HEIGHT));
        stream.extend(std::iter::repeat_n(128, WIDTH * HEIGHT / 2));
    }
    stream
}

/// As `ffmpeg -f wav -` writes it: 16 bit mono at 48 kHz, with lengths that say "until the end".
fn wav() -> Vec<u8> {
    const RATE: u32 = 48_000;
    let mut stream = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00".to_vec();
    stream.extend(RATE.to_le_bytes());
    stream.extend((RATE * 2).to_le_bytes());
    stream.extend(b"\x02\x00\x10\x00data\xff\xff\xff\xff");
    for at in 0..SECONDS as u32 * RATE {
        let tone = (f64::from(at) * 440.0 * std::f64::consts::TAU / f64::from(RATE)).sin() * 8_000.0;
        stream.extend((tone as i16).to_le_bytes());
    }
    stream
}

#[test]
fn pictures_on_standard_input_are_recorded_whole() -> Result<()> {
    let session = published(&["--camera", "-", "--microphone", "none"], y4m())?;
    assert_eq!(session.status, SessionStatus::Completed);
    let video = session.video.unwrap();
    assert_eq!((video.units, video.durable_units), (SECONDS as u64 * 30, SECONDS as u64 * 30));
    assert!(video.gaps.is_empty() && video.lost.is_empty() && session.audio.is_none());
    Ok(())
}

#[test]
fn sound_on_standard_input_is_recorded_whole() -> Result<()> {
    let session = published(&["--camera", "none", "--microphone", "-"], wav())?;
    assert_eq!(session.status, SessionStatus::Completed);
    let audio = session.audio.unwrap();
    assert_eq!(audio.units, audio.durable_units);
    // Packets of 20 ms, and what the encoder looks ahead.
    let played = SECONDS as u64 * 1_000;
    assert!((played..=played + 40).contains(&audio.duration_ms), "{audio:?}");
    assert!(audio.gaps.is_empty() && audio.lost.is_empty() && session.video.is_none());
    Ok(())
}
