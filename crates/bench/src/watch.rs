//! What watching costs: viewers by WebRTC of one publisher, and what viewers that take nothing do to the publisher.
//!
//! The viewers are peers without a browser in this process; only the server's process is counted.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::BoxFuture;
use protocol::SessionId;
use serde::Deserialize;
use testkit::child::{PATIENCE, Server, free_port, program, wait_until};
use testkit::http::Api;
use testkit::webrtc::{Endpoint, News, Peer};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::cpu::{self, Usage};

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Viewers by WebRTC.
    #[arg(long, default_value_t = 50)]
    viewers: u32,
    /// Viewers that take nothing, beside which the publisher's acknowledgements are measured.
    #[arg(long, default_value_t = 200)]
    stalled: u32,
    /// Seconds that are counted.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Bits per second of the picture.
    #[arg(long, default_value_t = 2_000_000)]
    video_bitrate: u32,
}

/// Viewers come, and the publisher gets going, in this time; it is not counted.
const WARM_UP: Duration = Duration::from_secs(5);

/// What the load generator reports.
#[derive(Debug, Deserialize)]
struct LoadReport {
    ack_latency_ms: AckLatency,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct AckLatency {
    p50: f64,
    p95: f64,
}

/// One measurement.
struct Measured {
    cpu: Duration,
    peak_memory_bytes: u64,
    ack: AckLatency,
    /// Units that each viewer got in the counted time, the fewest of all.
    fewest_units: u64,
}

/// Measures and prints the table.
pub(crate) fn run(options: &Options) -> Result<()> {
    println!(
        "one publisher, 1280×720 at 30 fps, {:.1} Mbit/s and Opus at 64 kbit/s, {} s",
        f64::from(options.video_bitrate) / 1e6,
        options.seconds
    );
    let alone = measure(options, 0, false)?;
    let watched = measure(options, options.viewers, false)?;
    let stalled = measure(options, options.stalled, true)?;
    let due = options.seconds * 80 * 9 / 10;
    ensure!(watched.fewest_units >= due, "a viewer got only {} units", watched.fewest_units);
    let minutes = options.seconds as f64 / 60.0;
    let per = |measured: &Measured, viewers: u32| {
        (
            measured.cpu.saturating_sub(alone.cpu).as_secs_f64() / f64::from(viewers) / minutes,
            measured.peak_memory_bytes.saturating_sub(alone.peak_memory_bytes) as f64
                / f64::from(viewers)
                / 1_048_576.0,
        )
    };
    println!();
    println!("| viewers | server CPU-s | CPU-s per viewer-minute | memory per viewer | ack p50 | ack p95 |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    let row = |name: String, measured: &Measured, viewers: u32| {
        let (cpu, memory) = if viewers == 0 { (f64::NAN, f64::NAN) } else { per(measured, viewers) };
        let or_dash = |value: f64, unit: &str| {
            if value.is_nan() { "–".to_owned() } else { format!("{value:.3}{unit}") }
        };
        println!(
            "| {name} | {:.2} | {} | {} | {:.0} ms | {:.0} ms |",
            measured.cpu.as_secs_f64(),
            or_dash(cpu, ""),
            or_dash(memory, " MiB"),
            measured.ack.p50,
            measured.ack.p95
        );
    };
    row("none".to_owned(), &alone, 0);
    row(format!("{} by WHEP", options.viewers), &watched, options.viewers);
    row(format!("{} that take nothing", options.stalled), &stalled, options.stalled);
    Ok(())
}

fn measure(options: &Options, viewers: u32, is_stalled: bool) -> Result<Measured> {
    let folder = tempfile::tempdir_in(std::env::current_exe()?.parent().context("a folder")?)?;
    let bounds = ["--max-connection-rate", "0", "--max-room-viewers", "10000"];
    let server = Server::start(folder.path(), free_port()?, &bounds)?;
    let load = start_load(options, server.port)?;
    let api = Api::new(server.port);
    let has_picture = || {
        let sessions = api.sessions().ok()?;
        sessions
            .iter()
            .find(|one| one.video.as_ref().is_some_and(|video| video.durable_units > 0))
            .map(|one| one.id)
    };
    let session = wait_until(PATIENCE, has_picture).context("somebody publishes")?;
    let runtime = Runtime::new()?;
    let endpoint = Endpoint::new(([127, 0, 0, 1], server.port).into());
    let counts: Vec<Arc<AtomicU64>> = (0..viewers).map(|_| Arc::default()).collect();
    let mut tasks = JoinSet::new();
    runtime.block_on(async {
        for count in &counts {
            let mut peer = join(&endpoint, session).await?;
            peer.is_stalled = is_stalled;
            let count = Arc::clone(count);
            tasks.spawn(async move { follow(peer, &count).await });
        }
        anyhow::Ok(())
    })?;
    std::thread::sleep(WARM_UP);
    let of = |counts: &[Arc<AtomicU64>]| -> Vec<u64> {
        counts.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    };
    let (before, units_before) = (usage(&server)?, of(&counts));
    std::thread::sleep(Duration::from_secs(options.seconds));
    let (after, units_after) = (usage(&server)?, of(&counts));
    let fewest_units = units_after.iter().zip(&units_before).map(|(after, before)| after - before).min();
    runtime.block_on(tasks.shutdown());
    let output = load.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().context("the load reports")?;
    let report: LoadReport = serde_json::from_str(last).with_context(|| format!("a report: {last}"))?;
    Ok(Measured {
        cpu: after.cpu - before.cpu,
        peak_memory_bytes: after.peak_memory_bytes,
        ack: report.ack_latency_ms,
        fewest_units: fewest_units.unwrap_or(0),
    })
}

/// A viewer, on the heap: it is large for a task.
fn join(endpoint: &Endpoint, session: SessionId) -> BoxFuture<'_, Result<Box<Peer>>> {
    Box::pin(async move { Ok(Box::new(Peer::watch(endpoint, &session.to_string()).await?)) })
}

/// Watches until it is told to stop, and counts.
async fn follow(mut peer: Box<Peer>, count: &AtomicU64) -> Result<()> {
    let long = Instant::now() + Duration::from_secs(3_600);
    while let Some(news) = peer.news_until(Some(long)).await? {
        match news {
            News::Unit(_) => _ = count.fetch_add(1, Ordering::Relaxed),
            News::Closed => break,
            News::Connected | News::KeyRequest => {}
        }
    }
    Ok(())
}

fn usage(server: &Server) -> Result<Usage> {
    cpu::of_process(server.process.id())
}

fn start_load(options: &Options, port: u16) -> Result<Child> {
    // Viewers join one after another, which takes a while on a small machine.
    let length = format!("{}s", options.seconds + 8 * WARM_UP.as_secs());
    Command::new(program("longtake")?)
        .args(["load", "-n", "1", "--server", &format!("ws://127.0.0.1:{port}")])
        .args(["--duration", &length, "--width", "1280", "--height", "720", "--fps", "30", "--json"])
        .args(["--video-bitrate", &options.video_bitrate.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("longtake load starts")
}
