//! Hours of sound from a device whose clock is off and whose blocks come late, against the session's clock.
//!
//! Each PCM sample holds the true time at which it was captured, so that a packet says how far off its own time is.
//! Hours go through a model of the stretcher that only counts; minutes through the real one, and both must agree.

use super::packets::{Crystal, Output, Packet, Packets};
use super::stretch::{Stretch, Stretcher};
use crate::encode::opus::PACKET_SAMPLES;
use crate::pcm::{PcmBlock, SAMPLE_RATE_HZ};

const BLOCK_SAMPLES: u32 = 480;
const BLOCK_S: f64 = 0.01;

/// The value of a sample grows by this much in each.
const SLOPE: f32 = 1.0 / SAMPLE_RATE_HZ as f32;

/// A stretcher of one channel that interpolates linearly, and only the two PCM samples that are looked at.
pub(super) struct Model {
    /// How far the next PCM sample lies behind the first one that was not taken, from 0 to 1.
    phase: f64,
    step: f64,
}

impl Stretch for Model {
    fn new(_: usize) -> Self {
        Self { phase: 0.0, step: 1.0 }
    }

    fn begin(&mut self) {
        self.phase = 0.0;
    }

    fn set_ppm(&mut self, ppm: f64) {
        self.step = 1.0 / (1.0 + ppm / 1e6);
    }

    fn wants(&self) -> usize {
        PACKET_SAMPLES + 4
    }

    fn packet(&mut self, samples: &[f32]) -> (Vec<f32>, usize) {
        let mut packet = vec![0.0; PACKET_SAMPLES];
        for (n, value) in packet.iter_mut().take(2).enumerate() {
            let at = self.phase + n as f64 * self.step;
            let (first, part) = (at as usize, at.fract() as f32);
            *value = samples[first] + (samples[first + 1] - samples[first]) * part;
        }
        let end = self.phase + PACKET_SAMPLES as f64 * self.step;
        self.phase = end.fract();
        (packet, end as usize)
    }

    fn inside(&self) -> usize {
        0
    }
}

/// A device, the way from it to the packets, and what was seen of them.
struct World<S> {
    rng: fastrand::Rng,
    packets: Packets<S>,
    out: Vec<Output>,
    /// How much faster than true time the device counts.
    ppm: f64,
    /// The true time, in s since the session's start: that of the device's next sample.
    now_s: f64,
    /// Until when the machine is too busy to take blocks.
    busy_until_s: f64,
    /// When the present device began to deliver.
    since_s: f64,
    last_pts_90k: Option<u64>,
    seen: Seen,
}

#[derive(Debug, Default)]
struct Seen {
    packets: u64,
    measured: u64,
    /// Sound's time less true time, in µs: the largest, the largest a minute after a beginning, and the last.
    worst_us: f64,
    settled_worst_us: f64,
    last_us: f64,
    /// How far the pitch was from the true one at most, in ppm.
    worst_pitch_ppm: f64,
    shifts_us: Vec<i64>,
    gaps_90k: Vec<u64>,
}

impl<S: Stretch> World<S> {
    fn new(ppm: f64, seed: u64) -> Self {
        println!("{ppm} ppm: LONGTAKE_SEED={seed}");
        Self {
            rng: fastrand::Rng::with_seed(seed),
            packets: Packets::new(1),
            out: Vec::new(),
            ppm,
            now_s: 3.25,
            busy_until_s: 0.0,
            since_s: 3.25,
            last_pts_90k: None,
            seen: Seen::default(),
        }
    }

    fn deliver(&mut self, seconds: f64) {
        let sample_s = (1.0 - self.ppm / 1e6) / f64::from(SAMPLE_RATE_HZ);
        for _ in 0..(seconds / BLOCK_S) as u64 {
            let samples =
                (0..BLOCK_SAMPLES).map(|n| (self.now_s + f64::from(n) * sample_s).fract() as f32).collect();
            // Scheduling, and a system that guesses when the sound was captured; now and then something keeps the
            // machine busy, and then all blocks come at once.
            let late_s = self.rng.f64() * 0.004 - 0.000_5;
            if self.rng.u32(0..400) == 0 {
                self.busy_until_s = self.now_s + self.rng.f64() * 0.15;
            }
            let capture_s = (self.now_s + late_s).max(self.busy_until_s);
            let block = PcmBlock { samples, channels: 1, capture_us: (capture_s * 1e6) as u64 };
            self.packets.push(block, &mut self.out);
            self.now_s += f64::from(BLOCK_SAMPLES) * sample_s;
            self.look();
        }
    }

    /// The device is silent.
    fn away(&mut self, seconds: f64) {
        self.now_s += seconds;
        self.since_s = self.now_s;
    }

    fn finish(mut self) -> Seen {
        self.packets.flush(&mut self.out);
        self.look();
        println!("{:?}, {:?}", self.seen, self.packets.clock_drift());
        self.seen
    }

    fn look(&mut self) {
        let pitch_ppm = self.packets.correction_ppm() + self.ppm;
        self.seen.worst_pitch_ppm = self.seen.worst_pitch_ppm.max(pitch_ppm.abs());
        for output in std::mem::take(&mut self.out) {
            match output {
                Output::Packet(packet) => self.measure(&packet),
                Output::Resynchronised { shift_us } => self.seen.shifts_us.push(shift_us),
            }
        }
    }

