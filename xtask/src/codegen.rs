//! What is generated from Rust, types and example bytes for the web and the description of the HTTP API: written by the tests that also fail when it is stale.

use crate::run;
use crate::workspace::Workspace;

/// How to treat the generated files.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Write nothing; fail if a generated file is not what the Rust types say.
    #[arg(long)]
    check: bool,
}

/// The crates that something is generated from, the feature that this needs, and the tests that do it.
const GENERATORS: &[(&str, Option<&str>, &[&str])] = &[
    ("protocol", Some("typescript"), &["typescript"]),
    ("app", Some("typescript"), &["typescript", "picture"]),
    ("ingest-server", None, &["http_api"]),
];

/// Runs the generators.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    for (package, feature, tests) in GENERATORS {
        let mut command = workspace.cargo();
        command.args(["test", "--package", package]);
        if let Some(feature) = feature {
            command.args(["--features", feature]);
        }
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
