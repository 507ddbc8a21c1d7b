//! Measurements of Longtake, run by `cargo xtask bench`.
//!
//! Machines are noisy: each figure is a ratio to a baseline that is measured in the same run.

mod app;
mod capture_path;
mod cpu;
mod floor;
mod ingest;

use clap::Parser;

#[derive(Parser)]
#[command(about = "Measurements: ratios beside a baseline in the same run")]
enum Command {
    /// The ingest server beside a WebSocket server that reads and drops.
    Ingest(ingest::Options),
    /// The capture path beside the bare encoders.
    Capture(capture_path::Options),
    /// The app in its window beside `longtake publish`, which has none.
    App(app::Options),
    /// The baseline of `ingest`: reads and drops, until it is stopped.
    #[command(hide = true)]
    Floor {
        /// Port of the loopback interface.
        #[arg(long)]
        port: u16,
    },
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Ingest(options) => ingest::run(&options),
        Command::Capture(options) => capture_path::run(&options),
        Command::App(options) => app::run(&options),
        Command::Floor { port } => floor::serve(port),
    }
}
