//! The level as the screen gets it: thirty times a second, from about fifty measurements.

use std::time::Duration;

use capture::SILENCE_DBFS;

use crate::api::Level;

/// From one level to the next.
const PERIOD: Duration = Duration::from_nanos(1_000_000_000 / 30);

/// At and above this, in dBFS, a sample counts as full scale: 16-bit sound cannot reach 0 exactly.
const CLIPPED_DBFS: f32 = -0.001;

/// What silence reads.
pub(crate) const SILENCE: Level = Level { peak_dbfs: SILENCE_DBFS, rms_dbfs: SILENCE_DBFS, clipped: false };

/// Gathers measurements into levels.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    due: Duration,
    peak_dbfs: Option<f32>,
    power_sum: f64,
    count: u32,
}

impl Meter {
    /// Takes a measurement at a time; gives a level when one is due, of everything since the one before.
    pub(crate) fn take(&mut self, measured: capture::Level, now: Duration) -> Option<Level> {
        let peak_dbfs = self.peak_dbfs.map_or(measured.peak_dbfs, |peak| peak.max(measured.peak_dbfs));
        self.peak_dbfs = Some(peak_dbfs);
        self.power_sum += 10_f64.powf(f64::from(measured.rms_dbfs) / 10.0);
        self.count += 1;
        if now < self.due {
            return None;
        }
        // Keeps the pace on average, but does not make up for a pause.
        let next = self.due + PERIOD;
        self.due = if next + PERIOD < now { now + PERIOD } else { next };
        #[allow(clippy::cast_possible_truncation)]
        let rms_dbfs = (10.0 * (self.power_sum / f64::from(self.count)).log10()) as f32;
        *self = Self { due: self.due, ..Self::default() };
        let rms_dbfs = rms_dbfs.max(SILENCE_DBFS);
        Some(Level { peak_dbfs, rms_dbfs, clipped: peak_dbfs >= CLIPPED_DBFS })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn measured(peak_dbfs: f32, rms_dbfs: f32) -> capture::Level {
        capture::Level { peak_dbfs, rms_dbfs }
    }

    #[test]
    fn fifty_measurements_a_second_become_thirty_levels() {
        let mut meter = Meter::default();
        let levels =
            (0..500).filter(|n| meter.take(measured(-20.0, -23.0), Duration::from_millis(n * 20)).is_some());
        let count = levels.count();
        assert!((295..=305).contains(&count), "{count} levels in ten seconds");
    }

    #[test]
    fn a_level_has_the_largest_peak_and_the_mean_power() {
        let mut meter = Meter::default();
        let at = |ms: u64| Duration::from_millis(1_000 + ms);
        assert_eq!(meter.take(measured(-3.0, -20.0), at(0)).unwrap().rms_dbfs, -20.0);
        assert_eq!(meter.take(measured(-6.0, -10.0), at(5)), None);
        let level = meter.take(measured(-9.0, -100.0), at(60)).unwrap();
        assert_eq!(level.peak_dbfs, -6.0);
        assert!((level.rms_dbfs + 13.01).abs() < 0.01, "half of −10 dB: {level:?}");
        assert!(!level.clipped);
    }

    #[test]
    fn full_scale_is_marked_and_silence_stays_at_its_floor() {
        let mut meter = Meter::default();
        let loud = 20.0 * (32_767.0_f32 / 32_768.0).log10();
        assert!(meter.take(measured(loud, -3.0), Duration::ZERO).unwrap().clipped);
        let silent = meter.take(measured(SILENCE_DBFS, SILENCE_DBFS), Duration::from_secs(1)).unwrap();
        assert_eq!(silent, SILENCE);
    }
}
