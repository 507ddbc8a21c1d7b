//! What a person sees and does, from the first start to the recording. Screenshots of the main states are kept in the
//! folder `screenshots` of the target folder.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod closing;
mod recording;
mod room;
mod settings;

use std::fs;
use std::path::Path;

use anyhow::Result;
use protocol::SessionId;
use testkit::child::Server;
use testkit::window::Window;

/// Small pictures, so that the tests fit on a machine.
const SETTINGS: &str = "version = 1
[quality]
width = 640
height = 360
fps = 30
video_bitrate_bps = 800000
audio_bitrate_bps = 48000
channels = 1
";

const SYNTHETIC: [(&str, &str); 2] = [("LONGTAKE_CAMERA", "synthetic"), ("LONGTAKE_MICROPHONE", "synthetic")];

/// Opens the app on `folder` with synthetic devices, and waits until it shows what it captures.
fn open(folder: &Path, env: &[(&str, &str)]) -> Result<Window> {
    let settings = folder.join("settings/settings.toml");
    if !settings.exists() {
        fs::create_dir_all(folder.join("settings"))?;
        fs::write(settings, SETTINGS)?;
    }
    let window = Window::open(folder, &[&SYNTHETIC[..], env].concat())?;
    window.until_phase(&["ready"])?;
    Ok(window)
}

/// Opens the app with a server that is set for this run.
fn open_with(folder: &Path, server: &Server) -> Result<Window> {
    open(folder, &[("LONGTAKE_SERVER", &server.address())])
}

/// The only session that the server knows.
fn only_session(server: &Server) -> Result<SessionId> {
    let sessions = server.api.sessions()?;
    assert_eq!(sessions.len(), 1, "one take is one session: {sessions:?}");
    Ok(sessions[0].id)
}

/// Keeps what is seen dark and light, on a phone and on a desktop.
fn look(window: &Window, state: &str) -> Result<()> {
    for (device, width, height) in [("phone", 390, 844), ("desktop", 1280, 800)] {
        window.resize(width, height)?;
        for theme in ["light", "dark"] {
            window.look_in(theme)?;
            window.screenshot(&format!("{state}-{device}-{theme}"))?;
        }
    }
    Ok(())
}
