//! Measurements of Longtake, run by `cargo xtask bench`.
//!
//! Machines are noisy: each figure is a ratio to a baseline that is measured in the same run.

mod app;
mod capture_path;
mod cpu;
mod floor;
mod ingest;
mod latency;
mod link;
mod publish;
mod watch;

use clap::Parser;

#[derive(Parser)]
#[command(about = "Measurements: ratios beside a baseline in the same run")]
enum Command {
    /// The ingest server beside a WebSocket server that reads and drops.
    Ingest(ingest::Options),
    /// The capture path beside the bare encoders.
    Capture(capture_path::Options),
    /// Publishing: what the spool on disk costs, what goes over the wire, and how quick a backlog drains.
    Publish(publish::Options),
    /// Watching: what a viewer by WebRTC or HLS costs the server, and what viewers that take nothing cost the publisher.
    Watch(watch::Options),
    /// How late a viewer's browser shows what the camera sees, and how soon it shows anything.
    Latency(latency::Options),
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

/// Of the pictures that are captured, or made in their place.
#[derive(clap::Args)]
struct PictureSize {
    /// Picture width in pixels.
    #[arg(long, default_value_t = 1280)]
    width: u32,
    /// Picture height in pixels.
    #[arg(long, default_value_t = 720)]
    height: u32,
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Ingest(options) => ingest::run(&options),
        Command::Capture(options) => capture_path::run(&options),
        Command::Publish(options) => publish::run(&options),
        Command::Watch(options) => watch::run(&options),
        Command::Latency(options) => latency::run(&options),
        Command::App(options) => app::run(&options),
        Command::Floor { port } => floor::serve(port),
    }
}

/// A number of the middle; of an even count the upper one.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    percentile(values, 50)
}

/// The number below which so many of a hundred lie. There is at least one number.
fn percentile(values: impl Iterator<Item = f64>, percent: usize) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values[(values.len() * percent / 100).min(values.len() - 1)]
}
