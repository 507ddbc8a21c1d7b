//! What a seed stands for: a session, a path, two disks, and when who is killed.

use std::time::Duration;

use fastrand::Rng;
use protocol::Track;
use publisher::spool::disk::WhenFull;
use publisher::track::Pace;
use testkit::network::between;

use crate::network::{Outage, Weather};

/// Every sound track's bytes a second: 24 kbit/s.
pub(crate) const AUDIO_BYTES_PER_SECOND: u64 = 3_000;

/// A span in which a disk has a fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) start: Duration,
    pub(crate) end: Duration,
}

/// How the publisher ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// `kill -9`.
    Kill,
    /// The power goes.
    PowerCut,
}

/// A world's frame, drawn before anything happens.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    /// How long is recorded, if nothing ends it early.
    pub(crate) length: Duration,
    pub(crate) video_bytes_per_second: u64,
    pub(crate) weather: Weather,
    /// Nothing goes wrong after that.
    pub(crate) quiet_from: Duration,
    pub(crate) capacity_bytes: u64,
    pub(crate) when_full: WhenFull,
    /// What each track may hold while the publisher's disk refuses.
    pub(crate) memory_bytes: u64,
    /// The publisher's disk is full (or fails) in that span.
    pub(crate) device_trouble: Option<(Span, bool)>,
    /// From one sync of the publisher's disk to the next.
    pub(crate) sync_interval: Duration,
    pub(crate) server_full: Option<Span>,
    pub(crate) server_is_slow: bool,
    /// At which steps the server is killed, and how long it is away.
    pub(crate) server_crashes: Vec<(u64, Duration)>,
    pub(crate) publisher_crashes: Vec<(u64, Death, Duration)>,
    in_flight_bytes: Option<u64>,
}

/// A number between the two, drawn evenly from their logarithms.
fn spread(rng: &mut Rng, least: u64, most: u64) -> u64 {
    (least as f64 * (most as f64 / least as f64).powf(rng.f64())) as u64
}

fn spread_ms(rng: &mut Rng, least_ms: u64, most_ms: u64) -> Duration {
    Duration::from_millis(spread(rng, least_ms, most_ms))
}

