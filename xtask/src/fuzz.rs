//! Fuzzing on the stable toolchain: coverage-guided, without sanitizers, which would need a nightly compiler.

use anyhow::bail;

use crate::packages::{self, Purpose};
use crate::run;
use crate::workspace::Workspace;

/// Where the targets are.
const FOLDER: &str = "crates/fuzz";

/// What to fuzz and for how long.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How long to run each target.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,
    /// Only this target.
    target: Option<String>,
}

/// Runs each target one after the other; the first crash ends it with an error that names the input.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    packages::ensure(Purpose::Build)?;
    if !run::succeeds(workspace.cargo().args(["fuzz", "--version"])) {
        run::checked(workspace.cargo().args(["install", "cargo-fuzz", "--locked"]))?;
    }
    let known = run::output(workspace.cargo().args(["fuzz", "list", "--fuzz-dir", FOLDER]))?;
    let targets: Vec<&str> =
        known.lines().filter(|name| options.target.as_deref().is_none_or(|wanted| wanted == *name)).collect();
    if targets.is_empty() {
        bail!("no such fuzz target; there are: {}", known.trim().replace('\n', ", "));
    }
    // Not among the workspace's own builds, whose flags differ: each would evict the other.
    let made = workspace.target_dir().join("fuzz");
    for target in targets {
        let corpus = made.join("corpus").join(target);
        std::fs::create_dir_all(&corpus)?;
        run::checked(
            workspace
                .cargo()
                .args(["fuzz", "run", "--fuzz-dir", FOLDER, "--sanitizer", "none"])
                .arg("--target-dir")
                .arg(&made)
                .arg(target)
                .arg(&corpus)
                .arg("--")
                .arg(format!("-max_total_time={}", options.minutes * 60)),
        )?;
    }
    Ok(())
}

/// Builds every target, so that none rots.
pub(crate) fn build(workspace: &Workspace) -> anyhow::Result<()> {
    run::checked(workspace.cargo().args(["build", "--package", "fuzz", "--bins"]))
}
