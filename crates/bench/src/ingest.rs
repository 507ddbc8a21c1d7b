//! What ingest costs: the server with its recordings beside a floor that reads and drops.
//!
//! All servers run at the same time, each with a load generator of its own over the loopback interface, so that what else the
//! machine does is the same for each. Only the servers' processes are counted.

use std::fs;
use std::io::Read as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tempfile::TempDir;
use testkit::child::{PATIENCE, free_port, program, wait_until};

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
    /// How often all are measured; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Bits per second of each picture.
    #[arg(long, default_value_t = 2_000_000)]
    video_bitrate: u32,
    /// A folder with another build's `longtake-ingest` and `longtake`, to be measured as well; may be given several times.
    #[arg(long, value_name = "FOLDER")]
    beside: Vec<PathBuf>,
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

/// A server to measure.
enum Candidate {
    /// This program's own, which reads and drops.
    Floor,
    /// The server and the load of one build.
    Build { name: String, ingest: PathBuf, longtake: PathBuf },
}

impl Candidate {
    fn all(options: &Options) -> Result<Vec<Self>> {
        let mut all = vec![
            Self::Floor,
            Self::Build {
                name: "longtake-ingest, durable".to_owned(),
                ingest: program("longtake-ingest")?,
                longtake: program("longtake")?,
            },
        ];
        all.extend(options.beside.iter().map(|folder| Self::Build {
            name: format!("the one in {}", folder.display()),
            ingest: folder.join("longtake-ingest"),
            longtake: folder.join("longtake"),
        }));
        Ok(all)
    }

    fn name(&self) -> &str {
        match self {
            Self::Floor => "read and drop",
            Self::Build { name, .. } => name,
        }
    }

    /// Starts the server, and its load.
    fn start(&self, options: &Options) -> Result<Loaded> {
        // Beside the programs rather than in a temporary folder, which may be in memory and not on a disk.
        let myself = std::env::current_exe()?;
        let folder = tempfile::tempdir_in(myself.parent().context("a folder")?)?;
        let port = free_port()?;
        let (mut server, longtake, output) = match self {
            Self::Floor => {
                let mut floor = Command::new(myself);
                floor.arg("floor");
                (floor, program("longtake")?, Stdio::null())
            }
            Self::Build { ingest, longtake, .. } => {
                let mut server = Command::new(ingest);
                server.arg("--data-dir").arg(folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
                (server, longtake.clone(), Stdio::piped())
            }
        };
        server.args(["--port", &port.to_string()]);
        let server = Ended(server.spawn().with_context(|| format!("{} starts", self.name()))?);
        let listens = || TcpStream::connect(("127.0.0.1", port)).ok();
        wait_until(PATIENCE, listens).with_context(|| format!("{} listens", self.name()))?;
        let idle = cpu::of_process(server.0.id())?;
        let load = Ended(start_load(options, &longtake, port, output)?);
        Ok(Loaded { server, load, idle, folder })
    }
}

/// A server with its load, and what it had used before.
struct Loaded {
    server: Ended,
    load: Ended,
    idle: Usage,
    folder: TempDir,
}

impl Loaded {
    fn usage(&self) -> Result<Usage> {
        cpu::of_process(self.server.0.id())
    }

    /// The load encodes its clip before it sends anything: the count begins when the server gets work.
    fn until_it_works(&self) -> Result<()> {
        let works = || (self.usage().ok()?.cpu > self.idle.cpu + Duration::from_millis(50)).then_some(());
        wait_until(PATIENCE, works).context("the load reaches the server")
    }

