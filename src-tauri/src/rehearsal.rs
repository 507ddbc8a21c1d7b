//! An app with synthetic devices, for tests.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use app::api::Source;
use app::{App, FileTokens, Options, Overrides};
use tauri::async_runtime;
use tempfile::TempDir;

/// An app, and the folder of its settings.
pub(crate) fn app() -> (App, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let overrides = Overrides {
        camera: Some(Source::Synthetic),
        microphone: Some(Source::Synthetic),
        ..Overrides::default()
    };
    let options = Options {
        folder: folder.path().to_owned(),
        spool: folder.path().join("spool"),
        tokens: Arc::new(FileTokens::new(folder.path())),
        overrides,
        notices: Vec::new(),
        local_ports: Vec::new(),
        version: "0.0.0".to_owned(),
    };
    (async_runtime::block_on(async { App::start(options) }).unwrap(), folder)
}
