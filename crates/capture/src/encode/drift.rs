//! How far the count of PCM samples is from the session's clock, and how much to stretch the sound so that both stay
//! together.
//!
//! A block is never delivered before it was captured, but often later: a busy machine, a USB transfer that brings
//! several at once. So a second is judged by its punctual blocks, not by all of them, and what is left of the jitter is
//! smoothed by a slow loop. The loop has two parts: one remembers the crystal's rate, the other takes the difference
//! back. Nothing here reads a clock.

use protocol::ClockDrift;

/// Blocks are judged together in runs of this much sound: enough to find punctual ones among late ones.
const WINDOW_US: u64 = 1_000_000;

/// At most so many blocks of a run are looked at: one of 1 ms each still fits.
const WINDOW_BLOCKS: usize = 1_024;

/// A run that took longer counts as this long, so that the loop stays stable.
const LONGEST_STEP_S: f64 = 2.0;

/// How fast the loop follows a device that is new, in rad/s: a crystal that is off by 500 ppm moves the sound by
/// 500 / (0.1 · e) µs ≈ 2 ms before it is caught.
const FAST: f64 = 0.1;

/// How fast it follows once it knows the crystal, whose rate then changes only with its temperature. 1 ms of jitter
/// that gets this far moves the pitch by 0.004 %.
const SLOW: f64 = 0.02;

/// The way from fast to slow: the loop's rate is this over the age of what it knows, in s.
const SLOWING: f64 = 4.0;

/// The most that the difference itself stretches the sound, in ppm: a third of what a crystal may take, so that the pitch
/// moves little while an offset is taken back.
const MAX_OFFSET_PPM: f64 = 400.0;

/// The most that a crystal is believed to be off, in ppm. Real ones stay within 100, cheap USB devices within 500.
const MAX_RATE_PPM: f64 = 1_200.0;

/// How fast the stretch may change, in ppm per second of sound.
const SLEW_PPM: f64 = 100.0;

/// The most that sound is ever stretched, in ppm.
pub(crate) const MAX_CORRECTION_PPM: f64 = MAX_RATE_PPM + MAX_OFFSET_PPM;

/// The offset that is stated follows the measured one within this time, in s.
const STATED_OVER_S: f64 = 10.0;

/// How long a crystal must have been followed until its rate is stated, in s.
const RATE_KNOWN_AFTER_S: f64 = 60.0;

/// The control loop of one track's sound. It outlives counts: a device that comes back has the same crystal.
#[derive(Debug, Default)]
pub(crate) struct Drift {
    /// Clock minus count of each block of the present run, in µs.
    differences_us: Vec<i64>,
    window_us: u64,
    /// How much sound of this device was seen, in s.
    age_s: f64,
    /// What the crystal needs: positive when it is slow, and the sound has to be stretched.
    rate_ppm: f64,
    correction_ppm: f64,
    /// None before the first run is complete.
    offset_us: Option<f64>,
    offset_us_max: f64,
}

impl Drift {
    /// Takes a block's difference between clock and count (positive when it came later than counted) and its length.
    pub(crate) fn see(&mut self, difference_us: i64, length_us: u64) {
        if self.differences_us.len() < WINDOW_BLOCKS {
            self.differences_us.push(difference_us);
        }
        self.window_us += length_us;
        if self.window_us >= WINDOW_US {
            let offset_us = punctual(&mut self.differences_us) as f64;
            self.step(offset_us, (self.window_us as f64 / 1e6).min(LONGEST_STEP_S));
            self.begin_window();
        }
    }

    fn step(&mut self, offset_us: f64, step_s: f64) {
        self.age_s += step_s;
        // A loop with two equal poles at this rate: it does not swing.
        let pole = (SLOWING / self.age_s).clamp(SLOW, FAST);
        let offset_ppm = (2.0 * pole * offset_us).clamp(-MAX_OFFSET_PPM, MAX_OFFSET_PPM);
        // A difference that is larger than what may be taken back at once says nothing more about the crystal.
        let rate_ppm = self.rate_ppm + pole / 2.0 * offset_ppm * step_s;
        self.rate_ppm = rate_ppm.clamp(-MAX_RATE_PPM, MAX_RATE_PPM);
        let slew_ppm = SLEW_PPM * step_s;
        self.correction_ppm += (self.rate_ppm + offset_ppm - self.correction_ppm).clamp(-slew_ppm, slew_ppm);
        let stated_us = self.offset_us.get_or_insert(offset_us);
        *stated_us += (offset_us - *stated_us) * (step_s / STATED_OVER_S).min(1.0);
        self.offset_us_max = self.offset_us_max.max(stated_us.abs());
    }

    fn begin_window(&mut self) {
        self.differences_us.clear();
        self.window_us = 0;
    }

    /// Counting begins anew, at the clock's time.
    pub(crate) fn recounted(&mut self) {
        self.begin_window();
        self.offset_us = self.offset_us.map(|_| 0.0);
        self.correction_ppm = self.rate_ppm;
    }

