//! The developer commands: everything a person or CI does with this repository is `cargo xtask <command>`.

mod app;
mod codegen;
mod cross;
mod demo;
mod dist;
mod fuzz;
mod http;
mod icons;
mod packages;
mod program;
mod run;
mod suite;
mod tauri_cli;
mod tauri_driver;
mod tidy;
mod torture;
mod ui;
mod vivid;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use packages::Purpose;
use workspace::Workspace;

/// The developer commands of Longtake.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build, start the server, and publish from this machine's camera and microphone (synthetic ones if it has none).
    Demo(demo::Options),
    /// Build the app with its screen and run it.
    App(app::Options),
    /// Run everything that CI runs: format, lints, all tests, documentation, house rules, fuzz targets, a real camera.
    Test(suite::Options),
    /// Install the system packages that the other commands need, and do nothing else.
    Setup,
    /// Check the house rules: layering, names, lengths, and what may stand where.
    Tidy,
    /// Write what the web takes from Rust: the TypeScript types, and a picture for its tests.
    Codegen(codegen::Options),
    /// Make installers of the app for this system; with `--verify` try the Debian package on a clean system.
    Dist(dist::Options),
    /// Check that the app compiles for Android, Windows and iOS, with `--all` also for macOS.
    Cross(cross::Options),
    /// Draw every icon anew from the mark in `icons/`.
    Icons,
    /// Build the app's screen and the server's web site, from where the app and the server take them.
    Ui,
    /// Run the capture crate's tests of a real V4L2 camera, in a virtual machine that has one.
    Vivid(vivid::Options),
    /// Measure: `bench ingest`, `bench capture`, `bench publish`, `bench watch`, `bench latency` or `bench app`, with the benchmark's own arguments after it.
    Bench {
        /// What to measure, and the benchmark's own arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Kill the server at random instants under load, and simulate many broken networks: nothing acknowledged may be lost.
    Torture(torture::Options),
    /// Run the fuzz targets for a while.
    Fuzz(fuzz::Options),
}

fn main() -> ExitCode {
    match dispatch(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<()> {
    let workspace = Workspace::locate()?;
    match cli.command {
        Command::Demo(options) => demo::run(&workspace, &options),
        Command::App(options) => app::run(&workspace, &options),
        Command::Test(options) => suite::run(&workspace, &options),
        Command::Setup => packages::ensure(Purpose::Test),
        Command::Tidy => tidy::run(&workspace),
        Command::Codegen(options) => codegen::run(&workspace, &options),
        Command::Dist(options) => dist::run(&workspace, &options),
        Command::Cross(options) => cross::run(&workspace, &options),
        Command::Icons => icons::run(&workspace),
        Command::Ui => ui::build(&workspace),
        Command::Vivid(options) => vivid::run(&workspace, &options),
        Command::Bench { args } => bench(&workspace, &args),
        Command::Torture(options) => torture::run(&workspace, &options),
        Command::Fuzz(options) => fuzz::run(&workspace, &options),
    }
}

/// The measurements live in a crate of their own, so that these commands stay quick to compile.
fn bench(workspace: &Workspace, args: &[String]) -> anyhow::Result<()> {
    packages::ensure(Purpose::Test)?;
    // A measurement starts the programs that lie beside it.
    let mut programs = workspace.cargo();
    programs.args([
        "build",
        "--release",
        "--package",
        "bench",
        "--package",
        "longtake",
        "--package",
        "ingest-server",
    ]);
    // The program itself: `cargo run` would build it anew, with the features that it needs alone.
    let mut command = std::process::Command::new(workspace.target_dir().join("release").join("bench"));
    if args.first().is_some_and(|what| what == "app") {
        ui::build(workspace)?;
        programs.args(["--package", "longtake-app", "--features", "longtake-app/custom-protocol"]);
        command.env(tauri_driver::VARIABLE, tauri_driver::ensure(workspace)?);
    }
    run::checked(&mut programs)?;
    run::checked(command.args(args))
}
