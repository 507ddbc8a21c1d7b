//! The encoder of the picture does what the network allows, and the recording is told of it.

use capture::Controls;
use protocol::control::EventKind;
use protocol::{NetworkRate, Track};
use publisher::Publisher;
use publisher::rate::Target;

/// Makes the encoder of the picture do what the network allows, as the publisher's status tells it, and tells the
/// recording. Ends with the publisher.
pub fn follow_network(publisher: &Publisher, controls: Controls) -> impl Future<Output = ()> + use<> {
    let (mut status, video) = (publisher.status(), publisher.track(Track::Video));
    async move {
        let Some(video) = video else { return };
        let (mut done, mut chronicle) = (None, Chronicle::default());
        loop {
            let target = status.borrow_and_update().video.as_ref().and_then(|video| video.target);
            if let Some(target) = target {
                if done.replace(target) != Some(target) {
                    controls.set_video_thinning(target.thinning);
                    controls.set_video_bitrate_bps(target.bitrate_bps);
                }
                let now_us = controls.now_us();
                if let Some((kind, rate)) = chronicle.see(now_us, &target) {
                    video.event(kind, now_us.saturating_mul(9) / 100, &rate.to_string());
                }
            }
            if status.changed().await.is_err() {
                return;
            }
        }
    }
}

/// What stays so for less is not told.
const TOLD_AFTER_US: u64 = 3_000_000;
/// A change from lower to still lower, or back to less low, is told at most this often;
const TOLD_EVERY_US: u64 = 60_000_000;
/// after so many, half as often, and so on: a session holds a bounded number of events.
const SLOWS_AFTER: u64 = 20;
/// A target of at least this share of the full bit rate is not worth telling.
const WORTH_TELLING: f64 = 0.9;
/// A target that differs from the one that was told by less than this factor is the same.
const SAME_WITHIN: f64 = 1.3;

/// Decides which of many targets a viewer of the recording should know.
#[derive(Debug, Default)]
struct Chronicle {
    /// The lowered target that was told last, unless the full one is back.
    told: Option<Target>,
    /// When something may be told again.
    quiet_until_us: u64,
    lowered_times: u64,
    /// What there is to tell, and since when.
    news: Option<(EventKind, u64)>,
}

impl Chronicle {
    fn see(&mut self, now_us: u64, target: &Target) -> Option<(EventKind, NetworkRate)> {
        let before = self.news.take();
        let kind = self.news(target)?;
        let since_us = before.filter(|(before, _)| *before == kind).map_or(now_us, |(_, since_us)| since_us);
        let waits = kind == EventKind::RateLowered && now_us < self.quiet_until_us;
        if waits || now_us < since_us.saturating_add(TOLD_AFTER_US) {
            self.news = Some((kind, since_us));
            return None;
        }
        self.told = (kind == EventKind::RateLowered).then_some(*target);
        if self.told.is_some() {
            self.lowered_times += 1;
            self.quiet_until_us = now_us + TOLD_EVERY_US * (1 + self.lowered_times / SLOWS_AFTER);
        }
        let Target { bitrate_bps, full_bps, thinning, is_paused } = *target;
        Some((kind, NetworkRate { bitrate_bps, full_bps, thinning, is_paused }))
    }

    /// What there is to tell of this target, if it stays.
    fn news(&self, target: &Target) -> Option<EventKind> {
        let share = f64::from(target.bitrate_bps) / f64::from(target.full_bps.max(1));
        let is_low = share < WORTH_TELLING || target.thinning > 1 || target.is_paused;
        match &self.told {
            None => is_low.then_some(EventKind::RateLowered),
            Some(_) if !target.is_lowered() && !target.is_paused => Some(EventKind::RateRestored),
            Some(told) => {
                let factor = f64::from(target.bitrate_bps) / f64::from(told.bitrate_bps.max(1));
                let is_same = (1.0 / SAME_WITHIN..=SAME_WITHIN).contains(&factor);
                let differs = !is_same || target.is_paused != told.is_paused;
                (is_low && differs).then_some(EventKind::RateLowered)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(kbps: u32) -> Target {
        Target { bitrate_bps: kbps * 1_000, thinning: 1, is_paused: false, full_bps: 2_000_000 }
    }

    /// What is told of these targets, each of which stays for so many seconds.
    fn told(targets: &[(u64, Target)]) -> Vec<(u64, EventKind, u32)> {
        let (mut chronicle, mut now_us, mut told) = (Chronicle::default(), 0, Vec::new());
        for (seconds, target) in targets {
            for _ in 0..seconds * 5 {
                if let Some((kind, rate)) = chronicle.see(now_us, target) {
                    told.push((now_us / 1_000_000, kind, rate.bitrate_bps / 1_000));
                }
                now_us += 200_000;
            }
        }
        told
    }

    #[test]
    fn a_bit_rate_that_is_lowered_and_restored_is_told_twice() {
        let path = [(10, target(2_000)), (30, target(740)), (2, target(1_500)), (10, target(2_000))];
        assert_eq!(told(&path), [(13, EventKind::RateLowered, 740), (45, EventKind::RateRestored, 2_000)]);
    }

    #[test]
    fn what_passes_at_once_or_matters_little_is_not_told() {
        assert_eq!(
            told(&[(5, target(2_000)), (2, target(300)), (5, target(2_000)), (60, target(1_850))]),
            []
        );
    }

    #[test]
    fn a_pause_and_a_much_lower_rate_are_told_once_a_minute_at_most() {
        let paused = Target { is_paused: true, ..target(100) };
        let path = [(20, target(740)), (30, target(100)), (60, paused), (60, target(130))];
        let lowered = |at, kbps| (at, EventKind::RateLowered, kbps);
        assert_eq!(told(&path), [lowered(3, 740), lowered(63, 100), lowered(123, 130)]);
    }

    #[test]
    fn hours_of_swinging_fit_into_a_session() {
        let swing = [(8, target(400)), (8, target(2_000))].repeat(12 * 3_600 / 16);
        let told = told(&swing).len();
        assert!(told > 10 && told < protocol::limits::MAX_EVENTS / 2, "{told} events in twelve hours");
    }
}
