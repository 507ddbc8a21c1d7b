//! `cargo xtask torture`: the long form of what `cargo xtask test` runs for a short time.

use crate::packages::{self, Purpose};
use crate::run;
use crate::workspace::Workspace;

/// How long to torture.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How often the server is killed while four publishers stream to it, then how often publisher, server or both are,
    /// and how often the power of either is cut.
    #[arg(long, default_value_t = 200)]
    kills: u64,
    /// How long each break of a slow link lasts, in s.
    #[arg(long, default_value_t = 20)]
    outage_seconds: u64,
    /// How many seeds the simulated network has.
    #[arg(long, default_value_t = 200_000)]
    seeds: u64,
    /// How long a microphone of a real sound server is compared with the clock, in s.
    #[arg(long, default_value_t = 600)]
    sound_seconds: u64,
}

/// Runs the simulation, the crash tests and the faults of the test kit, and the sound server's test of capture, with these numbers.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    packages::ensure(Purpose::Test)?;
    run::checked(workspace.cargo().args([
        "build",
        "--package",
        "longtake",
        "--package",
        "ingest-server",
        "--bins",
    ]))?;
    run::checked(
        workspace
            .cargo()
            .args([
                "test",
                "--package",
                "testkit",
                "--test",
                "simulation",
                "--test",
                "crash",
                "--test",
                "killed_publisher",
                "--test",
                "faults",
                "--",
                "--nocapture",
                // The programs of one test leave no room for those of another.
                "--test-threads",
                "1",
            ])
            .env("LONGTAKE_SEEDS", options.seeds.to_string())
            .env("LONGTAKE_CRASH_ROUNDS", options.kills.to_string())
            .env("LONGTAKE_OUTAGE_SECONDS", options.outage_seconds.to_string()),
    )?;
    run::checked(
        workspace
            .cargo()
            .args(["test", "--package", "capture", "--test", "pulse", "--", "--nocapture"])
            .env("LONGTAKE_SOUND_SECONDS", options.sound_seconds.to_string()),
    )
}
