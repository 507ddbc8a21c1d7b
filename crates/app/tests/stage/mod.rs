//! An app with synthetic devices, a folder of its own, and patience.
#![allow(dead_code)] // Each test binary uses a part of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use app::api::{Quality, SettingsChange, Source, State, TrackPhase};
use app::{App, FileTokens, Options, Overrides};
use tempfile::TempDir;
use testkit::child::PATIENCE;
use tokio::time::timeout;

/// Small pictures, so that several tests fit on a machine.
pub(crate) const SMALL: Quality = Quality {
    width: 320,
    height: 180,
    fps: 30,
    video_bitrate_bps: 400_000,
    audio_bitrate_bps: 40_000,
    channels: 1,
};

/// Options with the settings in `folder` and synthetic devices for this run.
pub(crate) fn options(folder: &Path) -> Options {
    let overrides = Overrides {
        camera: Some(Source::Synthetic),
        microphone: Some(Source::Synthetic),
        ..Overrides::default()
    };
    Options {
        folder: folder.to_owned(),
        spool: folder.join("spool"),
        tokens: Arc::new(FileTokens::new(folder)),
        overrides,
        notices: Vec::new(),
        local_ports: Vec::new(),
        version: "0.0.0".to_owned(),
    }
}

/// An app that sends small pictures to `server`, and the folder of its settings.
pub(crate) async fn app_for(server: &str) -> Result<(App, TempDir)> {
    let folder = tempfile::tempdir()?;
    let app = App::start(options(folder.path())).map_err(to_error)?;
    let change =
        SettingsChange { server: Some(server.to_owned()), quality: Some(SMALL), ..SettingsChange::default() };
    app.change_settings(change).await.map_err(to_error)?;
    Ok((app, folder))
}

/// A problem as a test's failure.
pub(crate) fn to_error(problem: app::api::Problem) -> anyhow::Error {
    anyhow::anyhow!("{problem:?}")
}

/// Waits for a state of this kind.
pub(crate) async fn until(app: &App, what: &str, reached: impl Fn(&State) -> bool) -> Result<State> {
    let mut states = app.state();
    let found =
        timeout(PATIENCE, states.wait_for(reached)).await.map(|found| found.map(|state| state.clone()));
    match found {
        Ok(state) => state.with_context(|| format!("the app ended before it was {what}")),
        Err(_) => anyhow::bail!("not {what} within {PATIENCE:?}: {:#?}", app.state().borrow().session),
    }
}

/// Whether both tracks' phases are of this kind.
pub(crate) fn both(state: &State, is: impl Fn(&TrackPhase) -> bool) -> bool {
    state.session.as_ref().is_some_and(|session| {
        [&session.video, &session.audio].into_iter().flatten().filter(|track| is(&track.phase)).count() == 2
    })
}

pub(crate) async fn until_live(app: &App) -> Result<State> {
    until(app, "live", |state| both(state, |phase| *phase == TrackPhase::Live)).await
}

/// Waits for a picture that is newer than any before.
pub(crate) async fn new_picture(app: &App) -> Result<()> {
    let preview = app.preview();
    drop(preview.take());
    let picture = tokio::task::spawn_blocking(move || preview.wait(Duration::from_secs(20))).await?;
    picture.map(drop).context("the preview stands still")
}
