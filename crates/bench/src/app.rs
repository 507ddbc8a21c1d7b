//! What the app costs beside capturing and sending, and how quick and how even its picture is.
//!
//! The app runs in its window on an Xvfb, with synthetic devices and a real server. `longtake publish` does the same
//! without a window, in the same run: what the app takes above it is the price of the window.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::time::{ClockId, clock_gettime};
use testkit::child::{Running, Server, free_port, program};
use testkit::family::{self, Relative};
use testkit::window::{APP, Window};

use crate::{PictureSize, median};

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    size: PictureSize,
    /// Seconds over which processor time is counted, each time.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// How often the app is started to time its first picture.
    #[arg(long, default_value_t = 5)]
    starts: usize,
    /// Minutes of streaming over which the memory is watched.
    #[arg(long, default_value_t = 3)]
    minutes: u64,
}

const FPS: u32 = 30;
const VIDEO_BITRATE_BPS: u32 = 2_000_000;
const AUDIO_BITRATE_BPS: u32 = 64_000;

/// Connections are opened, caches filled and fonts read in this time; it is not counted.
const WARM_UP: Duration = Duration::from_secs(12);

/// The memory is read so often while it is watched.
const READINGS: u32 = 12;

/// The preview and the processor over some seconds.
struct Run {
    /// Of a core.
    cpu_percent: f64,
    fps: f64,
    latency_p50_ms: f64,
    latency_p95_ms: f64,
}

/// Measures and prints the tables.
pub(crate) fn run(options: &Options) -> Result<()> {
    println!(
        "{}×{} at {FPS} fps, 2 Mbit/s, Opus mono at 64 kbit/s, synthetic devices",
        options.size.width, options.size.height
    );
    let folder = tempfile::tempdir()?;
    write_settings(options, folder.path())?;
    // Beside the programs rather than in a temporary folder, which may be in memory and not on a disk.
    let store = tempfile::tempdir_in(std::env::current_exe()?.parent().context("a folder")?)?;
    let server = Server::start(store.path(), free_port()?, &[])?;

    let mut starts_ms = Vec::new();
    for _ in 0..options.starts {
        let window = open(folder.path(), &server)?;
        starts_ms.push(first_picture(&window)?.as_secs_f64() * 1e3);
    }
    let publish_percent = publish(options, &server)?;
    let window = open(folder.path(), &server)?;
    first_picture(&window)?;
    let previewing = watch(options, &window)?;
    window.click("start-stop")?;
    window.until_phase(&["live"])?;
    let streaming = watch(options, &window)?;
    ensure!(
        window.phases()?.iter().all(|phase| phase == "live"),
        "the stream was disturbed: {:?}",
        window.phases()?
    );
    let memory_bytes = watch_memory(options, &window)?;

    println!();
    println!("| the preview | pictures per second | capture → drawn p50 | p95 |");
    println!("| --- | ---: | ---: | ---: |");
    for (what, run) in [("while nothing is sent", &previewing), ("while streaming", &streaming)] {
        println!("| {what} | {:.1} | {:.0} ms | {:.0} ms |", run.fps, run.latency_p50_ms, run.latency_p95_ms);
    }
    println!();
    println!("| what | CPU of one core | to `longtake publish` |");
    println!("| --- | ---: | ---: |");
    for (what, percent) in [
        ("`longtake publish`: captures, encodes, sends", publish_percent),
        ("the app and its webview, previewing", previewing.cpu_percent),
        ("the app and its webview, previewing and streaming", streaming.cpu_percent),
        ("the window's part of that", streaming.cpu_percent - publish_percent),
    ] {
        println!("| {what} | {percent:.1} % | {:.2} |", percent / publish_percent);
    }
    println!();
    println!(
        "start → first picture: p50 {:.0} ms, each {starts_ms:.0?} ms",
        median(starts_ms.iter().copied())
    );
    print_memory(options, &memory_bytes);
    print_installers()
}

fn write_settings(options: &Options, folder: &Path) -> Result<()> {
    let settings = format!(
        "version = 1\n[quality]\nwidth = {}\nheight = {}\nfps = {FPS}\nvideo_bitrate_bps = {VIDEO_BITRATE_BPS}\n\
         audio_bitrate_bps = {AUDIO_BITRATE_BPS}\nchannels = 1\n",
        options.size.width, options.size.height
    );
    fs::create_dir_all(folder.join("settings"))?;
    Ok(fs::write(folder.join("settings/settings.toml"), settings)?)
}

fn open(folder: &Path, server: &Server) -> Result<Window> {
    let devices = [("LONGTAKE_CAMERA", "synthetic"), ("LONGTAKE_MICROPHONE", "synthetic")];
    Window::open(folder, &[&devices[..], &[("LONGTAKE_SERVER", &server.address())]].concat())
}

