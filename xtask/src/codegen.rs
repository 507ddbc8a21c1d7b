//! The TypeScript types, written by the test that also fails when they are stale.

use crate::run;
use crate::workspace::Workspace;

/// How to treat the generated files.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Write nothing; fail if a generated file is not what the Rust types say.
    #[arg(long)]
    check: bool,
}

/// Runs the protocol crate's generator.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let mut command = workspace.cargo();
    command.args(["test", "--package", "protocol", "--features", "typescript", "--test", "typescript"]);
    if options.check {
        command.env_remove("UPDATE_GENERATED");
    } else {
        command.env("UPDATE_GENERATED", "1");
    }
    run::checked(&mut command)
}
