//! A browser that publishes.

use std::fs;

use anyhow::{Context, Result};
use protocol::api::SessionStatus;
use protocol::control::EventKind;
use testkit::child::Server;
use testkit::ffmpeg;

use super::{DESKTOP, browse, page, serve, until_moves};

#[test]
fn a_browser_publishes_and_is_recorded_playable() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = serve(folder.path())?;
    let [publisher, viewer] = [browse((390, 844))?, browse(DESKTOP)?];
    publisher.open(&page(&server, "/publish?room=studio"))?;
    publisher.until_is("publish", "data-phase", "ready")?;
    publisher.click("start-stop")?;
    publisher.until_is("publish", "data-phase", "live")?;

    viewer.open(&page(&server, "/watch/studio"))?;
    viewer.until_is("tile", "data-phase", "playing")?;
    until_moves(&viewer)?;
    publisher.screenshot("publish-phone")?;
    viewer.screenshot("watch-browser")?;
    publisher.until("six seconds to be recorded", |_| {
        let sessions = server.api.sessions()?;
        let video = sessions.first().and_then(|session| session.video.as_ref());
        Ok(video.is_some_and(|video| video.duration_ms > 6_000))
    })?;

    // The first press asks, the second stops.
    publisher.click("start-stop")?;
    publisher.click("start-stop")?;
    publisher.until_is("publish", "data-phase", "ready")?;
    publisher.until("the session to be complete", |_| {
        Ok(server.api.sessions()?.first().is_some_and(|session| session.status == SessionStatus::Completed))
    })?;
    viewer.until_shown("room-ended")?;

    let session = server.api.sessions()?.remove(0);
    let file = folder.path().join("recording.mp4");
    fs::write(&file, server.api.recording(session.id)?)?;
    ffmpeg::decode_silently(&file)?;
    let packets = ffmpeg::packets(&file)?;
    assert!(packets.iter().filter(|packet| packet.video).count() > 60, "pictures: {}", packets.len());
    assert!(packets.iter().filter(|packet| !packet.video).count() > 200, "sound: {}", packets.len());
    Ok(())
}

#[test]
fn a_browser_that_loses_its_connection_goes_on_with_its_session() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = serve(folder.path())?;
    let publisher = browse((390, 844))?;
    publisher.open(&page(&server, "/publish?room=studio"))?;
    publisher.until_is("publish", "data-phase", "ready")?;
    publisher.click("start-stop")?;
    publisher.until_is("publish", "data-phase", "live")?;
    let pictures = |server: &Server| -> Result<u64> {
        let sessions = server.api.sessions()?;
        Ok(sessions.first().and_then(|session| session.video.as_ref()).map_or(0, |video| video.durable_units))
    };
    publisher.until("pictures to be recorded", |_| Ok(pictures(&server)? > 30))?;

    server.process.kill()?;
    publisher.until_is("publish", "data-phase", "reconnecting")?;
    let server = Server::start(folder.path(), server.port, &[])?;
    let before = pictures(&server)?;
    publisher.until_is("publish", "data-phase", "live")?;
    publisher.until("more pictures to be recorded", |_| Ok(pictures(&server)? > before + 30))?;

    publisher.click("start-stop")?;
    publisher.click("start-stop")?;
    publisher.until("the session to be complete", |_| {
        Ok(server.api.sessions()?.first().is_some_and(|session| session.status == SessionStatus::Completed))
    })?;
    let sessions = server.api.sessions()?;
    assert_eq!(sessions.len(), 1, "one take, one recording");
    let video = sessions[0].video.as_ref().context("a picture")?;
    assert!(video.gaps.is_empty() && video.durable_units > before + 30, "{video:?}");
    assert!(video.events.iter().any(|event| event.kind == EventKind::Resumed), "{:?}", video.events);
    let file = folder.path().join("recording.mp4");
    fs::write(&file, server.api.recording(sessions[0].id)?)?;
    ffmpeg::decode_silently(&file)
}