/// From the app's start to its first picture, as it is seen from outside: what WebDriver takes is in it.
fn first_picture(window: &Window) -> Result<Duration> {
    let app = window.family()?.into_iter().next().context("the app runs")?;
    window.until("the first picture", |window| {
        let class = window.attribute("preview", "class")?;
        Ok(class.is_some_and(|class| !class.split(' ').any(|word| word == "empty")))
    })?;
    let now = clock_gettime(ClockId::Boottime);
    let now = Duration::new(u64::try_from(now.tv_sec)?, u32::try_from(now.tv_nsec)?);
    Ok(now.saturating_sub(app.started()))
}

fn cpu(family: &[Relative]) -> Duration {
    family.iter().map(Relative::cpu).sum()
}

/// Watches the app for the measured time.
fn watch(options: &Options, window: &Window) -> Result<Run> {
    let cpu_percent = cpu_percent(options, || window.family())?;
    let figure =
        |name: &str| window.number("preview", name)?.with_context(|| format!("the preview tells its {name}"));
    Ok(Run {
        cpu_percent,
        fps: figure("data-fps")?,
        latency_p50_ms: figure("data-latency-p50-ms")?,
        latency_p95_ms: figure("data-latency-p95-ms")?,
    })
}

/// What a family of programs takes of one core.
fn cpu_percent(options: &Options, family: impl Fn() -> Result<Vec<Relative>>) -> Result<f64> {
    sleep(WARM_UP);
    let before = cpu(&family()?);
    sleep(Duration::from_secs(options.seconds));
    let after = cpu(&family()?);
    ensure!(after > before, "the program has ended");
    Ok((after - before).as_secs_f64() / options.seconds as f64 * 100.0)
}

/// The same without a window.
fn publish(options: &Options, server: &Server) -> Result<f64> {
    let (address, width, height) =
        (server.address(), options.size.width.to_string(), options.size.height.to_string());
    let (fps, bitrate) = (FPS.to_string(), VIDEO_BITRATE_BPS.to_string());
    let args = [
        &["publish", "--server", &address, "--camera", "synthetic", "--microphone", "synthetic"][..],
        &["--width", &width, "--height", &height, "--fps", &fps, "--video-bitrate", &bitrate, "--json"],
    ]
    .concat();
    let mut publisher = Running::start("longtake", &args, &[])?;
    let percent = cpu_percent(options, || family::of(publisher.id()))?;
    publisher.signal(rustix::process::Signal::INT)?;
    let status = publisher.wait(Duration::from_secs(60))?;
    ensure!(status.success(), "longtake publish: {status}; it said:\n{}", publisher.output());
    Ok(percent)
}

/// The memory of the app and its webview, at even intervals.
fn watch_memory(options: &Options, window: &Window) -> Result<Vec<u64>> {
    let between = Duration::from_secs(options.minutes * 60) / READINGS;
    let mut readings = Vec::new();
    for _ in 0..=READINGS {
        if !readings.is_empty() {
            sleep(between);
        }
        readings.push(window.family()?.iter().map(Relative::memory_bytes).sum::<Result<u64>>()?);
    }
    Ok(readings)
}

fn print_memory(options: &Options, readings: &[u64]) {
    let mib: Vec<f64> = readings.iter().map(|bytes| *bytes as f64 / 1_048_576.0).collect();
    let mean = mib.iter().sum::<f64>() / mib.len() as f64;
    let farthest = mib.iter().map(|reading| (reading - mean) / mean * 100.0);
    let farthest = farthest.max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(0.0);
    println!(
        "memory over {} minutes of streaming: mean {mean:.0} MiB, farthest from it {farthest:+.1} %",
        options.minutes
    );
    println!("each: {mib:.0?} MiB");
}

/// The installers that `cargo xtask dist` has made, if it has.
fn print_installers() -> Result<()> {
    let app = program(APP)?;
    let target = app.ancestors().nth(2).context("a target folder")?;
    let mut found = false;
    for profile in fs::read_dir(target)?.flatten() {
        for installer in ["deb", "rpm"].into_iter().flat_map(|kind| installers(&profile.path(), kind)) {
            let bytes = installer.metadata()?.len();
            println!("installer {}: {:.1} MB", installer.display(), bytes as f64 / 1e6);
            found = true;
        }
    }
    if !found {
        println!("no installer: `cargo xtask dist` makes one");
    }
    Ok(())
}

fn installers(profile: &Path, kind: &str) -> Vec<PathBuf> {
    let folder = fs::read_dir(profile.join("bundle").join(kind));
    let files = folder.into_iter().flatten().flatten().map(|entry| entry.path());
    files.filter(|file| file.extension().is_some_and(|extension| extension == kind)).collect()
}
