//! `longtake load`: many publishers of made-up media, to measure a server.

use std::sync::Arc;
use std::time::Duration;

use cpu_time::ProcessTime;
use protocol::Track;
use publisher::latency::Latency;
use publisher::status::{Counters, Phase};
use publisher::track::{Identity, PushError};
use publisher::{Publisher, Report};
use serde_json::{Value, json};
use signing::SigningKey;
use tokio::time::Instant;

use super::{device, finish, publisher_config, runtime, unix_ms};
use crate::arguments::LoadOptions;
use crate::clip::Clip;
use crate::destination::Destination;
use crate::exit::{Failure, judge};
use crate::interrupts::Interrupts;
use crate::measures::clock_face;

/// The publishers start spread over this time, one GOP, so that their IDRs do not all come at once.
const SPREAD: Duration = Duration::from_secs(2);

/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// Runs the publishers and prints the report.
pub(crate) fn run(options: LoadOptions) -> Result<(), Failure> {
    let to = options.server.destination()?;
    let server = &to.server;
    if !server.is_loopback() && !options.i_run_that_server {
        let text = format!("{server} is not this machine; if you may burden it, say --i-run-that-server");
        return Err(Failure::Usage(text));
    }
    let interrupts = Interrupts::watch()?;
    eprintln!("encoding a clip of 4 s");
    let video = options.media.video(capture::CameraChoice::Synthetic);
    let audio = options.media.audio(capture::MicrophoneChoice::Synthetic);
    let clip = Arc::new(Clip::encode(&video, &audio)?);
    runtime()?.block_on(Box::pin(load(options, to, clip, interrupts)))
}

async fn load(
    options: LoadOptions,
    to: Destination,
    clip: Arc<Clip>,
    interrupts: Interrupts,
) -> Result<(), Failure> {
    let count = u32::from(options.publishers);
    eprintln!("{count} publishers stream to {} for {}", to.server, clock_face(options.duration));
    let cpu = ProcessTime::now();
    let start = Instant::now();
    // Made-up devices need not be known again.
    let key = Arc::new(SigningKey::generate().map_err(|error| Failure::Fault(error.to_string()))?);
    let mut publishers = Vec::new();
    let mut streams = Vec::new();
    for index in 0..count {
        let identity = Identity::begin(to.room.clone(), device(Some("load")), unix_ms(), Arc::clone(&key))?;
        let config = publisher_config(&options.server, &to, identity);
        let publisher = Arc::new(Publisher::start(&config, &Track::ALL)?);
        let begin = start + SPREAD * index / count;
        let stream = stream(Arc::clone(&publisher), Arc::clone(&clip), begin, options.duration);
        let timeout = options.server.finish_timeout;
        streams.push(tokio::spawn(play(stream, Arc::clone(&publisher), interrupts.clone(), timeout)));
        publishers.push(publisher);
    }
    let progress = tokio::spawn(progress(publishers, start));
    let mut reports = Vec::new();
    for stream in streams {
        let report = stream.await.map_err(|error| Failure::Fault(format!("a publisher failed: {error}")))?;
        reports.push(report.map_err(|error| Failure::Fault(error.to_string()))?);
    }
    progress.abort();
    let totals = Totals::of(&reports, cpu.elapsed(), start.elapsed(), options.duration);
    if options.json {
        println!("{}", totals.to_json());
    } else {
        println!("{}", totals.text());
    }
    judge(&reports)
}

/// Streams until the end or the first Ctrl-C, then waits for the server.
async fn play(
    stream: impl Future<Output = Result<(), PushError>>,
    publisher: Arc<Publisher>,
    mut interrupts: Interrupts,
    timeout: Duration,
) -> Result<Report, PushError> {
    tokio::select! {
        streamed = stream => streamed?,
        () = interrupts.reach(1) => {}
    }
    Ok(finish(&publisher, timeout, &mut interrupts, 2).await)
}

/// Pushes the clip's units when a camera and a microphone would have delivered them.
async fn stream(
    publisher: Arc<Publisher>,
    clip: Arc<Clip>,
    begin: Instant,
    duration: Duration,
) -> Result<(), PushError> {
    tokio::time::sleep_until(begin).await;
    let mut next = Vec::new();
    for track in Track::ALL {
        if let Some(handle) = publisher.track(track) {
            handle.params(clip.params(track))?;
            next.push((clip.unit(track, 0), track, handle));
        }
    }
    loop {
        next.sort_by_key(|(unit, ..)| unit.capture_us);
        let Some((unit, track, handle)) = next.first_mut() else { return Ok(()) };
        // A unit is there once what it holds is over.
        let ends_us = unit.capture_us + u64::from(unit.duration_90k) * 100 / 9;
        let due = Duration::from_micros(ends_us);
        if due > duration {
            return Ok(());
        }
        tokio::time::sleep_until(begin + due).await;
        let following = clip.unit(*track, unit.number + 1);
        handle.push(std::mem::replace(unit, following))?;
    }
}

