//! `cargo xtask app`: the app, built with its ui, and run.

use crate::packages::{self, Purpose};
use crate::workspace::Workspace;
use crate::{run, ui};

/// How to build and run the app.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Build quickly instead of for speed.
    #[arg(long)]
    debug: bool,
    /// Build and do not run.
    #[arg(long)]
    build_only: bool,
    /// The app's own arguments, such as a pairing link.
    #[arg(trailing_var_arg = true)]
    args: Vec<String>,
}

/// Builds what is stale and runs the app until its window is closed.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    packages::ensure(Purpose::Build)?;
    ui::build(workspace)?;
    let mut command = workspace.cargo();
    command.arg(if options.build_only { "build" } else { "run" });
    command.args(["--package", "longtake-app", "--bin", "longtake-app", "--features", "custom-protocol"]);
    if !options.debug {
        command.arg("--release");
    }
    if !options.build_only {
        command.arg("--").args(&options.args);
    }
    run::checked(&mut command)
}