    /// Another device, and so another crystal, has taken over.
    pub(crate) fn other_device(&mut self) {
        *self = Self { offset_us: self.offset_us, offset_us_max: self.offset_us_max, ..Self::default() };
    }

    /// How much longer the sound has to become, in ppm, within ±[`MAX_CORRECTION_PPM`].
    pub(crate) const fn correction_ppm(&self) -> f64 {
        self.correction_ppm
    }

    /// What to say about it. None before a second of sound was seen.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub(crate) fn stated(&self) -> Option<ClockDrift> {
        let offset_us_last = self.offset_us?.round() as i32;
        let drift_ppb = (self.age_s >= RATE_KNOWN_AFTER_S).then(|| (-self.rate_ppm * 1e3).round() as i32);
        Some(ClockDrift { drift_ppb, offset_us_max: self.offset_us_max.round() as u32, offset_us_last })
    }
}

/// The difference that nine of ten blocks exceed: the least is left out, as a device may also date a block too early.
/// Zero for none.
pub(crate) fn punctual(differences_us: &mut [i64]) -> i64 {
    if differences_us.is_empty() {
        return 0;
    }
    let tenth = differences_us.len() / 10;
    *differences_us.select_nth_unstable(tenth).1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The offset in µs and the correction in ppm, second by second, of a crystal that needs `needed_ppm`.
    fn follow(drift: &mut Drift, needed_ppm: f64, mut offset_us: f64, seconds: usize) -> Vec<(f64, f64)> {
        (0..seconds)
            .map(|_| {
                #[allow(clippy::cast_possible_truncation)]
                (0..50).for_each(|_| drift.see(offset_us.round() as i64, 20_000));
                offset_us += needed_ppm - drift.correction_ppm();
                (offset_us, drift.correction_ppm())
            })
            .collect()
    }

    #[test]
    fn crystals_are_caught_within_milliseconds_and_known_within_minutes() {
        for ppm in [-1000.0, -500.0, -20.0, 0.0, 150.0, 500.0, 1000.0_f64] {
            let mut drift = Drift::default();
            let run = follow(&mut drift, ppm, 0.0, 900);
            let worst_us = run.iter().map(|(offset_us, _)| offset_us.abs()).fold(0.0, f64::max);
            assert!(worst_us < if ppm.abs() > 500.0 { 12_000.0 } else { 4_000.0 }, "{ppm}: {worst_us}");
            let (offset_us, correction_ppm) = run[run.len() - 1];
            assert!(offset_us.abs() < 100.0 && (correction_ppm - ppm).abs() < 2.0, "{ppm}: {run:?}");
            for pair in run.windows(2) {
                assert!((pair[1].1 - pair[0].1).abs() <= SLEW_PPM + 1e-9);
                assert!((pair[1].1 - ppm).abs() <= 1_000.0, "{ppm}: the pitch stays within 0.1 %");
            }
            let stated = drift.stated().and_then(|stated| stated.drift_ppb).unwrap_or(i32::MAX);
            assert!((f64::from(stated) / 1e3 + ppm).abs() < 2.0, "{ppm}: {stated} ppb are stated");
        }
    }

    #[test]
    fn an_offset_is_taken_back_without_a_swing_that_is_larger_than_a_quarter_of_it() {
        let mut drift = Drift::default();
        follow(&mut drift, 40.0, 0.0, 600);
        let run = follow(&mut drift, 40.0, 10_000.0, 600);
        let beyond_us = run.iter().map(|(offset_us, _)| -offset_us).fold(0.0, f64::max);
        assert!(beyond_us < 2_500.0, "{beyond_us} µs");
        assert!(run[599].0.abs() < 500.0, "{:?}", run[599]);
    }

    #[test]
    fn late_blocks_do_not_move_the_pitch() {
        let mut drift = Drift::default();
        for n in 0..30_000_i64 {
            // Two blocks of three are late by up to 60 ms, as when a USB transfer brings three at once.
            drift.see(
                [0, 20_000, 40_000][usize::try_from(n % 3).unwrap_or(0)] + n * 7919 % 20_000 * (n % 3) / 2,
                20_000,
            );
        }
        assert!(drift.correction_ppm().abs() < 1.0, "{drift:?}");
        assert_eq!(drift.stated().map(|stated| stated.offset_us_max), Some(0));
    }

    #[test]
    fn the_rate_of_a_crystal_outlives_a_pause_but_not_the_device() {
        let mut drift = Drift::default();
        follow(&mut drift, 300.0, 0.0, 600);
        drift.recounted();
        assert!((drift.correction_ppm() - 300.0).abs() < 3.0);
        drift.other_device();
        assert!(drift.correction_ppm().abs() < 1e-9);
        assert_eq!(drift.stated().map(|stated| stated.drift_ppb), Some(None));
    }
}
