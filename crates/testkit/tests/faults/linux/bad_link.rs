//! A session of 2 Mbit/s through a link of 1 Mbit/s that breaks three times.
//!
//! `LONGTAKE_OUTAGE_SECONDS=n` sets how long each break lasts (`cargo xtask torture`: 20 s) and asks for the exact bounds; without
//! it they are wide, for machines that are busy with other tests.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use protocol::{SessionId, Track};
use rustix::process::Signal;
use serde_json::Value;
use testkit::child::{Running, Server, wait_until};

use super::namespace::{Break, Machines};
use super::{TOKEN, as_root, check_recording, number};

const PORT: u16 = 8000;
/// How long the link is whole before, between and after its breaks.
const WHOLE: Duration = Duration::from_secs(8);
const BREAKS: [Break; 3] = [Break::Down, Break::Silent, Break::Down];

/// From capture to the server, at most, for 95 of 100 units of sound.
const AUDIO_DELAY: Duration = Duration::from_millis(300);
/// From the end of the last break to the first picture and the first sound that are captured then.
const LIVE_AGAIN: Duration = Duration::from_secs(1);
/// What the link carries.
const LINK_BPS: f64 = 1_000_000.0;
/// Two seconds of picture have at least this share of what the link carries beside the sound: the picture is back.
const BACK_SHARE: f64 = 0.7;
const BACK_OVER: Duration = Duration::from_secs(2);

/// A unit that has arrived, by the server's trace. Times since 1970.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    track: Track,
    is_live: bool,
    bytes: u64,
    captured: Duration,
    arrived: Duration,
}

