//! The shell: a window around [`app::App`].
//!
//! It holds no logic of its own: a command makes one call on the [`App`] handle, and the screen is told what the app
//! publishes.
// What `mobile_entry_point` makes has no documentation.
#![cfg_attr(mobile, allow(missing_docs))]

mod closing;
pub mod commands;
mod links;
mod log;
mod pictures;
#[cfg(test)]
mod rehearsal;
mod room_media;
mod single_instance;
mod updates;

use std::path::PathBuf;
use std::sync::Arc;

use app::{App, FileTokens, Options, SystemTokens, TokenStore};
use tauri::{Builder, Manager, RunEvent, Runtime};

use crate::pictures::Pictures;
use crate::updates::Updates;

/// Names another folder for the settings, which are then wholly in it: for kiosks and for tests.
const CONFIG_DIR: &str = "LONGTAKE_CONFIG_DIR";

/// Opens the window and returns when it is closed.
#[cfg_attr(mobile, tauri::mobile_entry_point)]
pub fn run() {
    log::start();
    let builder = with_commands(single_instance::on(Builder::default()))
        .plugin(tauri_plugin_deep_link::init())
        .plugin(tauri_plugin_clipboard_manager::init())
        .setup(|tauri| {
            open_app(tauri)?;
            links::follow(tauri.handle());
            Ok(())
        })
        .on_window_event(closing::on_window_event);
    match builder.build(tauri::generate_context!()) {
        Ok(tauri) => tauri.run(|handle, event| {
            if let RunEvent::ExitRequested { code, api, .. } = event {
                closing::on_exit_requested(handle, code, &api);
            }
        }),
        Err(error) => {
            tracing::error!("the app cannot start: {error}");
            std::process::exit(1);
        }
    }
}

/// The commands that the screen may call, and what they need besides an [`App`].
#[must_use]
pub fn with_commands<R: Runtime>(builder: Builder<R>) -> Builder<R> {
    let builder = builder.manage(Updates::default()).manage(Pictures::default());
    room_media::serve(builder).invoke_handler(tauri::generate_handler![
        commands::screen::watch,
        commands::screen::preview,
        commands::screen::preview_shown,
        commands::screen::copy_text,
        commands::inputs::devices,
        commands::inputs::set_muted,
        commands::inputs::set_camera_on,
        commands::room::open_room,
        commands::room::close_room,
        commands::room::say,
        commands::room::invite,
        commands::session::start,
        commands::session::stop,
        commands::session::reconnect,
        commands::session::dismiss,
        commands::session::close,
        commands::settings::change_settings,
        commands::settings::dismiss_notice,
        commands::settings::pair,
        commands::settings::test_connection,
        commands::settings::use_local_server,
    ])
}

// Not `start_app`: on iOS `mobile_entry_point` makes a function of that name.
fn open_app<R: Runtime>(tauri: &tauri::App<R>) -> Result<(), Box<dyn std::error::Error>> {
    let own_folder = own_folder();
    let tokens = |folder: &PathBuf| -> Arc<dyn TokenStore> {
        match own_folder.is_some() {
            true => Arc::new(FileTokens::new(folder)),
            false => Arc::new(SystemTokens::new(folder)),
        }
    };
    let folder = own_folder.clone().map_or_else(|| tauri.path().app_config_dir(), Ok)?;
    let tokens = tokens(&folder);
    let version = tauri.package_info().version.to_string();
    let mut options = Options::from_environment(folder, tokens, &version, |name| std::env::var(name).ok());
    if own_folder.is_none() {
        // Gigabytes may wait there, which belong neither among settings nor on another machine.
        options.spool = tauri.path().app_local_data_dir()?.join("spool");
    }
    // Tauri's runtime is tokio's, but this thread is not in it.
    let app = tauri::async_runtime::block_on(async { App::start(options) });
    let app = app.map_err(|problem| problem.message)?;
    tauri.manage(app);
    closing::close_when_allowed(tauri.handle());
    Ok(())
}

/// The folder that the environment names for the settings, if it does.
fn own_folder() -> Option<PathBuf> {
    std::env::var_os(CONFIG_DIR).filter(|folder| !folder.is_empty()).map(PathBuf::from)
}
