//! `cargo xtask test`: everything that must hold, as named steps. All of them run, also after one has failed.

use std::time::{Duration, Instant};

use anyhow::bail;

use crate::packages::{self, Purpose};
use crate::workspace::Workspace;
use crate::{cross, fuzz, run, tauri_driver, tidy, ui, vivid};

/// Which steps to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run only this step; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Name the steps and what each proves, and run nothing.
    #[arg(long)]
    list: bool,
}

struct Step {
    name: &'static str,
    proves: &'static str,
    run: fn(&Workspace) -> anyhow::Result<()>,
}

/// From the quickest to the slowest, roughly: a slip in formatting is not reported after twenty minutes.
const STEPS: &[Step] = &[
    Step {
        name: "format",
        proves: "the sources are formatted",
        run: |workspace| run::checked(workspace.cargo().args(["fmt", "--all", "--check"])),
    },
    Step { name: "tidy", proves: "the house rules hold: layering, names, lengths", run: tidy::run },
    // Before whatever compiles the app and the server, which have what is built in them.
    Step {
        name: "ui",
        proves: "the screen and the site build, their tests pass, and every scene of them is accessible in a browser",
        run: ui::check,
    },
    Step {
        name: "clippy",
        proves: "no lint has anything to say",
        run: |workspace| {
            run::checked(workspace.cargo().args([
                "clippy",
                "--workspace",
                "--all-targets",
                "--all-features",
                "--",
                "-D",
                "warnings",
            ]))
        },
    },
    Step { name: "tests", proves: "the programs build, and all tests pass", run: tests },
    Step {
        name: "doctests",
        proves: "the examples in the documentation work",
        run: |workspace| {
            run::checked(workspace.cargo().args(["test", "--workspace", "--all-features", "--doc"]))
        },
    },
    Step {
        name: "docs",
        proves: "the documentation builds without a warning",
        run: |workspace| {
            run::checked(
                workspace
                    .cargo()
                    .args(["doc", "--workspace", "--all-features", "--no-deps"])
                    .env("RUSTDOCFLAGS", "-D warnings"),
            )
        },
    },
    Step { name: "cross", proves: "the app compiles for Android, Windows and iOS", run: cross::step },
    Step { name: "fuzz", proves: "every fuzz target builds", run: fuzz::build },
    Step {
        name: "vivid",
        proves: "a real V4L2 camera is captured, and what is encoded from it decodes",
        run: |workspace| vivid::run(workspace, &vivid::Options::default()),
    },
];

/// Runs the steps and fails if one failed. The last line on standard output is `N passed, N failed`.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    if options.list {
        for step in STEPS {
            println!("{:<10} {}", step.name, step.proves);
        }
        return Ok(());
    }
    if let Some(unknown) = options.only.iter().find(|name| STEPS.iter().all(|step| step.name != *name)) {
        let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        bail!("no step is called `{unknown}`; there are {}", names.join(", "));
    }
    packages::ensure(Purpose::Test)?;

    let mut outcomes: Vec<(&Step, Duration, anyhow::Result<()>)> = Vec::new();
    for step in STEPS {
        if !options.only.is_empty() && !options.only.iter().any(|name| name == step.name) {
            continue;
        }
        if step.name == "vivid" && !cfg!(target_os = "linux") {
            println!("\n== vivid: cannot run here; V4L2 cameras exist on Linux only ==");
            continue;
        }
        println!("\n== {}: {} ==", step.name, step.proves);
        let start = Instant::now();
        let outcome = (step.run)(workspace);
        if let Err(error) = &outcome {
            println!("failed: {error:#}");
        }
        outcomes.push((step, start.elapsed(), outcome));
    }

    println!();
    for (step, took, outcome) in &outcomes {
        let word = if outcome.is_ok() { "passed" } else { "FAILED" };
        println!("{word} {:<10} {:>7.1} s", step.name, took.as_secs_f64());
    }
    let failed = outcomes.iter().filter(|(_, _, outcome)| outcome.is_err()).count();
    println!("{} passed, {failed} failed", outcomes.len() - failed);
    if failed > 0 {
        std::process::exit(1);
    }
    Ok(())
}

/// The crates whose programs tests start.
const PROGRAMS: &[&str] = &["crates/cli", "ingest-server", "src-tauri"];

fn tests(workspace: &Workspace) -> anyhow::Result<()> {
    // The app has its screen inside, and the server its site.
    ui::build(workspace)?;
    // Tests of one crate start the programs of another. cargo builds a crate's programs for its own integration tests,
    // and each of `PROGRAMS` has some. To build them in a step of their own would compile most dependencies twice: what
    // tests depend on adds features.
    for program in PROGRAMS {
        if !workspace.root().join(program).join("tests").is_dir() {
            bail!(
                "{program} has no integration tests, so its program would not be built for those of others"
            );
        }
    }
    let mut tests = workspace.cargo();
    if run::succeeds(workspace.cargo().args(["nextest", "--version"])) {
        tests.args(["nextest", "run", "--workspace", "--all-features"]);
    } else {
        tests.args(["test", "--workspace", "--all-features", "--lib", "--bins", "--tests"]);
    }
    if cfg!(target_os = "linux") {
        tests.env(tauri_driver::VARIABLE, tauri_driver::ensure(workspace)?);
    }
    run::checked(&mut tests)
}
