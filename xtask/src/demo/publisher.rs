//! Who publishes in the demonstration: the app in its window, or the command without one.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::bail;

use super::{ROOM, ours, stop};
use crate::program::{Program, Signal};
use crate::workspace::Workspace;
use crate::{run, ui};

/// The publisher first sends what the server has not acknowledged yet.
const COMMAND_STOPS_WITHIN: Duration = Duration::from_secs(60);
/// The app ends at once; a session that is open then stays unfinished on the server.
const APP_STOPS_WITHIN: Duration = Duration::from_secs(10);

/// One of the two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Publisher {
    /// `longtake-app`: a person's tap starts the session.
    App,
    /// `longtake publish`: the session starts at once.
    Command,
}

impl Publisher {
    /// Builds it and the server.
    pub(super) fn build(self, workspace: &Workspace) -> anyhow::Result<()> {
        // The app has its screen inside; the server works without its site, and then says how to build it.
        if self == Self::App || ui::is_possible() {
            ui::build(workspace)?;
        }
        let mut command = workspace.cargo();
        command.args(["build", "--release", "--bin", "longtake-ingest"]);
        match self {
            Self::App => {
                command.args(["--package", "ingest-server", "--package", "longtake-app"]);
                command.args(["--bin", "longtake-app", "--features", "longtake-app/custom-protocol"]);
            }
            Self::Command => {
                command.args(["--bin", "longtake"]);
            }
        }
        run::checked(&mut command)
    }

    /// Starts it, to send to the server on `port`.
    pub(super) fn start(self, workspace: &Workspace, port: u16) -> anyhow::Result<Program> {
        let server = format!("ws://127.0.0.1:{port}");
        match self {
            Self::App => {
                let mut command = ours(workspace, "longtake-app");
                command.env("LONGTAKE_SERVER", server).env("LONGTAKE_ROOM", ROOM);
                // It neither reads nor changes the settings of an app that is installed here.
                command.env("LONGTAKE_CONFIG_DIR", workspace.target_dir().join("demo-app"));
                Program::start("longtake-app", &command)
            }
            Self::Command => {
                let mut command = ours(workspace, "longtake");
                command.args(["publish", "--server", &server]);
                command.args(["--room", ROOM, "--camera", "auto", "--microphone", "auto"]);
                Program::start("longtake publish", &command)
            }
        }
    }

    /// Stops it, unless it has ended.
    ///
    /// # Errors
    /// When it reported a failure or had to be killed.
    pub(super) fn stop(self, program: &mut Program) -> anyhow::Result<()> {
        match self {
            Self::Command => stop(program, Signal::Interrupt, COMMAND_STOPS_WITHIN),
            Self::App => {
                // A window has no way to answer a signal; only an end of its own tells of a failure.
                if let Some(status) = program.ended()? {
                    if !status.success() {
                        bail!("{} failed: {status}", program.name());
                    }
                    return Ok(());
                }
                program.ask_to_stop(Signal::Terminate)?;
                if program.wait(APP_STOPS_WITHIN, || false)?.is_none() {
                    program.kill()?;
                }
                Ok(())
            }
        }
    }
}

/// Whether a window can be opened here; `variable` reads the environment.
pub(super) fn has_display(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    cfg!(any(windows, target_os = "macos"))
        || ["DISPLAY", "WAYLAND_DISPLAY"]
            .iter()
            .any(|name| variable(name).is_some_and(|value| !value.is_empty()))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_display_is_what_the_environment_names() {
        let with = |name: &'static str, value: &'static str| {
            has_display(move |asked| (asked == name).then(|| value.into()))
        };
        assert!(with("DISPLAY", ":0") && with("WAYLAND_DISPLAY", "wayland-0"));
        assert!(!with("DISPLAY", "") && !with("TERM", "xterm"));
    }
}
