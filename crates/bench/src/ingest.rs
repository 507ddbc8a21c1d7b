//! What ingest costs: the server with its recordings beside a floor that reads and drops.
//!
//! Both servers get the same load, one after the other, from the same load generator over the loopback
//! interface. Only the server's process is counted.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use testkit::child::{PATIENCE, Server, free_port, program, wait_until};

use crate::cpu::{self, Usage};
use crate::median;

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Publishers, each with picture and sound.
    #[arg(long, default_value_t = 20)]
    streams: u32,
    /// Seconds that are counted, after the first ones.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// How often both are measured; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Bits per second of each picture.
    #[arg(long, default_value_t = 2_000_000)]
    video_bitrate: u32,
}

/// Connections are opened and the first key frames sent in this time; it is not counted.
const WARM_UP: Duration = Duration::from_secs(5);

/// What the load generator reports, of all publishers together.
#[derive(Debug, Deserialize)]
struct LoadReport {
    ack_latency_ms: AckLatency,
    video: LoadTrack,
    audio: LoadTrack,
}

#[derive(Debug, Deserialize)]
struct LoadTrack {
    units: u64,
    durable_units: u64,
    reconnects: u64,
}

/// From a unit's sending to the ack that names it.
#[derive(Debug, Deserialize)]
struct AckLatency {
    p50: f64,
    p95: f64,
    max: f64,
}

impl LoadReport {
    fn check(&self) -> Result<()> {
        for track in [&self.video, &self.audio] {
            ensure!(track.durable_units == track.units, "units are missing: {self:?}");
            ensure!(track.reconnects == 0, "the load was disturbed: {self:?}");
        }
        Ok(())
    }
}

/// One measurement of one server.
struct Cost {
    cpu_s_per_stream_minute: f64,
    memory_bytes_per_stream: f64,
}

/// Measures and prints the table.
pub(crate) fn run(options: &Options) -> Result<()> {
    println!(
        "{} streams, 1280×720 at 30 fps, {:.1} Mbit/s and Opus at 64 kbit/s, {} s, {} rounds",
        options.streams,
        f64::from(options.video_bitrate) / 1e6,
        options.seconds,
        options.rounds
    );
    let (mut floors, mut costs, mut reports) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        let floor = measure_floor(options)?;
        let (cost, report) = measure_server(options)?;
        println!(
            "round {round}: floor {:.3}, longtake-ingest {:.3} CPU-s per stream-minute, ratio {:.2}; ack p50 {:.0} ms, p95 {:.0} ms",
            floor.cpu_s_per_stream_minute,
            cost.cpu_s_per_stream_minute,
            cost.cpu_s_per_stream_minute / floor.cpu_s_per_stream_minute,
            report.ack_latency_ms.p50,
            report.ack_latency_ms.p95,
        );
        report.check()?;
        floors.push(floor);
        costs.push(cost);
        reports.push(report);
    }
    let cpu = |costs: &[Cost]| median(costs.iter().map(|cost| cost.cpu_s_per_stream_minute));
    let memory = |costs: &[Cost]| median(costs.iter().map(|cost| cost.memory_bytes_per_stream));
    let (floor_cpu, server_cpu) = (cpu(&floors), cpu(&costs));
    println!();
    println!("| server | CPU-s per stream-minute | ratio | peak memory per stream |");
    println!("| --- | ---: | ---: | ---: |");
    println!("| read and drop | {floor_cpu:.3} | 1.00 | {:.2} MiB |", memory(&floors) / 1_048_576.0);
    println!(
        "| longtake-ingest, durable | {server_cpu:.3} | {:.2} | {:.2} MiB |",
        server_cpu / floor_cpu,
        memory(&costs) / 1_048_576.0
    );
    let of_reports = |value: fn(&LoadReport) -> f64| median(reports.iter().map(value));
    println!();
    println!(
        "unit sent → durable ack: p50 {:.0} ms, p95 {:.0} ms, max {:.0} ms",
        of_reports(|report| report.ack_latency_ms.p50),
        of_reports(|report| report.ack_latency_ms.p95),
        of_reports(|report| report.ack_latency_ms.max),
    );
    Ok(())
}

