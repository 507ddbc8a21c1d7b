//! When a viewer's units go out, and by what time they are shown. Pure.

use std::time::{Duration, Instant};

/// Bytes that go to a viewer in one [`WINDOW`] before the next one is waited for: 100 Mbit/s. Who joins gets up to two groups of pictures
/// at once, and they shall not run over the buffers on their way.
const WINDOW_BYTES: usize = 64 * 1024;
const WINDOW: Duration = Duration::from_millis(5);

/// The wall clock of a viewer's units, one for picture and sound, so that they are shown together.
///
/// Invariant: no unit lies in the future. A viewer who joins gets what is older than now at once: the clock starts with the newest
/// unit that there is, so that the viewer's first reports of it tell the same as all later ones.
#[derive(Debug, Default)]
pub(super) struct WallClock {
    /// A time of the session, and when it was.
    anchor: Option<(u64, Instant)>,
}

impl WallClock {
    /// A clock by which the newest unit is of now.
    pub(super) fn starting(newest_90k: Option<u64>, now: Instant) -> Self {
        Self { anchor: newest_90k.map(|newest| (newest, now)) }
    }

    /// When a unit of this time was to be shown.
    pub(super) fn at(&mut self, pts_90k: u64, now: Instant) -> Instant {
        let at = self.anchor.and_then(|(anchor_90k, anchor)| match pts_90k.checked_sub(anchor_90k) {
            Some(later) => anchor.checked_add(duration(later)),
            None => anchor.checked_sub(duration(anchor_90k - pts_90k)),
        });
        match at {
            Some(at) if at <= now => at,
            _ => {
                self.anchor = Some((pts_90k, now));
                now
            }
        }
    }
}

fn duration(ticks_90k: u64) -> Duration {
    Duration::from_micros(ticks_90k.saturating_mul(100) / 9)
}

/// Spreads what goes out at once.
#[derive(Debug, Default)]
pub(super) struct Pace {
    window: Option<Instant>,
    bytes: usize,
}

impl Pace {
    /// Bytes have gone out.
    pub(super) fn sent(&mut self, bytes: usize, now: Instant) {
        if self.window.is_none_or(|window| now >= window + WINDOW) {
            self.window = Some(now);
            self.bytes = 0;
        }
        self.bytes += bytes;
    }

    /// Until when to wait, if there is a reason to.
    pub(super) fn waits_until(&self, now: Instant) -> Option<Instant> {
        self.window
            .filter(|_| self.bytes >= WINDOW_BYTES)
            .map(|window| window + WINDOW)
            .filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picture_and_sound_share_a_clock_that_ends_up_with_the_newest_unit_at_now() {
        let mut clock = WallClock::default();
        let joined = Instant::now() + Duration::from_secs(10);
        // Two seconds of pictures at once.
        for picture in 0..=60 {
            assert_eq!(clock.at(picture * 3_000, joined), joined);
        }
        assert_eq!(clock.at(60 * 3_000, joined), joined);
        // Sound of the same time, which comes 40 ms later, is of the same moment.
        let later = joined + Duration::from_millis(40);
        assert_eq!(clock.at(60 * 3_000, later), joined);
        assert_eq!(clock.at(60 * 3_000 - 900, later), joined - Duration::from_millis(10));
        // The network was slow for a while; the clock goes on.
        let much_later = joined + Duration::from_secs(9);
        assert_eq!(clock.at(60 * 3_000 + 90_000, much_later), joined + Duration::from_secs(1));
    }

    #[test]
    fn what_waited_for_the_viewer_lies_in_the_past_from_the_first_unit_on() {
        let joined = Instant::now() + Duration::from_secs(10);
        let mut clock = WallClock::starting(Some(60 * 3_000), joined);
        assert_eq!(clock.at(0, joined), joined - Duration::from_secs(2));
        assert_eq!(clock.at(60 * 3_000, joined + Duration::from_millis(3)), joined);
    }

    #[test]
    fn times_that_no_clock_has_are_now() {
        let mut clock = WallClock::default();
        let now = Instant::now();
        assert_eq!(clock.at(u64::MAX, now), now);
        assert!(clock.at(0, now) <= now);
        assert_eq!(clock.at(u64::MAX, now), now);
    }

    #[test]
    fn a_burst_is_spread_and_a_live_picture_is_not_held_up() {
        let mut pace = Pace::default();
        let now = Instant::now();
        pace.sent(8_000, now);
        assert_eq!(pace.waits_until(now), None);
        pace.sent(WINDOW_BYTES, now);
        assert_eq!(pace.waits_until(now), Some(now + WINDOW));
        assert_eq!(pace.waits_until(now + WINDOW), None);
        pace.sent(8_000, now + WINDOW);
        assert_eq!(pace.waits_until(now + WINDOW), None);
    }
}