impl Scenario {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let mut drawn = Self::draw_any(rng);
        if rng.u8(0..24) == 0 {
            drawn.only_return(rng);
        }
        drawn
    }

    /// Nothing happens but one outage, on a path that carries enough: what viewers see after it is promised.
    fn only_return(&mut self, rng: &mut Rng) {
        let start = between(rng, Duration::from_secs(1), Duration::from_secs(3));
        let is_known = rng.bool();
        // What nobody tells the publisher of it notices after 5 s.
        let end = start + spread_ms(rng, if is_known { 50 } else { 6_000 }, 15_000);
        let rate = self.needed_bytes_per_second() * rng.u64(15..20) / 10 + 1;
        self.length = end + Duration::from_secs(5);
        self.quiet_from = Duration::from_secs(60);
        self.weather.outages = vec![Outage { start, end, is_known }];
        self.weather.rates = vec![(Duration::ZERO, rate)];
        self.weather.latency = spread_ms(rng, 5, 200);
        self.weather.queue_bytes = spread(rng, 200_000, 2_000_000);
        (self.device_trouble, self.server_full, self.server_is_slow) = (None, None, false);
        (self.server_crashes, self.publisher_crashes) = (Vec::new(), Vec::new());
        self.in_flight_bytes = None;
        (self.capacity_bytes, self.memory_bytes) = (1 << 30, 64 << 20);
    }

    fn draw_any(rng: &mut Rng) -> Self {
        // In a few worlds nobody dies and the path is only too narrow: long enough for a connection to find that out.
        let is_calm = rng.u8(0..16) == 0;
        let length = match rng.u16(0..200) {
            0 => spread_ms(rng, 30_000, 300_000),
            _ if is_calm => spread_ms(rng, 15_000, 40_000),
            _ => spread_ms(rng, 500, 15_000),
        };
        let video_bytes_per_second = spread(rng, 60_000, 120_000);
        let needed = video_bytes_per_second + AUDIO_BYTES_PER_SECOND;
        let mut outages = Vec::new();
        let mut at = Duration::ZERO;
        for _ in 0..if is_calm { 0 } else { rng.u32(0..4) } {
            let start = at + between(rng, Duration::ZERO, length / 2);
            let longest_ms = if rng.bool() { 2_000 } else { 600_000 };
            let end = start + spread_ms(rng, 1, longest_ms);
            outages.push(Outage { start, end, is_known: rng.u8(0..3) == 0 });
            at = end;
        }
        let mut rates = vec![(Duration::ZERO, needed * spread(rng, 50, 2_000) / 1_000)];
        let mut changes: Vec<Duration> = (0..if is_calm { 0 } else { rng.u32(0..4) })
            .map(|_| between(rng, Duration::ZERO, length * 2))
            .collect();
        changes.sort_unstable();
        rates.extend(changes.iter().map(|change| (*change, needed * spread(rng, 50, 2_000) / 1_000)));
        let weather = Weather {
            latency: spread_ms(rng, 5, if is_calm { 200 } else { 2_000 }),
            queue_bytes: spread(rng, 12_000, 2_000_000),
            outages,
            rates,
            send_buffer_bytes: spread(rng, 16_000, 512_000),
        };
        let is_small = rng.u8(0..5) == 0;
        let device_trouble = (rng.u8(0..6) == 0).then(|| (Self::span(rng, length), rng.bool()));
        let server_full = (rng.u8(0..8) == 0).then(|| Self::span(rng, length * 2));
        let step = |rng: &mut Rng| spread(rng, 1, 6_000);
        let away = |rng: &mut Rng| spread_ms(rng, 1, 20_000);
        let server_crashes =
            (0..if is_calm { 0 } else { rng.u32(0..7) / 2 }).map(|_| (step(rng), away(rng))).collect();
        let publisher_crashes = (0..if is_calm { 0 } else { rng.u32(0..6) / 2 })
            .map(|_| {
                let death = if rng.bool() { Death::Kill } else { Death::PowerCut };
                (step(rng), death, away(rng))
            })
            .collect();
        Self {
            quiet_from: at.max(length * 2).max(Duration::from_secs(60)),
            length,
            video_bytes_per_second,
            weather,
            // No spool is smaller than a MiB: these are the two that some sessions fill, and none.
            capacity_bytes: if is_small { 1 << 20 } else { 1 << 30 },
            when_full: if rng.bool() { WhenFull::Drop } else { WhenFull::Stop },
            memory_bytes: if is_small { 100_000 } else { 64 << 20 },
            device_trouble,
            sync_interval: if rng.u8(0..6) == 0 {
                spread_ms(rng, 500, 8_000)
            } else {
                Duration::from_millis(500)
            },
            server_full,
            server_is_slow: rng.u8(0..4) == 0,
            server_crashes,
            publisher_crashes,
            in_flight_bytes: (rng.u8(0..8) == 0).then(|| rng.u64(32_768..200_000)),
        }
    }

    fn span(rng: &mut Rng, until: Duration) -> Span {
        let start = between(rng, Duration::ZERO, until);
        Span { start, end: start + spread_ms(rng, 50, 20_000) }
    }

    pub(crate) fn pace(&self, track: Track) -> Pace {
        let pace = Pace::of(track);
        Pace { in_flight_bytes: self.in_flight_bytes.unwrap_or(pace.in_flight_bytes), ..pace }
    }

    /// What the two tracks need together.
    pub(crate) fn needed_bytes_per_second(&self) -> u64 {
        self.video_bytes_per_second + AUDIO_BYTES_PER_SECOND
    }

    /// Whether nothing may be lost but by a power cut: the spool has room, and memory bridges what its disk refuses.
    pub(crate) fn is_roomy(&self) -> bool {
        self.capacity_bytes > 1 << 20
    }

    /// Whether the publisher may write as much without an ack as it does by default.
    pub(crate) fn has_default_pace(&self) -> bool {
        self.in_flight_bytes.is_none()
    }
}
