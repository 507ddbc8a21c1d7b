//! What publishing costs: the processor's time with the spool on disk beside the same without, the bytes on the wire
//! beside the media's, and how much of a link's spare bandwidth a backlog uses.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use protocol::Track;
use protocol::control::Device;
use publisher::spool::disk::{self, WhenFull};
use publisher::track::Identity;
use publisher::{Config, Publisher, Report, Storage};
use session::Feed;
use signing::SigningKey;
use testkit::child::{Server, free_ports};
use testkit::units::{self, UnitSource};
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::capture_path::{Media, MediaFiles};
use crate::link::Link;
use crate::{PictureSize, cpu, median};

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    size: PictureSize,
    /// Seconds of media for each measurement of the processor's time.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How often each is measured. The median counts: of the times, and of the ratios within one round.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Seconds of media that wait when the network comes back.
    #[arg(long, default_value_t = 600)]
    backlog: u64,
    /// What the link carries then, in bit/s.
    #[arg(long, default_value_t = 8_000_000)]
    link: u64,
}

/// The server's word must come within this time at the end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Made-up pictures of 127 kbit/s, so many times as large, are 2 Mbit/s.
const PICTURE_SCALE: usize = 16;
/// A backlog this short is what is always on its way to the disk.
const DRAINED_MS: u64 = 1_000;

/// Measures and prints the tables.
pub(crate) fn run(options: &Options) -> Result<()> {
    // Beside the programs rather than in a temporary folder, which may be in memory and not on a disk.
    let folder = tempfile::tempdir_in(std::env::current_exe()?.parent().context("a folder")?)?;
    let [port, through_link] = free_ports()?;
    let server = Server::start(&folder.path().join("server"), port, &[])?;
    let spool = Storage::Disk(disk::Settings {
        folder: folder.path().join("spool"),
        capacity_bytes: 4 << 30,
        longest: None,
        when_full: WhenFull::Stop,
    });
    let runtime = Runtime::new()?;
    let _inside = runtime.enter();

    let files = Media::make(options.size.width, options.size.height, options.seconds)?.write()?;
    let (mut in_memory, mut on_disk) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        let mut kinds = [(&mut in_memory, &Storage::Memory), (&mut on_disk, &spool)];
        // Each goes first as often as second: a machine that warms up or slows down favours neither.
        if round % 2 == 0 {
            kinds.reverse();
        }
        for (times, storage) in kinds {
            times.push(stream(&runtime, &files, server.port, storage.clone())?.0);
        }
        println!("round {round} of {}", options.rounds);
    }
    let link = Link::open(through_link, server.port, None)?;
    let (_, report) = stream(&runtime, &files, through_link, spool.clone())?;
    let wire_bytes = link.close();
    let media_bytes: u64 = report.tracks.iter().map(|track| track.status.counters.payload_bytes).sum();

    println!();
    println!(
        "{}×{} at 30 fps, 2 Mbit/s, Opus stereo at 64 kbit/s: capture, encoders, both sockets",
        options.size.width, options.size.height
    );
    println!("| what is not acknowledged waits | CPU-s per minute | ratio |");
    println!("| --- | ---: | ---: |");
    let per_minute = |times: &[f64]| median(times.iter().copied()) * 60.0 / options.seconds as f64;
    println!("| in memory | {:.2} | 1.000 |", per_minute(&in_memory));
    let ratios = on_disk.iter().zip(&in_memory).map(|(disk, memory)| disk / memory);
    println!("| in the spool on disk | {:.2} | {:.3} |", per_minute(&on_disk), median(ratios));
    println!();
    println!(
        "on the wire, upward, above TCP: {wire_bytes} bytes for {media_bytes} bytes of media, {:.4}",
        wire_bytes as f64 / media_bytes as f64
    );
    runtime.block_on(drain(options, server.port, through_link, spool))
}

