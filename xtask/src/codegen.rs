//! What the web takes from Rust, types and example bytes: written by the tests that also fail when it is stale.

use crate::run;
use crate::workspace::Workspace;

/// How to treat the generated files.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Write nothing; fail if a generated file is not what the Rust types say.
    #[arg(long)]
    check: bool,
}

/// The crates that have something for the screen, and the tests that generate it.
const GENERATORS: &[(&str, &[&str])] = &[("protocol", &["typescript"]), ("app", &["typescript", "picture"])];

/// Runs the generators.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    for (package, tests) in GENERATORS {
        let mut command = workspace.cargo();
        command.args(["test", "--package", package, "--features", "typescript"]);
        for test in *tests {
            command.args(["--test", test]);
        }
        if options.check {
            command.env_remove("UPDATE_GENERATED");
        } else {
            command.env("UPDATE_GENERATED", "1");
        }
        run::checked(&mut command)?;
    }
    Ok(())
}
