//! `longtake`: capture and publish without a window.

mod arguments;
mod clip;
mod commands;
mod destination;
mod exit;
mod interrupts;
mod measures;
mod outcome;
mod screen;
mod status_line;
mod verify;

use std::process::ExitCode;

use crate::arguments::{Cli, Command};

fn main() -> ExitCode {
    let cli: Cli = settings::parse(Some("longtake.toml".as_ref()), "LONGTAKE_CONFIG");
    if let Err(failure) = exit::start_log(&cli.log) {
        return failure.report();
    }
    let outcome = match cli.command {
        Command::Devices(options) => commands::devices::run(&options),
        Command::Publish(options) => commands::publish::run(*options),
        Command::Resume(options) => commands::resume::run(&options),
        Command::TestConnection(options) => commands::test_connection::run(&options),
        Command::Invite(options) => commands::invite::run(&options),
        Command::Verify(options) => commands::verify::run(&options),
        Command::Load(options) => commands::load::run(*options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
