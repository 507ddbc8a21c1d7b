//! What an encoder makes, per second.

use std::collections::VecDeque;
use std::time::Duration;

/// Rates are taken over this long.
const WINDOW: Duration = Duration::from_secs(2);

/// What an encoder has made since the session's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    pub(crate) units: u64,
    pub(crate) bytes: u64,
    /// Time spent encoding.
    pub(crate) encode_us: u64,
}

/// Rates over the last two seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Figures {
    pub(crate) bitrate_bps: u32,
    pub(crate) units_per_second: f32,
    /// The part of real time that encoding takes.
    pub(crate) encoder_load: f32,
}

/// The totals of the last two seconds, at most one more.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    seen: VecDeque<(Duration, Totals)>,
}

impl Rates {
    /// Takes the totals at a time.
    pub(crate) fn see(&mut self, now: Duration, totals: Totals) {
        self.seen.push_back((now, totals));
        // The newest one that is a whole window old is where the window begins.
        while self.seen.get(1).is_some_and(|(at, _)| *at + WINDOW <= now) {
            self.seen.pop_front();
        }
    }

    /// The rates, zero before anything can be said.
    pub(crate) fn figures(&self) -> Figures {
        let (Some((from, first)), Some((to, last))) = (self.seen.front(), self.seen.back()) else {
            return Figures::default();
        };
        let seconds = to.saturating_sub(*from).as_secs_f64();
        if seconds < 0.2 {
            return Figures::default();
        }
        let per_second = |first: u64, last: u64| last.saturating_sub(first) as f64 / seconds;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Figures {
            bitrate_bps: (per_second(first.bytes, last.bytes) * 8.0) as u32,
            units_per_second: per_second(first.units, last.units) as f32,
            encoder_load: (per_second(first.encode_us, last.encode_us) / 1e6) as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(units: u64) -> Totals {
        Totals { units, bytes: units * 1_000, encode_us: units * 5_000 }
    }

    #[test]
    fn rates_are_those_of_the_last_two_seconds() {
        let mut rates = Rates::default();
        assert_eq!(rates.figures(), Figures::default());
        // Five seconds at 30 units per second, then two and a half at 10.
        for tenth in 0..=75 {
            let units = if tenth <= 50 { tenth * 3 } else { 150 + tenth - 50 };
            rates.see(Duration::from_millis(tenth * 100), totals(units));
        }
        let figures = rates.figures();
        assert!((figures.units_per_second - 10.0).abs() < 0.01, "{figures:?}");
        assert_eq!(figures.bitrate_bps, 80_000);
        assert!((figures.encoder_load - 0.05).abs() < 0.001);
        assert!(rates.seen.len() <= 22);
    }

    #[test]
    fn a_moment_says_nothing() {
        let mut rates = Rates::default();
        rates.see(Duration::ZERO, totals(0));
        rates.see(Duration::from_millis(100), totals(30));
        assert_eq!(rates.figures(), Figures::default());
    }
}
