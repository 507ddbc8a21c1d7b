//! Fuzzing on the stable toolchain: coverage-guided, without sanitizers, which would need a nightly compiler.

use std::path::PathBuf;

use anyhow::bail;

use crate::packages::{self, Purpose};
use crate::run;
use crate::workspace::Workspace;

/// What to fuzz and for how long.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How long to run each target.
    #[arg(long, default_value_t = 10)]
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
    let known = run::output(workspace.cargo().args(["fuzz", "list"]))?;
    let targets: Vec<&str> =
        known.lines().filter(|name| options.target.as_deref().is_none_or(|wanted| wanted == *name)).collect();
    if targets.is_empty() {
        bail!("no such fuzz target; there are: {}", known.replace('\n', " "));
    }
    for target in targets {
        run::checked(
            workspace
                .cargo()
                .args(["fuzz", "run", "--sanitizer", "none"])
                .arg("--target-dir")
                .arg(folder(workspace))
                .arg(target)
                .arg("--")
                .arg(format!("-max_total_time={}", options.minutes * 60)),
        )?;
    }
    Ok(())
}

/// Builds every target, so that none rots; plain cargo does it in seconds because it adds no instrumentation.
pub(crate) fn build(workspace: &Workspace) -> anyhow::Result<()> {
    run::checked(
        workspace
            .cargo()
            .args(["build", "--manifest-path", "fuzz/Cargo.toml", "--bins"])
            .arg("--target-dir")
            .arg(folder(workspace)),
    )
}

/// True if the repository has fuzz targets.
pub(crate) fn exists(workspace: &Workspace) -> bool {
    workspace.root().join("fuzz/Cargo.toml").exists()
}

/// Apart from the workspace's own builds: its flags differ, and each would evict the other.
fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target_dir().join("fuzz")
}
