//! Live by WebRTC, live by HLS, and what was recorded.

use anyhow::Result;
use rustix::process::Signal;
use testkit::child::{PATIENCE, Server};

use super::{DESKTOP, browse, browse_with, page, publish, serve, until_fluent, until_moves};

#[test]
fn a_link_shows_the_live_picture_with_sound_by_webrtc() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = serve(folder.path())?;
    let (_publisher, session) = publish(&server, "studio", 1)?;
    let browser = browse(DESKTOP)?;
    browser.open(&page(&server, "/watch/studio"))?;
    browser.until_is("tile", "data-phase", "playing")?;
    assert_eq!(browser.attribute("tile", "data-transport")?.as_deref(), Some("webrtc"));
    assert_eq!(browser.attribute("tile", "data-session")?, Some(session.to_string()));
    until_fluent(&browser)?;
    browser.until_is("tile", "data-over-tcp", "false")?;
    browser.screenshot("watch-webrtc")?;

    browser.click("sound-on")?;
    browser.until_is("tile", "data-speaking", "true")?;
    assert_eq!(browser.look("video", "found.muted")?, false);
    Ok(())
}

#[test]
fn a_browser_without_udp_plays_by_webrtc_over_tcp() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = serve(folder.path())?;
    let (_publisher, _) = publish(&server, "studio", 1)?;
    let browser = browse_with(DESKTOP, &["--webrtc-ip-handling-policy=disable_non_proxied_udp"])?;
    browser.open(&page(&server, "/watch/studio"))?;
    browser.until_is("tile", "data-phase", "playing")?;
    assert_eq!(browser.attribute("tile", "data-transport")?.as_deref(), Some("webrtc"));
    browser.until_is("tile", "data-over-tcp", "true")?;
    until_fluent(&browser)?;
    assert_eq!(browser.attribute("tile", "data-transport")?.as_deref(), Some("webrtc"));
    browser.screenshot("watch-webrtc-over-tcp")?;
    Ok(())
}

#[test]
fn where_webrtc_is_not_wanted_hls_plays_with_sound() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = serve(folder.path())?;
    let (_publisher, _) = publish(&server, "studio", 1)?;
    let browser = browse(DESKTOP)?;
    browser.open(&page(&server, "/watch/studio?transport=hls"))?;
    browser.until_is("tile", "data-transport", "hls")?;
    browser.until_is("tile", "data-phase", "playing")?;
    until_fluent(&browser)?;
    browser.click("sound-on")?;
    let heard = |browser: &testkit::browser::Browser| -> Result<f64> {
        Ok(browser.look("video", "found.webkitAudioDecodedByteCount")?.as_f64().unwrap_or(0.0))
    };
    let before = heard(&browser)?;
    browser.until("sound to be decoded", |browser| Ok(heard(browser)? > before))?;
    browser.screenshot("watch-hls")?;
    Ok(())
}

#[test]
fn a_session_that_has_just_begun_plays_by_hls_at_the_first_attempt() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = serve(folder.path())?;
    let browser = browse(DESKTOP)?;
    browser.open(&page(&server, "/watch/studio?transport=hls"))?;
    browser.until_is("watch", "data-phase", "open")?;
    let (_publisher, session) = publish(&server, "studio", 1)?;
    browser.until_is("tile", "data-phase", "playing")?;
    // Each attempt asks for the playlist of the tracks once.
    let asked = format!(
        "return performance.getEntriesByType('resource').filter(({{ name }}) => name.endsWith('/hls/{session}/index.m3u8')).length"
    );
    assert_eq!(browser.run(&asked, Vec::new())?, 1);
    Ok(())
}

#[test]
fn a_recording_plays_and_seeks() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = serve(folder.path())?;
    let (mut publisher, session) = publish(&server, "studio", 1)?;
    let browser = browse(DESKTOP)?;
    browser.open(&page(&server, "/"))?;
    browser.until_shown("room")?;
    browser.until("eight seconds to be recorded", |_| {
        let video = server.api.session(session).ok().and_then(|session| session.video);
        Ok(video.is_some_and(|video| video.duration_ms > 8_000))
    })?;
    browser.screenshot("wall")?;
    publisher.signal(Signal::INT)?;
    publisher.wait(PATIENCE)?;

    browser.until_shown("recording-row")?;
    browser.click("recording-row")?;
    browser.until_is("completeness", "data-mark", "complete")?;
    browser.until("the recording to be open", |browser| {
        Ok(browser.look("video", "found.readyState >= 2")? == true)
    })?;
    assert_eq!(browser.attribute("recording", "data-transport")?.as_deref(), Some("hls"));
    // As the slider does when somebody drags it.
    browser
        .look("seek", "(found.value = 6000, found.dispatchEvent(new Event('input', { bubbles: true })))")?;
    browser.until("the picture at six seconds", |browser| {
        Ok(browser.look("video", "!found.seeking && found.readyState >= 2 && found.currentTime >= 5.9")?
            == true)
    })?;
    browser.look("video", "(found.muted = true, found.play(), true)")?;
    until_moves(&browser)?;
    browser.until("time to pass", |browser| Ok(browser.look("video", "found.currentTime > 6.5")? == true))?;
    browser.screenshot("recording")?;
    Ok(())
}

#[test]
fn viewers_recover_when_the_server_comes_back() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = serve(folder.path())?;
    let (_publisher, _) = publish(&server, "studio", 1)?;
    let browser = browse(DESKTOP)?;
    browser.open(&page(&server, "/watch/studio"))?;
    browser.until_is("tile", "data-phase", "playing")?;
    until_moves(&browser)?;

    server.process.kill()?;
    browser.until_is("watch", "data-phase", "reconnecting")?;
    let _server = Server::start(folder.path(), server.port, &[])?;
    browser.until_is("watch", "data-phase", "open")?;
    browser.until_is("tile", "data-status", "active")?;
    browser.until_is("tile", "data-phase", "playing")?;
    until_fluent(&browser)
}
