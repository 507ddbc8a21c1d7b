//! The last seconds' readings: rates are their differences, and what stands is their minimum.

use std::collections::VecDeque;
use std::time::Duration;

use super::Reading;

/// Readings of the present connection, over a span of time.
#[derive(Debug)]
pub(super) struct History {
    span: Duration,
    readings: VecDeque<(Duration, Reading)>,
}

impl History {
    pub(super) const fn over(span: Duration) -> Self {
        Self { span, readings: VecDeque::new() }
    }

    /// Takes a reading. Readings come at the controller's own pace, so that there are a few dozen.
    pub(super) fn take(&mut self, now: Duration, reading: Reading) {
        let is_old = |at: Duration| now.saturating_sub(at) > self.span;
        while self.readings.front().is_some_and(|(at, _)| is_old(*at)) {
            self.readings.pop_front();
        }
        self.readings.push_back((now, reading));
    }

    pub(super) fn clear(&mut self) {
        self.readings.clear();
    }

    /// Whether the span is covered, but for one reading.
    pub(super) fn is_full(&self, now: Duration, read_every: Duration) -> bool {
        self.readings.front().is_some_and(|(at, _)| now.saturating_sub(*at) + read_every >= self.span)
    }

    /// The bit rate of a count of bytes over the last `span`, or over as much of it as there is.
    pub(super) fn rate_bps(&self, span: Duration, count: impl Fn(&Reading) -> u64) -> f64 {
        let Some((now, last)) = self.readings.back() else { return 0.0 };
        let within = |(at, _): &&(Duration, Reading)| now.saturating_sub(*at) <= span;
        let Some((at, first)) = self.readings.iter().find(within) else { return 0.0 };
        let seconds = now.saturating_sub(*at).as_secs_f64();
        let bytes = count(last).saturating_sub(count(first));
        if seconds > 0.0 { bytes as f64 * 8.0 / seconds } else { 0.0 }
    }

    /// The least that a delay was over the whole span; zero while the span is not covered.
    pub(super) fn standing(
        &self,
        now: Duration,
        read_every: Duration,
        delay: impl Fn(&Reading) -> Duration,
    ) -> Duration {
        match self.is_full(now, read_every) {
            true => self.readings.iter().map(|(_, reading)| delay(reading)).min().unwrap_or_default(),
            false => Duration::ZERO,
        }
    }
}
