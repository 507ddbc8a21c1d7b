//! `cargo xtask cross`: does the app still compile for the systems that this machine is not?
//!
//! It is about our Rust: that nothing of one system leaks into code that all share. Whether the C of the encoders builds and
//! whether a program links is left to the workflows, which have the other systems.

mod stand_in;
mod targets;

use std::time::Instant;

use anyhow::{Context, bail};

use self::stand_in::StandIn;
use self::targets::{TARGETS, Target};
use crate::packages::{self, Purpose};
use crate::workspace::Workspace;
use crate::{run, ui};

/// Which systems to check for.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Also the systems that a run of all tests leaves to the workflows.
    #[arg(long)]
    all: bool,
    /// Only this target of Rust; may be given several times.
    #[arg(long, value_name = "TRIPLE")]
    target: Vec<String>,
}

/// The app's library and what it stands on.
const CRATES: &[&str] = &["protocol", "media", "capture", "publisher", "session", "app", "longtake-app"];

/// Checks for the targets that a run of all tests includes.
pub(crate) fn step(workspace: &Workspace) -> anyhow::Result<()> {
    run(workspace, &Options { all: false, target: Vec::new() })
}

/// Checks for each wanted target; all are tried, also after one has failed.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let wanted = wanted(options)?;
    packages::ensure(Purpose::Test)?;
    let triples = wanted.iter().map(|target| target.triple);
    run::checked(std::process::Command::new("rustup").args(["target", "add"]).args(triples))
        .context("rustup brings Rust's standard library for other systems")?;
    // The app's build wants the screen that it will contain.
    ui::build(workspace)?;
    let stand_in = StandIn::install(&workspace.target_dir().join("cross"))?;
    let mut failed = Vec::new();
    for target in wanted {
        let start = Instant::now();
        let checked = check(workspace, target, &stand_in);
        println!("{}: {:.0} s", target.triple, start.elapsed().as_secs_f64());
        if let Err(error) = checked {
            println!("{error:#}");
            failed.push(target.triple);
        }
    }
    if !failed.is_empty() {
        bail!("does not compile for {}", failed.join(", "));
    }
    Ok(())
}

fn wanted(options: &Options) -> anyhow::Result<Vec<&'static Target>> {
    if options.target.is_empty() {
        return Ok(TARGETS.iter().filter(|target| options.all || target.in_every_run).collect());
    }
    let find = |triple: &String| {
        TARGETS.iter().find(|target| target.triple == triple).with_context(|| {
            let known: Vec<&str> = TARGETS.iter().map(|target| target.triple).collect();
            format!("{triple} is none of {}", known.join(", "))
        })
    };
    options.target.iter().map(find).collect()
}

fn check(workspace: &Workspace, target: &Target, stand_in: &StandIn) -> anyhow::Result<()> {
    let mut command = workspace.cargo();
    command.args(["clippy", "--lib", "--target", target.triple]);
    for name in CRATES {
        command.args(["--package", name]);
    }
    command.args(["--", "-D", "warnings"]);
    for (name, value) in stand_in.environment(target) {
        command.env(name, value);
    }
    run::checked(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn triples(all: bool, target: &[&str]) -> anyhow::Result<Vec<&'static str>> {
        let target = target.iter().map(|triple| (*triple).to_owned()).collect();
        Ok(wanted(&Options { all, target })?.into_iter().map(|target| target.triple).collect())
    }

    #[test]
    fn all_targets_are_more_than_those_of_every_run_and_one_can_be_asked_for() {
        let every = triples(false, &[]).expect("known");
        let all = triples(true, &[]).expect("known");
        assert!(every.len() < all.len() && every.iter().all(|triple| all.contains(triple)));
        assert_eq!(triples(false, &["aarch64-apple-ios"]).expect("known"), ["aarch64-apple-ios"]);
        let error = triples(false, &["z80"]).expect_err("unknown");
        assert!(error.to_string().contains("aarch64-linux-android"), "{error}");
    }
}