    fn measure(&mut self, packet: &Packet) {
        assert_eq!(packet.samples.len(), PACKET_SAMPLES);
        if let Some(last_90k) = self.last_pts_90k.replace(packet.pts_90k) {
            let gap_90k = packet.pts_90k.checked_sub(last_90k + 1_800).expect("packets do not overlap");
            if gap_90k > 0 {
                self.seen.gaps_90k.push(gap_90k);
            }
        }
        self.seen.packets += 1;
        let (value, slope) = (packet.samples[0], packet.samples[1] - packet.samples[0]);
        // Around whole seconds the value falls back to 0, and filters ring.
        if !(0.01..0.99).contains(&value) || (slope / SLOPE - 1.0).abs() > 0.5 {
            return;
        }
        let apart_s = packet.capture_us as f64 / 1e6 - f64::from(value);
        let apart_us = (apart_s - apart_s.round()) * 1e6;
        self.seen.measured += 1;
        self.seen.last_us = apart_us;
        self.seen.worst_us = self.seen.worst_us.max(apart_us.abs());
        if packet.capture_us as f64 / 1e6 > self.since_s + 120.0 {
            self.seen.settled_worst_us = self.seen.settled_worst_us.max(apart_us.abs());
        }
    }
}

/// A new one, or the one that is to be run again.
fn seed() -> u64 {
    let asked = std::env::var("LONGTAKE_SEED").ok().and_then(|seed| seed.parse().ok());
    asked.unwrap_or_else(|| fastrand::u64(..))
}

fn four_hours(ppm: f64) {
    let mut world = World::<Model>::new(ppm, seed());
    world.deliver(4.0 * 3_600.0);
    let drift = world.packets.clock_drift().unwrap();
    let seen = world.finish();
    assert!(seen.shifts_us.is_empty() && seen.gaps_90k.is_empty(), "one count from start to end");
    assert!(seen.packets.abs_diff(4 * 3_600 * 50) < 720, "{} packets", seen.packets);
    assert!(seen.measured > seen.packets * 9 / 10);
    assert!(seen.worst_us < 5_000.0 && seen.settled_worst_us < 1_500.0);
    assert!(seen.worst_pitch_ppm < 1_000.0, "the pitch stays within 0.1 %");
    let stated_ppm = f64::from(drift.drift_ppb.unwrap()) / 1e3;
    assert!((stated_ppm - ppm).abs() < 3.0, "{stated_ppm} ppm are stated");
    assert!(f64::from(drift.offset_us_max) < 5_000.0 && drift.offset_us_last.abs() < 1_000);
}

#[test]
fn four_hours_of_a_crystal_that_is_500_ppm_slow_stay_with_the_picture() {
    four_hours(-500.0);
}

#[test]
fn four_hours_of_a_crystal_that_is_50_ppm_slow_stay_with_the_picture() {
    four_hours(-50.0);
}

#[test]
fn four_hours_of_an_exact_crystal_stay_with_the_picture() {
    four_hours(0.0);
}

#[test]
fn four_hours_of_a_crystal_that_is_50_ppm_fast_stay_with_the_picture() {
    four_hours(50.0);
}

#[test]
fn four_hours_of_a_crystal_that_is_500_ppm_fast_stay_with_the_picture() {
    four_hours(500.0);
}

#[test]
fn a_crystal_beyond_all_reason_is_followed_too() {
    for ppm in [-1_000.0, 1_000.0] {
        let mut world = World::<Model>::new(ppm, seed());
        world.deliver(3_600.0);
        let seen = world.finish();
        assert!(seen.shifts_us.is_empty() && seen.gaps_90k.is_empty());
        assert!(seen.worst_us < 20_000.0 && seen.settled_worst_us < 5_000.0);
    }
}

#[test]
fn a_pause_another_device_and_a_sleep_leave_sound_and_picture_together() {
    for ppm in [-500.0, 0.0, 500.0] {
        let mut world = World::<Model>::new(ppm, seed());
        world.deliver(600.0);
        world.away(30.0);
        world.packets.device_restored(Crystal::Same);
        world.deliver(600.0);
        assert!(world.seen.shifts_us.is_empty(), "a device that comes back was not out of step");
        world.away(0.7);
        world.ppm = -ppm;
        world.packets.device_restored(Crystal::Other);
        world.deliver(600.0);
        // The device sleeps with the system and goes on as if nothing had been.
        world.away(600.0);
        world.deliver(600.0);
        let seen = world.finish();
        let gaps_ms: Vec<u64> = seen.gaps_90k.iter().map(|gap_90k| gap_90k / 90).collect();
        assert_eq!(gaps_ms.len(), 3, "{gaps_ms:?}");
        for (gap_ms, away_ms) in gaps_ms.iter().zip([30_000, 700, 600_000]) {
            assert!(gap_ms.abs_diff(away_ms) <= 25, "{gaps_ms:?}");
        }
        assert_eq!(seen.shifts_us.len(), 1, "only what nobody told of: {:?}", seen.shifts_us);
        assert!((seen.shifts_us[0] - 600_000_000).abs() < 10_000);
        assert!(seen.worst_us < 20_000.0 && seen.settled_worst_us < 2_000.0);
        assert!(seen.worst_pitch_ppm <= 1_000.0);
    }
}

#[test]
fn the_real_stretcher_does_what_its_model_does() {
    let seed = seed();
    for ppm in [-500.0, 50.0] {
        let (mut real, mut model) = (World::<Stretcher>::new(ppm, seed), World::<Model>::new(ppm, seed));
        for minute in 0..5 {
            real.deliver(60.0);
            model.deliver(60.0);
            let apart_us = (real.seen.last_us - model.seen.last_us).abs();
            assert!(apart_us < 50.0, "{apart_us} µs apart in minute {minute}");
        }
        let (real, model) = (real.finish(), model.finish());
        assert_eq!(real.gaps_90k, model.gaps_90k);
        assert!((real.worst_us - model.worst_us).abs() < 100.0);
    }
}