fn measure_floor(options: &Options) -> Result<Cost> {
    let port = free_port()?;
    let myself = std::env::current_exe()?;
    let mut floor = Ended(Command::new(myself).args(["floor", "--port", &port.to_string()]).spawn()?);
    let listens = || std::net::TcpStream::connect(("127.0.0.1", port)).ok();
    wait_until(PATIENCE, listens).context("the floor listens")?;
    let before = cpu::of_process(floor.0.id())?;
    let mut load = Ended(start_load(options, port, Stdio::null())?);
    let cost = watch(options, floor.0.id(), before)?;
    // The floor completes nothing, so that the load would wait for ever.
    load.0.kill()?;
    floor.0.kill()?;
    Ok(cost)
}

fn measure_server(options: &Options) -> Result<(Cost, LoadReport)> {
    // Beside the programs rather than in a temporary folder, which may be in memory and not on a disk.
    let folder = tempfile::tempdir_in(std::env::current_exe()?.parent().context("a folder")?)?;
    let server = Server::start(folder.path(), free_port()?, &[])?;
    let before = cpu::of_process(server.process.id())?;
    let load = start_load(options, server.port, Stdio::piped())?;
    let cost = watch(options, server.process.id(), before)?;
    let output = load.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "the load failed: {}\n{text}", output.status);
    let last = text.lines().last().context("the load reports")?;
    let report = serde_json::from_str(last).with_context(|| format!("a report: {last}"))?;
    ensure_recorded(folder.path(), options)?;
    Ok((cost, report))
}

/// A server that stored nothing would be cheap.
fn ensure_recorded(folder: &Path, options: &Options) -> Result<()> {
    let recorded = total_bytes(folder)?;
    let sent = u64::from(options.streams) * u64::from(options.video_bitrate) / 8 * options.seconds;
    ensure!(recorded > sent / 2, "only {recorded} bytes were recorded");
    Ok(())
}

fn total_bytes(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.metadata()?;
        sum += if kind.is_dir() { total_bytes(&entry.path())? } else { kind.len() };
    }
    Ok(sum)
}

fn start_load(options: &Options, port: u16, output: Stdio) -> Result<Child> {
    let length = format!("{}s", options.seconds + 2 * WARM_UP.as_secs());
    Command::new(program("longtake")?)
        .args(["load", "-n", &options.streams.to_string(), "--server", &format!("ws://127.0.0.1:{port}")])
        .args(["--duration", &length, "--width", "1280", "--height", "720", "--fps", "30", "--json"])
        .args(["--video-bitrate", &options.video_bitrate.to_string()])
        .stdout(output)
        .stderr(Stdio::null())
        .spawn()
        .context("longtake load starts")
}

/// Counts a process for the measured time.
fn watch(options: &Options, id: u32, idle: Usage) -> Result<Cost> {
    // The load encodes its clip before it sends anything: the count begins when the server gets work.
    wait_until(PATIENCE, || {
        let cpu = cpu::of_process(id).ok()?.cpu;
        (cpu > idle.cpu + Duration::from_millis(50)).then_some(())
    })
    .context("the load reaches the server")?;
    sleep(WARM_UP);
    let start = cpu::of_process(id)?;
    sleep(Duration::from_secs(options.seconds));
    let end = cpu::of_process(id)?;
    let streams = f64::from(options.streams);
    Ok(Cost {
        cpu_s_per_stream_minute: (end.cpu - start.cpu).as_secs_f64()
            / streams
            / (options.seconds as f64 / 60.0),
        memory_bytes_per_stream: end.peak_memory_bytes.saturating_sub(idle.peak_memory_bytes) as f64
            / streams,
    })
}

/// A child process that does not outlive the measurement.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
