//! The controller on a model of a session: an encoder that follows it, two lanes, and a path with a queue.
#![allow(clippy::unwrap_used)]

mod model;

use std::time::Duration;

use proptest::prelude::*;

use self::model::{Model, Sample};
use super::*;

const FULL_BPS: u32 = 2_000_000;

fn settings(when_slow: WhenSlow) -> Settings {
    Settings { when_slow, bitrate_bps: FULL_BPS, fps: 30 }
}

/// Plays a path that carries these bit rates for these times in seconds.
fn play(when_slow: WhenSlow, latency_ms: u64, path: &[(u64, f64)]) -> Vec<Sample> {
    let mut model = Model::new(settings(when_slow), Duration::from_millis(latency_ms));
    path.iter().flat_map(|&(seconds, path_bps)| model.run(Duration::from_secs(seconds), path_bps)).collect()
}

fn targets(samples: &[Sample]) -> Vec<f64> {
    samples.iter().map(|sample| f64::from(sample.target.bitrate_bps)).collect()
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The samples between two times in seconds.
fn between(samples: &[Sample], from: f64, to: f64) -> &[Sample] {
    let at = |seconds: f64| samples.partition_point(|sample| sample.at.as_secs_f64() < seconds);
    &samples[at(from)..at(to)]
}

/// How late the picture is, at the 95th percentile, in seconds.
fn lag_p95(samples: &[Sample]) -> f64 {
    let mut lags: Vec<f64> =
        samples.iter().map(|sample| sample.live_lag.map_or(f64::INFINITY, |lag| lag.as_secs_f64())).collect();
    lags.sort_by(f64::total_cmp);
    lags[lags.len() * 95 / 100]
}

#[test]
fn a_path_that_carries_everything_leaves_the_quality_alone() {
    for latency_ms in [5, 40, 150, 400] {
        let samples = play(WhenSlow::KeepUp, latency_ms, &[(300, 2_600_000.0)]);
        assert!(samples.iter().all(|sample| !sample.target.is_lowered()), "{latency_ms} ms");
    }
}

#[test]
fn on_half_the_bandwidth_the_bit_rate_settles_below_it_and_stays_near() {
    for latency_ms in [5, 40, 150] {
        let samples = play(WhenSlow::KeepUp, latency_ms, &[(300, 1_000_000.0)]);
        // The sound takes 40 kbit/s of it.
        let (path_bps, settled) = (960_000.0, between(&samples, 10.0, 300.0));
        let targets = targets(settled);
        assert!(least(&targets) > 0.6 * path_bps, "{latency_ms} ms: down to {}", least(&targets));
        assert!(most(&targets) < 1.2 * path_bps, "{latency_ms} ms: up to {}", most(&targets));
        assert!(mean(&targets) > 0.8 * path_bps, "{latency_ms} ms: {} on average", mean(&targets));
        assert!(lag_p95(settled) < 0.6, "{latency_ms} ms: {} s late", lag_p95(settled));
        assert!(settled.iter().all(|sample| sample.target.thinning == 1 && !sample.target.is_paused));
    }
}

#[test]
fn it_does_not_swing() {
    for path_bps in [300_000.0, 600_000.0, 1_000_000.0, 1_600_000.0] {
        let samples = play(WhenSlow::KeepUp, 40, &[(600, path_bps)]);
        let falls = between(&samples, 60.0, 600.0).windows(2);
        let falls = falls.filter(|pair| pair[1].target.bitrate_bps < pair[0].target.bitrate_bps).count();
        // A climb is tried less and less often, and at most two steps end it.
        assert!(falls <= 2 * 540 / 40, "{path_bps} bit/s: {falls} steps down in 9 minutes");
    }
}

#[test]
fn after_the_path_has_improved_the_full_quality_is_back_within_forty_seconds() {
    for path_bps in [150_000.0, 400_000.0, 1_000_000.0, 1_800_000.0] {
        let samples = play(WhenSlow::KeepUp, 40, &[(60, path_bps), (90, 4_000_000.0)]);
        let back = samples.iter().rev().take_while(|sample| !sample.target.is_lowered()).last();
        let back = back.unwrap_or_else(|| panic!("{path_bps} bit/s: never")).at.as_secs_f64();
        assert!(back < 60.0 + 40.0, "{path_bps} bit/s: after {} s", back - 60.0);
    }
}

/// A minute on a path that carries so much, an outage that is noticed after five seconds, and what comes of that.
fn after_an_outage(path_bps: f64, latency_ms: u64) -> Vec<Sample> {
    let mut model = Model::new(settings(WhenSlow::KeepUp), Duration::from_millis(latency_ms));
    model.run(Duration::from_secs(60), path_bps);
    let unnoticed = model.outage(Duration::from_secs(5), Duration::from_secs(15));
    let lowered = unnoticed.last().unwrap().target;
    assert!(lowered.is_lowered(), "nothing tells an outage from a path that has become slow");
    model.run(Duration::from_secs(30), path_bps)
}

#[test]
fn what_an_outage_lowered_before_it_was_noticed_is_soon_back_beside_the_backlog() {
    for (path_bps, latency_ms) in
        [(300_000.0, 40), (600_000.0, 40), (1_000_000.0, 5), (1_000_000.0, 150), (1_600_000.0, 40)]
    {
        let samples = after_an_outage(path_bps, latency_ms);
        let (carried_bps, begun) = (path_bps - 40_000.0, samples[0].at.as_secs_f64());
        let within = |from: f64, to: f64| between(&samples, begun + from, begun + to);
        let (first, then) = (targets(within(0.0, 1.9)), targets(within(5.0, 29.0)));
        let path = format!("{path_bps} bit/s, {latency_ms} ms");
        // The sound sends what was left behind of it, and the picture that begins is a small one.
        let small_bps = (0.3 * carried_bps).max(f64::from(settings(WhenSlow::KeepUp).floor_bps()));
        assert!(most(&first) <= small_bps, "{path}: begins with {}", most(&first));
        assert!(least(&then) > 0.55 * carried_bps, "{path}: {} later", least(&then));
        assert!(mean(&then) > 0.65 * carried_bps, "{path}: {} later, on average", mean(&then));
        let lag = lag_p95(within(1.0, 29.0));
        assert!(lag < 0.6, "{path}: {lag} s late");
    }
}

#[test]
fn the_picture_makes_way_for_minutes_of_sound_for_four_seconds() {
    let mut model = Model::new(settings(WhenSlow::KeepUp), Duration::from_millis(40));
    model.run(Duration::from_secs(60), 1_000_000.0);
    model.outage(Duration::from_secs(5), Duration::from_secs(600));
    model.sound_caught_up_at += Duration::from_secs(60);
    let samples = model.run(Duration::from_secs(30), 1_000_000.0);
    let begun = samples[0].at.as_secs_f64();
    let within = |from: f64, to: f64| targets(between(&samples, begun + from, begun + to));
    assert!(most(&within(0.0, 3.9)) < 0.3 * 960_000.0);
    assert!(least(&within(4.2, 29.0)) > 0.5 * 960_000.0);
}

#[test]
fn a_path_that_carried_everything_has_the_full_quality_again_right_after_an_outage() {
    for latency_ms in [5, 150] {
        let samples = after_an_outage(2_600_000.0, latency_ms);
        assert!(!samples[0].target.is_lowered(), "{latency_ms} ms: {:?}", samples[0].target);
    }
}

#[test]
fn a_path_that_was_worse_after_an_outage_is_settled_into() {
    let mut model = Model::new(settings(WhenSlow::KeepUp), Duration::from_millis(40));
    model.run(Duration::from_secs(60), 2_600_000.0);
    model.outage(Duration::from_secs(5), Duration::from_secs(15));
    let samples = model.run(Duration::from_secs(60), 500_000.0);
    let begun = samples[0].at.as_secs_f64();
    let later = between(&samples, begun + 10.0, begun + 59.0);
    assert!(most(&targets(later)) < 1.2 * 460_000.0, "up to {}", most(&targets(later)));
    assert!(lag_p95(later) < 1.0, "{} s late", lag_p95(later));
}

#[test]
fn first_each_frame_gets_less_then_there_are_fewer_of_them_then_none_go_live() {
    let samples = play(
        WhenSlow::KeepUp,
        40,
        &[(40, 2_600_000.0), (60, 1_000_000.0), (60, 300_000.0), (60, 60_000.0), (90, 3_000_000.0)],
    );
    let at = |seconds: f64| between(&samples, seconds, seconds + 10.0);
    assert!(at(20.0).iter().all(|sample| !sample.target.is_lowered()));
    assert!(at(80.0).iter().all(|sample| sample.target.is_lowered() && sample.target.thinning == 1));
    assert!(at(140.0).iter().all(|sample| sample.target.thinning >= 2 && !sample.target.is_paused));
    assert!(at(200.0).iter().any(|sample| sample.target.is_paused));
    assert!(!samples.last().unwrap().target.is_lowered());
}

#[test]
fn while_quality_is_kept_the_encoder_is_never_lowered() {
    let samples = play(WhenSlow::KeepQuality, 40, &[(60, 1_000_000.0), (60, 100_000.0), (60, 4_000_000.0)]);
    assert!(samples.iter().all(|sample| !sample.target.is_lowered()));
}

#[test]
fn sound_that_others_delay_does_not_cost_the_picture_for_long() {
    let mut model = Model::new(settings(WhenSlow::KeepUp), Duration::from_millis(40));
    model.others_delay = Duration::from_millis(900);
    let samples = model.run(Duration::from_secs(120), 6_000_000.0);
    let paused = samples.iter().filter(|sample| sample.target.is_paused).count();
    let share = paused as f64 / samples.len() as f64;
    assert!(share < 0.15, "paused for {share:.2} of the time");
}

#[test]
fn another_quality_takes_a_lowered_bit_rate_over_and_an_unlowered_one_follows() {
    let mut controller = Controller::new(settings(WhenSlow::KeepUp));
    let higher = Settings { bitrate_bps: 4_000_000, ..settings(WhenSlow::KeepUp) };
    controller.set(higher);
    assert_eq!(controller.target(), Target::full(&higher));
    let mut model = Model::new(higher, Duration::from_millis(40));
    model.run(Duration::from_secs(60), 1_000_000.0);
    let lowered = model.controller.target().bitrate_bps;
    model.controller.set(settings(WhenSlow::KeepUp));
    assert_eq!(model.controller.target().bitrate_bps, lowered);
    model.controller.set(settings(WhenSlow::KeepQuality));
    assert_eq!(model.controller.target(), Target::full(&settings(WhenSlow::KeepQuality)));
}

#[test]
fn the_ladder_keeps_its_order_and_its_bounds() {
    let of = |kbps: u32, before| {
        let target = Target::at(&settings(WhenSlow::KeepUp), kbps * 1_000, before);
        (target.bitrate_bps / 1_000, target.thinning)
    };
    for (kbps, expected) in [
        (9_000, (2_000, 1)),
        (500, (500, 1)),
        (499, (499, 2)),
        (250, (250, 2)),
        (110, (110, 5)),
        (1, (100, 5)),
    ] {
        assert_eq!(of(kbps, 1), expected, "{kbps} kbit/s");
    }
    // Frames come back only when there is room for them.
    assert_eq!([of(510, 2).1, of(570, 2).1, of(580, 2).1], [2, 2, 1]);
    for full_bps in [50_000, 60_000, 700_000, 100_000_000] {
        let settings = Settings { bitrate_bps: full_bps, fps: 1, ..settings(WhenSlow::KeepUp) };
        assert!(settings.floor_bps() <= full_bps);
        assert_eq!(Target::at(&settings, 0, 7).thinning, 1, "one frame in a second is few enough");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the path does: never more than the full quality, never less than the floor, and no step down within
    /// a second and a half of another.
    #[test]
    fn a_target_keeps_its_bounds(
        path in prop::collection::vec((1_u64..20, 10_000.0..5_000_000.0_f64), 1..12),
        latency_ms in 5_u64..500,
        full_bps in 60_000_u32..8_000_000,
        fps in 1_u32..61,
    ) {
        let settings = Settings { when_slow: WhenSlow::KeepUp, bitrate_bps: full_bps, fps };
        let mut model = Model::new(settings, Duration::from_millis(latency_ms));
        let mut fell_at: Option<Duration> = None;
        let mut before = Target::full(&settings);
        for (seconds, path_bps) in path {
            for Sample { at, target, .. } in model.run(Duration::from_secs(seconds), path_bps) {
                prop_assert!(target.bitrate_bps <= full_bps && target.bitrate_bps >= settings.floor_bps());
                prop_assert!(target.thinning >= 1 && target.thinning <= fps.max(5) / 5);
                if target.bitrate_bps < before.bitrate_bps {
                    prop_assert!(fell_at.is_none_or(|fell_at| at >= fell_at + Duration::from_millis(1_500)));
                    fell_at = Some(at);
                }
                before = target;
            }
        }
    }

    /// On a path that stays as it is the picture settles into it, whatever came before.
    #[test]
    fn a_steady_path_is_settled_into(
        before in prop::collection::vec((1_u64..20, 50_000.0..4_000_000.0_f64), 0..5),
        path_bps in 350_000.0..1_900_000.0_f64,
        latency_ms in 5_u64..200,
    ) {
        let mut path = before;
        let began: u64 = path.iter().map(|(seconds, _)| seconds).sum();
        path.push((200, path_bps));
        let samples = play(WhenSlow::KeepUp, latency_ms, &path);
        let settled = between(&samples, began as f64 + 60.0, began as f64 + 200.0);
        let (targets, carried_bps) = (targets(settled), path_bps - 40_000.0);
        prop_assert!(least(&targets) > 0.55 * carried_bps, "down to {} of {carried_bps}", least(&targets));
        prop_assert!(most(&targets) < 1.3 * carried_bps, "up to {} of {carried_bps}", most(&targets));
        prop_assert!(mean(&targets) > 0.75 * carried_bps, "{} of {carried_bps}", mean(&targets));
        prop_assert!(lag_p95(settled) < 1.0, "{} s late", lag_p95(settled));
    }
}

#[test]
fn a_picture_that_begins_with_too_much_is_soon_less_late() {
    for latency_ms in [5, 40, 150] {
        let samples = play(WhenSlow::KeepUp, latency_ms, &[(20, f64::from(FULL_BPS) / 2.0)]);
        let lags: Vec<f64> =
            samples.iter().filter_map(|sample| sample.live_lag).map(|lag| lag.as_secs_f64()).collect();
        assert!(most(&lags) < 1.5, "{} s late at {latency_ms} ms", most(&lags));
    }
}
