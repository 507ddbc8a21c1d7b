//! What watching costs: viewers of one publisher by WebRTC and by HLS, and what viewers that take nothing do to the publisher.
//!
//! The viewers are in this process and no browsers; only the server's process is counted.

mod hls;

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
use hls::HlsViewers;

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Viewers by WebRTC.
    #[arg(long, default_value_t = 50)]
    viewers: u32,
    /// Viewers that take nothing, beside which the publisher's acknowledgements are measured.
    #[arg(long, default_value_t = 200)]
    stalled: u32,
    /// Viewers by low-latency HLS.
    #[arg(long, default_value_t = 50)]
    hls: u32,
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
    /// Units or parts that each viewer got in the counted time, the fewest of all.
    fewest: u64,
}

/// Who watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nobody,
    Whep,
    /// By WHEP, and takes nothing.
    Stalled,
    Hls,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Nobody => "",
            Self::Whep => "by WHEP",
            Self::Stalled => "that take nothing",
            Self::Hls => "by low-latency HLS",
        }
    }

    /// What each viewer gets in a second: units of both tracks, or parts of 0.4 s.
    const fn due_per_s(self) -> u64 {
        match self {
            Self::Nobody | Self::Stalled => 0,
            Self::Whep => 80,
            Self::Hls => 5,
        }
    }
}

/// Measures and prints the table.
pub(crate) fn run(options: &Options) -> Result<()> {
    println!(
        "one publisher, 1280×720 at 30 fps, {:.1} Mbit/s and Opus at 64 kbit/s, {} s",
        f64::from(options.video_bitrate) / 1e6,
        options.seconds
    );
    let alone = measure(options, Kind::Nobody, 0)?;
    let kinds = [(Kind::Whep, options.viewers), (Kind::Stalled, options.stalled), (Kind::Hls, options.hls)];
    let mut rows = Vec::new();
    for (kind, viewers) in kinds.into_iter().filter(|(_, viewers)| *viewers > 0) {
        let measured = measure(options, kind, viewers)?;
        let due = options.seconds * kind.due_per_s() * 9 / 10;
        ensure!(measured.fewest >= due, "a viewer {} got only {}", kind.name(), measured.fewest);
        rows.push((kind, viewers, measured));
    }
    println!();
    println!(
        "| viewers | server CPU-s | CPU-s per viewer-minute | viewers per core | memory per viewer | ack p50 | ack p95 |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    let AckLatency { p50, p95 } = alone.ack;
    println!("| none | {:.2} | | | | {p50:.0} ms | {p95:.0} ms |", alone.cpu.as_secs_f64());
    for (kind, viewers, measured) in rows {
        let each = |sum: f64| sum / f64::from(viewers);
        let minutes = options.seconds as f64 / 60.0;
        let cpu_s = each(measured.cpu.saturating_sub(alone.cpu).as_secs_f64()) / minutes;
        let memory = each(measured.peak_memory_bytes.saturating_sub(alone.peak_memory_bytes) as f64);
        println!(
            "| {viewers} {} | {:.2} | {cpu_s:.3} | {:.0} | {:.2} MiB | {:.0} ms | {:.0} ms |",
            kind.name(),
            measured.cpu.as_secs_f64(),
            60.0 / cpu_s,
            memory / 1_048_576.0,
            measured.ack.p50,
            measured.ack.p95
        );
    }
    Ok(())
}

fn measure(options: &Options, kind: Kind, viewers: u32) -> Result<Measured> {
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
    let counts: Vec<Arc<AtomicU64>> = (0..viewers).map(|_| Arc::default()).collect();
    let (measured, fewest) = if kind == Kind::Hls {
        let viewers = HlsViewers::start(server.port, session, &counts);
        let measured = count(options, &server, &counts)?;
        viewers.end()?;
        measured
    } else {
        let runtime = Runtime::new()?;
        let mut tasks = runtime.block_on(join_all(&server, session, kind == Kind::Stalled, &counts))?;
        let measured = count(options, &server, &counts)?;
        runtime.block_on(tasks.shutdown());
        measured
    };
    let output = load.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().context("the load reports")?;
    let report: LoadReport = serde_json::from_str(last).with_context(|| format!("a report: {last}"))?;
    let Usage { cpu, peak_memory_bytes } = measured;
    Ok(Measured { cpu, peak_memory_bytes, ack: report.ack_latency_ms, fewest })
}

/// Counts the server for the measured time, and what the viewer that got least got in it.
fn count(options: &Options, server: &Server, counts: &[Arc<AtomicU64>]) -> Result<(Usage, u64)> {
    std::thread::sleep(WARM_UP);
    let now = || counts.iter().map(|count| count.load(Ordering::Relaxed)).collect::<Vec<u64>>();
    let (before, counts_before) = (usage(server)?, now());
    std::thread::sleep(Duration::from_secs(options.seconds));
    let (after, counts_after) = (usage(server)?, now());
    let fewest = counts_after.iter().zip(&counts_before).map(|(after, before)| after - before).min();
    Ok((Usage { cpu: after.cpu - before.cpu, ..after }, fewest.unwrap_or(0)))
}

/// Viewers by WHEP, one after the other.
async fn join_all(
    server: &Server,
    session: SessionId,
    is_stalled: bool,
    counts: &[Arc<AtomicU64>],
) -> Result<JoinSet<Result<()>>> {
    let endpoint = Endpoint::new(([127, 0, 0, 1], server.port).into());
    let mut tasks = JoinSet::new();
    for count in counts {
        let mut peer = join(&endpoint, session).await?;
        peer.is_stalled = is_stalled;
        let count = Arc::clone(count);
        tasks.spawn(async move { follow(peer, &count).await });
    }
    Ok(tasks)
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