    /// What the load says at its end. Nothing may be missing, and everything be on the disk.
    fn report(mut self, options: &Options) -> Result<LoadReport> {
        let mut text = String::new();
        self.load.0.stdout.take().context("the load's output")?.read_to_string(&mut text)?;
        let status = self.load.0.wait()?;
        ensure!(status.success(), "the load failed: {status}\n{text}");
        let last = text.lines().last().context("the load reports")?;
        let report: LoadReport = serde_json::from_str(last).with_context(|| format!("a report: {last}"))?;
        report.check()?;
        ensure_recorded(self.folder.path(), options)?;
        Ok(report)
    }
}

/// One measurement of one server.
struct Cost {
    cpu_s_per_stream_minute: f64,
    memory_bytes_per_stream: f64,
}

impl Cost {
    fn between(start: Usage, end: Usage, idle: Usage, options: &Options) -> Self {
        let streams = f64::from(options.streams);
        let minutes = options.seconds as f64 / 60.0;
        let memory_bytes = end.peak_memory_bytes.saturating_sub(idle.peak_memory_bytes);
        Self {
            cpu_s_per_stream_minute: (end.cpu - start.cpu).as_secs_f64() / streams / minutes,
            memory_bytes_per_stream: memory_bytes as f64 / streams,
        }
    }
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
    let candidates = Candidate::all(options)?;
    let (mut rounds, mut reports) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        let (costs, report) = measure(&candidates, options)?;
        let each = candidates.iter().zip(&costs);
        let each: Vec<String> = each
            .map(|(candidate, cost)| format!("{} {:.3}", candidate.name(), cost.cpu_s_per_stream_minute))
            .collect();
        println!(
            "round {round}: CPU-s per stream-minute: {}; ack p50 {:.0} ms, p95 {:.0} ms",
            each.join(", "),
            report.ack_latency_ms.p50,
            report.ack_latency_ms.p95,
        );
        rounds.push(costs);
        reports.push(report);
    }
    let median_of = |value: &dyn Fn(&[Cost]) -> f64| median(rounds.iter().map(|costs| value(costs)));
    let ratio = |of: usize, to: usize| {
        median_of(&|costs| costs[of].cpu_s_per_stream_minute / costs[to].cpu_s_per_stream_minute)
    };
    println!();
    println!("| server | CPU-s per stream-minute | ratio | peak memory per stream |");
    println!("| --- | ---: | ---: | ---: |");
    for (at, candidate) in candidates.iter().enumerate() {
        println!(
            "| {} | {:.3} | {:.2} | {:.2} MiB |",
            candidate.name(),
            median_of(&|costs| costs[at].cpu_s_per_stream_minute),
            ratio(at, FLOOR),
            median_of(&|costs| costs[at].memory_bytes_per_stream) / 1_048_576.0,
        );
    }
    println!();
    for (at, candidate) in candidates.iter().enumerate().skip(MEASURED + 1) {
        println!("this build to {}: {:.2}", candidate.name(), ratio(MEASURED, at));
    }
    let of_reports = |value: fn(&LoadReport) -> f64| median(reports.iter().map(value));
    println!(
        "unit sent → durable ack: p50 {:.0} ms, p95 {:.0} ms, max {:.0} ms",
        of_reports(|report| report.ack_latency_ms.p50),
        of_reports(|report| report.ack_latency_ms.p95),
        of_reports(|report| report.ack_latency_ms.max),
    );
    Ok(())
}

/// Where the two stand among the candidates that every run has.
const FLOOR: usize = 0;
const MEASURED: usize = 1;

/// One round: what each candidate cost, and what the load of this build's server reports.
fn measure(candidates: &[Candidate], options: &Options) -> Result<(Vec<Cost>, LoadReport)> {
    let loaded = candidates.iter().map(|candidate| candidate.start(options)).collect::<Result<Vec<_>>>()?;
    loaded.iter().try_for_each(Loaded::until_it_works)?;
    sleep(WARM_UP);
    let starts = loaded.iter().map(Loaded::usage).collect::<Result<Vec<_>>>()?;
    sleep(Duration::from_secs(options.seconds));
    let ends = loaded.iter().map(Loaded::usage).collect::<Result<Vec<_>>>()?;
    let mut costs = Vec::new();
    let mut report = None;
    for (at, loaded) in loaded.into_iter().enumerate() {
        costs.push(Cost::between(starts[at], ends[at], loaded.idle, options));
        // The floor completes nothing, so that its load would wait for ever.
        if at != FLOOR {
            let of_this = loaded.report(options)?;
            report.get_or_insert(of_this);
        }
    }
    Ok((costs, report.context("this build is measured")?))
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

fn start_load(options: &Options, longtake: &Path, port: u16, output: Stdio) -> Result<Child> {
    // The servers get their work one after the other: the first has the longest way to the end of what is counted.
    let others = Duration::from_secs(2) * (2 + options.beside.len() as u32);
    let length = format!("{}s", options.seconds + (2 * WARM_UP + others).as_secs());
    Command::new(longtake)
        .args(["load", "-n", &options.streams.to_string(), "--server", &format!("ws://127.0.0.1:{port}")])
        .args(["--duration", &length, "--width", "1280", "--height", "720", "--fps", "30", "--json"])
        .args(["--video-bitrate", &options.video_bitrate.to_string()])
        .stdout(output)
        .stderr(Stdio::null())
        .spawn()
        .context("longtake load starts")
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