/// Tells now and then how it goes.
async fn progress(publishers: Vec<Arc<Publisher>>, start: Instant) {
    loop {
        tokio::time::sleep(PROGRESS_EVERY).await;
        let reports: Vec<Report> = publishers.iter().map(|publisher| publisher.report()).collect();
        let tracks: Vec<_> = reports.iter().flat_map(|report| &report.tracks).collect();
        let live = tracks.iter().filter(|track| track.status.phase == Phase::Live).count();
        let behind_ms = tracks.iter().map(|track| track.status.backlog.duration_ms).max().unwrap_or(0);
        let durable: u64 = tracks.iter().map(|track| track.status.counters.durable_units).sum();
        let units: u64 = tracks.iter().map(|track| track.status.counters.units).sum();
        eprintln!(
            "{} {live} of {} tracks live, {durable}/{units} units durable, the slowest {:.1} s behind",
            clock_face(start.elapsed()),
            tracks.len(),
            behind_ms as f64 / 1_000.0
        );
    }
}

/// The figures of one track over all publishers.
#[derive(Debug, Default)]
struct TrackTotals {
    counters: Counters,
    reconnects: u64,
    latency: Latency,
}

/// The report.
#[derive(Debug)]
struct Totals {
    publishers: usize,
    whole: usize,
    tracks: [(Track, TrackTotals); 2],
    cpu: Duration,
    took: Duration,
    streamed: Duration,
}

impl Totals {
    fn of(reports: &[Report], cpu: Duration, took: Duration, streamed: Duration) -> Self {
        let tracks = Track::ALL.map(|track| {
            let mut totals = TrackTotals::default();
            for report in
                reports.iter().flat_map(|report| &report.tracks).filter(|report| report.track == track)
            {
                totals.add(&report.status.counters, &report.ack_latency);
            }
            (track, totals)
        });
        let whole = reports.iter().filter(|report| report.is_whole()).count();
        Self { publishers: reports.len(), whole, tracks, cpu, took, streamed }
    }

    fn stream_minutes(&self) -> f64 {
        self.publishers as f64 * self.streamed.as_secs_f64() / 60.0
    }

    fn all(&self) -> Latency {
        let mut all = Latency::default();
        self.tracks.iter().for_each(|(_, totals)| all.merge(&totals.latency));
        all
    }

    fn text(&self) -> String {
        let mut lines = vec![format!(
            "{} of {} sessions whole after {:.1} s",
            self.whole,
            self.publishers,
            self.took.as_secs_f64()
        )];
        for (track, totals) in &self.tracks {
            let counters = &totals.counters;
            lines.push(format!(
                "{track}: {} units, {} sent ({} again), {} durable, {} lost; {} reconnects; {}",
                counters.units,
                counters.sent_units,
                counters.repeated_units,
                counters.durable_units,
                counters.lost_units,
                totals.reconnects,
                latency_text(&totals.latency)
            ));
        }
        lines.push(format!("both: {}", latency_text(&self.all())));
        lines.push(format!(
            "this program used {:.2} s of processor time, {:.3} s per stream and minute",
            self.cpu.as_secs_f64(),
            self.cpu.as_secs_f64() / self.stream_minutes()
        ));
        lines.join("\n")
    }

    fn to_json(&self) -> Value {
        let mut line = json!({
            "type": "load",
            "publishers": self.publishers,
            "whole_sessions": self.whole,
            "took_ms": self.took.as_millis() as u64,
            "cpu_s": self.cpu.as_secs_f64(),
            "cpu_s_per_stream_minute": self.cpu.as_secs_f64() / self.stream_minutes(),
            "ack_latency_ms": latency_json(&self.all()),
        });
        for (track, totals) in &self.tracks {
            let counters = &totals.counters;
            line[track.name()] = json!({
                "units": counters.units,
                "payload_bytes": counters.payload_bytes,
                "sent_units": counters.sent_units,
                "sent_bytes": counters.sent_bytes,
                "repeated_units": counters.repeated_units,
                "durable_units": counters.durable_units,
                "lost_units": counters.lost_units,
                "reconnects": totals.reconnects,
                "ack_latency_ms": latency_json(&totals.latency),
            });
        }
        line
    }
}

impl TrackTotals {
    fn add(&mut self, more: &Counters, latency: &Latency) {
        let sum = &mut self.counters;
        sum.units += more.units;
        sum.payload_bytes += more.payload_bytes;
        sum.sent_units += more.sent_units;
        sum.sent_bytes += more.sent_bytes;
        sum.repeated_units += more.repeated_units;
        sum.durable_units += more.durable_units;
        sum.lost_units += more.lost_units;
        self.reconnects += u64::from(more.reconnects());
        self.latency.merge(latency);
    }
}

fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

fn latency_text(latency: &Latency) -> String {
    match (latency.percentile(0.5), latency.percentile(0.95)) {
        (Some(p50), Some(p95)) => {
            format!(
                "sent to durable p50 {:.0} ms, p95 {:.0} ms, max {:.0} ms",
                ms(p50),
                ms(p95),
                ms(latency.longest())
            )
        }
        _ => "nothing was acknowledged".to_owned(),
    }
}

fn latency_json(latency: &Latency) -> Value {
    json!({
        "p50": latency.percentile(0.5).map(ms),
        "p95": latency.percentile(0.95).map(ms),
        "max": latency.percentile(1.0).map(ms),
    })
}
