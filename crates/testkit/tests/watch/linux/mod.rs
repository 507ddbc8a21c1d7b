//! What a viewer sees, from the link to the recording. Screenshots of the main states are kept in the folder `screenshots` of the
//! target folder.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod plays;
mod publishes;
mod rooms;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use protocol::SessionId;
use testkit::browser::Browser;
use testkit::child::{Running, Server, free_port, program};

const DESKTOP: (u32, u32) = (1280, 800);

/// A picture is live at this rate: the publisher's 30 a second, less what the edges of a measurement may miss.
const FRAMES_PER_S: f64 = 28.0;

/// A server in its folder.
fn serve(folder: &Path) -> Result<Server> {
    Server::start(folder, free_port()?, &[])
}

/// A publisher of small synthetic pictures and sound, and its session.
fn publish(server: &Server, room: &str, index: u8) -> Result<(Running, SessionId)> {
    let session = SessionId::v7(1_700_000_000_000 + u64::from(index), [index; 10]);
    let (address, id) = (server.address(), session.to_string());
    let args = [
        &["publish", "--server", &address, "--session", &id, "--room", room, "--json"][..],
        &["--camera", "synthetic", "--microphone", "synthetic", "--width", "640", "--height", "360"],
        &["--video-bitrate", "800k"],
    ]
    .concat();
    Ok((Running::start("longtake", &args, &[])?, session))
}

fn browse(size: (u32, u32)) -> Result<Browser> {
    browse_with(size, &[])
}

fn browse_with(size: (u32, u32), flags: &[&str]) -> Result<Browser> {
    Browser::start_with(&screenshots()?, size, flags)
}

fn page(server: &Server, path: &str) -> String {
    format!("http://127.0.0.1:{}{path}", server.port)
}

/// Beside the profiles in the target folder, so that they outlive the test.
fn screenshots() -> Result<PathBuf> {
    let server = program("longtake-ingest")?;
    let target = server.parent().and_then(Path::parent).context("a profile lies in the target folder")?;
    Ok(target.join("screenshots"))
}

/// Pictures that the first tile has shown, and when, in ms of the page's clock.
fn frames(browser: &Browser) -> Result<(f64, f64)> {
    let look = "[found.getVideoPlaybackQuality().totalVideoFrames, performance.now()]";
    Ok(serde_json::from_value(browser.look("video", look)?).unwrap_or((0.0, 0.0)))
}

/// Waits until the picture moves as fast as it is published, over some seconds; another machine's load may spoil the first ones.
fn until_fluent(browser: &Browser) -> Result<()> {
    const WINDOW_MS: f64 = 4_000.0;
    let mut from = frames(browser)?;
    browser.until("a fluent picture", |browser| {
        let now = frames(browser)?;
        if now.0 < from.0 || now.1 - from.1 < WINDOW_MS {
            return Ok(false);
        }
        let rate = (now.0 - from.0) / (now.1 - from.1) * 1000.0;
        from = now;
        Ok(rate >= FRAMES_PER_S)
    })
}

/// Waits until another picture is shown than now.
fn until_moves(browser: &Browser) -> Result<()> {
    let (before, _) = frames(browser)?;
    browser.until("the picture to move", |browser| {
        let (now, _) = frames(browser)?;
        Ok(now > before)
    })
}
