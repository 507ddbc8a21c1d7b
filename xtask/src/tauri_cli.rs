//! Tauri's command-line tool, which draws icons and makes installers.

use std::process::Command;

use crate::workspace::Workspace;

/// The version that fits the `tauri` crate of the app.
const VERSION: &str = "2.12.5";

/// `tauri`, to be run in the repository's top folder; npm fetches it once and keeps it in its cache.
pub(crate) fn tauri(workspace: &Workspace) -> Command {
    let mut command = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    command.current_dir(workspace.root());
    command.args(["exec", "--yes", "--package", &format!("@tauri-apps/cli@{VERSION}"), "--", "tauri"]);
    command
}
