use std::fs;
use std::time::{Duration, Instant};

use anyhow::Result;
use protocol::api::SessionStatus;
use testkit::child::{Server, free_port};
use testkit::ffmpeg;
use testkit::window::Window;

use super::{look, only_session, open_with};

/// The two numbers of "Complete, 1,800 of 1,800".
fn counted(line: &str) -> [u64; 2] {
    let numbers: Vec<u64> = line
        .replace(',', "")
        .split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect();
    numbers.try_into().unwrap_or_else(|_| panic!("not two numbers: {line}"))
}

/// The synthetic microphone's clicks rise far above its tone.
fn until_meter_moves(window: &Window) -> Result<()> {
    let mut lowest = f64::INFINITY;
    window.until("the meter to move", |window| {
        let peak = window.number("meter", "data-peak-dbfs")?.unwrap_or(-100.0);
        if peak > -90.0 {
            lowest = lowest.min(peak);
        }
        Ok(peak > lowest + 3.0)
    })
}

#[test]
fn a_take_survives_the_death_of_the_server_and_arrives_whole() -> Result<()> {
    let (folder, store) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let mut server = Server::start(store.path(), free_port()?, &[])?;
    let window = open_with(folder.path(), &server)?;
    window.until_preview_moves()?;
    until_meter_moves(&window)?;
    look(&window, "ready")?;

    window.click("start-stop")?;
    window.until_phase(&["live"])?;
    window.until_preview_moves()?;
    until_meter_moves(&window)?;
    look(&window, "live")?;

    server.process.kill()?;
    window.until_phase(&["offline"])?;
    window.until_preview_moves()?;
    until_meter_moves(&window)?;
    look(&window, "offline")?;

    let server = Server::start(store.path(), server.port, &[])?;
    window.until_phase(&["catching_up", "live"])?;
    look(&window, "catching-up")?;
    window.until_phase(&["live"])?;

    window.hold("start-stop")?;
    window.until_phase(&["complete"])?;
    window.until_shown("session-summary", true)?;
    look(&window, "complete")?;
    assert_eq!(window.attribute("session-summary", "data-outcome")?.as_deref(), Some("complete"));

    let session = server.api.session(only_session(&server)?)?;
    assert_eq!(session.status, SessionStatus::Completed);
    let tracks = [session.video.unwrap(), session.audio.unwrap()];
    for (track, line) in tracks.iter().zip(["video-track", "audio-track"]) {
        assert!(track.units > 0 && track.finished, "{line}");
        assert_eq!(track.durable_units, track.units, "{line}");
        assert!(track.gaps.is_empty() && track.lost.is_empty(), "{line}");
        assert_eq!(counted(&window.text(line)?), [track.units; 2], "what the screen says of {line}");
    }

    let file = folder.path().join("recording.mp4");
    fs::write(&file, server.api.recording(session.id)?)?;
    ffmpeg::decode_silently(&file)?;
    let packets = ffmpeg::packets(&file)?;
    let pictures = packets.iter().filter(|packet| packet.video).count() as u64;
    assert_eq!([pictures, packets.len() as u64 - pictures], tracks.map(|track| track.units));
    Ok(())
}

#[test]
fn the_preview_stands_still_only_while_the_camera_is_off() -> Result<()> {
    let (folder, store) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let server = Server::start(store.path(), free_port()?, &[])?;
    let window = open_with(folder.path(), &server)?;
    window.until_preview_moves()?;
    let live = window.preview()?.brightness();

    window.click("camera")?;
    window.until("the camera to be off", |window| {
        Ok(window.attribute("video-track", "data-phase")?.as_deref() == Some("off"))
    })?;
    // The track's line may be painted before the last picture is gone. The stage is far darker than any picture.
    window.until("the picture to be gone", |window| Ok(window.preview()?.brightness() < live / 3.0))?;
    window.screenshot("camera-off")?;
    let still = window.preview()?;
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        assert_eq!(window.preview()?.difference(&still), 0.0, "nothing moves while the camera is off");
    }

    window.click("camera")?;
    window.until_preview_moves()
}
