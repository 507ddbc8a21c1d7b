//! `tauri-driver`, by which tests and measurements reach into the app's window.

use std::path::PathBuf;

use crate::run;
use crate::workspace::Workspace;

const VERSION: &str = "2.1.0";

/// The variable in which the tests look for the program; `testkit::window` reads it.
pub(crate) const VARIABLE: &str = "LONGTAKE_TAURI_DRIVER";

/// Where the program is; it is built when it is not there yet.
pub(crate) fn ensure(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    // A folder for each version, so that what is there is the right one.
    let folder = workspace.target_dir().join("tools").join(format!("tauri-driver-{VERSION}"));
    let program = folder.join("bin").join("tauri-driver");
    if !program.is_file() {
        let mut install = workspace.cargo();
        install.args(["install", "--locked", "tauri-driver", "--version", VERSION, "--root"]).arg(folder);
        run::checked(&mut install)?;
    }
    Ok(program)
}