impl Arrival {
    fn delay(&self) -> Duration {
        self.arrived.saturating_sub(self.captured)
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Reads the time of a log line, `2026-11-21T16:20:42.123456Z`, on the day of `start` or the day after it.
fn time_of_line(line: &Value, start: Duration) -> Option<Duration> {
    let text = line["timestamp"].as_str()?;
    let (_, clock) = text.trim_end_matches('Z').split_once('T')?;
    let mut parts = clock.split(':');
    let (hours, minutes): (u64, u64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let seconds: f64 = parts.next()?.parse().ok()?;
    let day_s = 86_400;
    let midnight = Duration::from_secs(start.as_secs() / day_s * day_s);
    let time =
        midnight + Duration::from_secs(hours * 3_600 + minutes * 60) + Duration::from_secs_f64(seconds);
    Some(if time + Duration::from_secs(day_s / 2) < start { time + Duration::from_secs(day_s) } else { time })
}

fn arrivals(log: &str, start: Duration) -> Vec<Arrival> {
    let read = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        let number = |field: &str| line[field].as_u64();
        Some(Arrival {
            track: Track::ALL.into_iter().find(|track| line["track"] == track.name())?,
            is_live: line["lane"] == "live",
            bytes: number("bytes")?,
            captured: start + Duration::from_micros(number("capture_us")?),
            arrived: time_of_line(&line, start)?,
        })
    };
    log.lines().filter_map(read).collect()
}

/// The delay that `percent` of the units do not exceed.
fn percentile(delays: &mut [Duration], percent: usize) -> Duration {
    delays.sort_unstable();
    delays
        .get((delays.len() * percent / 100).min(delays.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

fn publish(session: SessionId) -> Result<Running> {
    let (server, id) = (Machines::address(PORT), session.to_string());
    let args = [
        &["publish", "--server", &server, "--session", &id, "--json", "--duration", "1h"][..],
        &["--camera", "synthetic", "--microphone", "synthetic", "--width", "640", "--height", "360"],
        &["--video-bitrate", "2M", "--finish-timeout", "10m"],
    ];
    Running::start(
        "longtake",
        &args.concat(),
        &[("LONGTAKE_TOKEN", TOKEN), ("LONGTAKE_WHEN_SLOW", "keep-up")],
    )
}

/// What was captured while the link was whole: from a second after a break ended to half a second before the next.
fn is_fair(captured: Duration, breaks: &[(Duration, Duration)]) -> bool {
    let margin = Duration::from_millis(500);
    breaks.iter().all(|&(from, to)| captured + margin < from || captured > to + LIVE_AGAIN)
}

/// How long after `since` the first unit arrived that was captured then.
fn live_again(arrivals: &[Arrival], track: Track, since: Duration) -> Option<Duration> {
    let fresh = since.saturating_sub(Duration::from_millis(500));
    arrivals
        .iter()
        .filter(|arrival| arrival.track == track && arrival.is_live && arrival.captured >= fresh)
        .map(|arrival| arrival.arrived.saturating_sub(since))
        .min()
}

/// The bit rate of a track's units that were captured in this time.
fn captured_bps(arrivals: &[Arrival], track: Track, from: Duration, length: Duration) -> f64 {
    let is_in =
        |arrival: &&Arrival| arrival.track == track && (from..from + length).contains(&arrival.captured);
    arrivals.iter().filter(is_in).map(|arrival| arrival.bytes as f64 * 8.0).sum::<f64>()
        / length.as_secs_f64()
}

/// How long after `since` the picture is captured again with what the link leaves it, by and large.
fn picture_back(arrivals: &[Arrival], since: Duration) -> Option<Duration> {
    let is_back = |after: &Duration| {
        let bps = |track| captured_bps(arrivals, track, since + *after, BACK_OVER);
        bps(Track::Video) >= BACK_SHARE * (LINK_BPS - bps(Track::Audio))
    };
    let looks = (WHOLE - BACK_OVER).as_millis() as u64 / 100;
    (0..looks).map(|look| Duration::from_millis(100 * look)).find(is_back)
}

/// How late the sound was and what the picture had, second by second after the breaks.
fn print_seconds(arrivals: &[Arrival], breaks: &[(Duration, Duration)]) {
    let second = Duration::from_secs(1);
    for at in 0..WHOLE.as_secs() as u32 {
        let starts = || breaks.iter().map(|&(_, since)| since + at * second);
        let is_in =
            |arrival: &&Arrival| starts().any(|from| (from..from + second).contains(&arrival.captured));
        let sound = arrivals.iter().filter(|arrival| arrival.track == Track::Audio).filter(is_in);
        let mut delays: Vec<Duration> = sound.map(Arrival::delay).collect();
        let picture = starts().map(|from| captured_bps(arrivals, Track::Video, from, second) / 1_000.0);
        println!(
            "second {} after a break: sound p50 {:?}, p95 {:?}; picture {:.0?} kbit/s",
            at + 1,
            percentile(&mut delays, 50),
            percentile(&mut delays, 95),
            picture.collect::<Vec<f64>>()
        );
    }
}

#[test]
fn a_slow_link_that_breaks_delays_no_sound_and_loses_nothing() -> Result<()> {
    as_root(|| {
        let machines = Machines::linked("1mbit", "400ms")?;
        machines.at_server(|| session_over(&machines))
    })
}

fn session_over(machines: &Machines) -> Result<()> {
    let exact = number("LONGTAKE_OUTAGE_SECONDS");
    let outage = Duration::from_secs(exact.unwrap_or(6));
    let slack = if exact.is_some() { 1 } else { 4 };
    let folder = tempfile::tempdir()?;
    let env = [
        ("STREAMING_ACCESS_TOKEN", TOKEN),
        ("LOG_FORMAT", "json"),
        ("RUST_LOG", "warn,longtake=info,ingest_server::ingest::socket=trace"),
    ];
    let server = Server::start_in(folder.path(), PORT, &[], &env)?;
    let id = SessionId::v7(1_700_000_000_000, [4; 10]);
    let mut publisher = machines.at_device(|| publish(id))?;
    let begun = wait_until(WHOLE, || publisher.output().contains("\"started\"").then_some(()));
    begun.with_context(|| publisher.output())?;

    let pass = |time: Duration| wait_until(time, || None::<()>);
    let mut breaks = Vec::new();
    for how in BREAKS {
        pass(WHOLE);
        let from = now();
        machines.cut(how)?;
        pass(outage);
        machines.mend(how)?;
        breaks.push((from, now()));
    }
    pass(WHOLE);
    publisher.signal(Signal::INT)?;
    let stopped = (now(), Instant::now());
    let status = publisher.wait(Duration::from_secs(600))?;
    ensure!(status.success(), "longtake publish: {status}; it said:\n{}", publisher.output());
    let drained_in = stopped.1.elapsed();
    let session = server.api.session(id)?;
    check_recording(&server, id)?;

    let start = Duration::from_millis(session.started_unix_ms);
    let arrivals = arrivals(&server.process.output(), start);
    let fair = |track: Track| arrivals.iter().filter(move |arrival| arrival.track == track);
    let mut report = Vec::new();
    for track in Track::ALL {
        let fair: Vec<&Arrival> = fair(track)
            .filter(|arrival| arrival.captured < stopped.0 && is_fair(arrival.captured, &breaks))
            .collect();
        let live: Vec<&&Arrival> = fair.iter().filter(|arrival| arrival.is_live).collect();
        let mut delays: Vec<Duration> = fair.iter().map(|arrival| arrival.delay()).collect();
        let mut live_delays: Vec<Duration> = live.iter().map(|arrival| arrival.delay()).collect();
        println!(
            "{track}: {} units captured while the link was whole, p50 {:?}, p95 {:?}, p99 {:?}; {} of them live, p50 {:?}, p95 {:?}",
            fair.len(),
            percentile(&mut delays, 50),
            percentile(&mut delays, 95),
            percentile(&mut delays, 99),
            live.len(),
            percentile(&mut live_delays, 50),
            percentile(&mut live_delays, 95),
        );
        let again: Vec<Option<Duration>> =
            breaks.iter().map(|&(_, since)| live_again(&arrivals, track, since)).collect();
        println!("{track}: live again after {again:?}");
        report.push((percentile(&mut delays, 95), again.last().copied().flatten()));
    }
    print_seconds(&arrivals, &breaks);
    let back: Vec<_> = breaks.iter().map(|&(_, since)| picture_back(&arrivals, since)).collect();
    println!("the picture has {BACK_SHARE} of what the link leaves it after {back:?}");
    let bytes: u64 = arrivals.iter().map(|arrival| arrival.bytes).sum();
    println!("{bytes} payload bytes arrived; the rest of them {drained_in:?} after the end");
    let [(_, video_again), (audio_delay, audio_again)] = report[..] else { unreachable!("two tracks") };
    ensure!(audio_delay <= AUDIO_DELAY * slack, "sound took {audio_delay:?} at the 95th percentile");
    for again in [video_again, audio_again] {
        ensure!(again.is_some_and(|again| again <= LIVE_AGAIN * slack), "live again after {again:?}");
    }
    Ok(())
}