/// A session of its own.
fn publisher(port: u16, storage: Storage) -> Result<Publisher> {
    let device = Device { name: "bench".to_owned(), platform: "bench".to_owned(), app: "bench".to_owned() };
    let identity = Identity::begin("bench".parse()?, device, 0, Arc::new(SigningKey::generate()?))?;
    let mut config = Config::new(format!("ws://127.0.0.1:{port}").parse()?, identity);
    config.storage = storage;
    Ok(Publisher::start(&config, &Track::ALL)?)
}

/// Captures the files and publishes them. Yields this program's CPU seconds, and how the session ended.
fn stream(runtime: &Runtime, files: &MediaFiles, port: u16, storage: Storage) -> Result<(f64, Report)> {
    let start = cpu::of_self()?;
    let publisher = publisher(port, storage)?;
    let ended = Feed::new(files.capture()?, &publisher, |_| {}).run();
    ensure!(ended.fault.is_none() && ended.failures.is_empty(), "capture failed: {ended:?}");
    let report = finish(runtime, &publisher)?;
    let spent = (cpu::of_self()? - start).as_secs_f64();
    files.ensure_whole(report.tracks.iter().map(|track| track.status.counters.units).sum())?;
    Ok((spent, report))
}

fn finish(runtime: &Runtime, publisher: &Publisher) -> Result<Report> {
    let report = runtime.block_on(async { timeout(PATIENCE, publisher.finish()).await })?;
    ensure!(report.is_whole(), "units are missing: {report:?}");
    Ok(report)
}

/// Lets units wait, opens a narrow link, and times how long they take while new ones go on.
async fn drain(options: &Options, port: u16, through_link: u16, storage: Storage) -> Result<()> {
    let publisher = publisher(through_link, storage)?;
    let mut sources = Vec::new();
    for track in Track::ALL {
        let handle = publisher.track(track).context("a track")?;
        handle.params(units::params(track))?;
        let source = UnitSource::new(track, 1).with_larger_pictures(PICTURE_SCALE);
        sources.push((handle, source.peekable()));
    }
    let until = Duration::from_secs(options.backlog);
    let mut push_until = |until: Duration| -> Result<u64> {
        let mut bytes = 0;
        for (handle, source) in &mut sources {
            while let Some(unit) = source.next_if(|unit| Duration::from_micros(unit.capture_us) < until) {
                bytes += unit.payload.len() as u64;
                handle.push(unit)?;
            }
        }
        Ok(bytes)
    };
    let backlog_bytes = push_until(until)?;
    let _link = Link::open(through_link, port, Some(options.link))?;
    let status = publisher.status();
    let is_drained = || status.borrow().tracks().all(|(_, track)| track.backlog.duration_ms < DRAINED_MS);
    // Until then no connection carried anything.
    while status.borrow().tracks().all(|(_, track)| track.counters.connections == 0) {
        sleep(Duration::from_millis(10)).await;
    }
    let (opened, mut live_bytes) = (Instant::now(), 0);
    while !is_drained() {
        sleep_until(Instant::now() + Duration::from_millis(5)).await;
        live_bytes += push_until(until + opened.elapsed())?;
    }
    let took = opened.elapsed().as_secs_f64();
    let live_bps = live_bytes as f64 * 8.0 / took;
    let drained_bps = backlog_bytes as f64 * 8.0 / took;
    let spare_bps = options.link as f64 - live_bps;
    println!(
        "{} s of media ({:.0} MB) over {:.1} Mbit/s beside {:.2} Mbit/s of new units: {took:.0} s, {:.1} % of the spare bandwidth",
        options.backlog,
        backlog_bytes as f64 / 1e6,
        options.link as f64 / 1e6,
        live_bps / 1e6,
        drained_bps / spare_bps * 100.0
    );
    let report = timeout(PATIENCE, publisher.finish()).await?;
    ensure!(report.is_whole(), "units are missing: {report:?}");
    Ok(())
}
