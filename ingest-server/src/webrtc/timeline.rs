//! A WebRTC publisher's times as the session's: one clock for picture and sound. Pure.
//!
//! RTP times begin anywhere, on each track. A track is placed by when its first unit arrives. From then on the sound is the clock,
//! and the picture follows it: sender reports (RFC 3550 §6.4.1) say which RTP times of the two are the same moment, and the picture
//! moves there little by little, a twentieth of its speed at the most, so that no picture comes before an earlier one.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::Track;

/// A unit that lies further from its arrival than this is on another clock than those before it: the track is placed anew.
const MAX_OFF_90K: i64 = 10 * 90_000;
/// A correction by a sender report beyond this is not believed.
const MAX_CORRECTION_90K: i64 = 5 * 90_000;
/// The picture is moved by at most this part of the time that has passed.
const SLEW: i64 = 20;

/// What a sender report says: an RTP time, and the sender's wall clock then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) rtp_90k: i64,
    pub(super) wall_90k: i64,
}

impl Report {
    pub(super) fn new(rtp_90k: i64, wall: SystemTime) -> Option<Self> {
        let wall = wall.duration_since(UNIX_EPOCH).ok()?;
        Some(Self { rtp_90k, wall_90k: ticks_90k(wall) })
    }
}

/// A duration in 1/90000 s.
pub(super) fn ticks_90k(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros() * 9 / 100).unwrap_or(i64::MAX / 4)
}

/// One track's place.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// Session time minus RTP time, once the track has begun.
    offset: Option<i64>,
    last: Option<u64>,
}

/// The clock of a session whose publisher speaks WebRTC.
///
/// Invariant: the times of a track ascend.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    places: [Place; 2],
    /// The sender's wall clock minus session time, by the sound's latest report.
    wall_zero: Option<i64>,
}

impl Timeline {
    /// The unit that came last is the first behind what was there before: what follows comes after it.
    pub(super) const fn continues(&mut self, track: Track, last_90k: u64) {
        self.places[track as usize].last = Some(last_90k);
    }

    /// When a unit is to be shown, in 1/90000 s since the session's start; `arrived` counts from there too.
    pub(super) fn pts_90k(
        &mut self,
        track: Track,
        rtp_90k: i64,
        arrived: Duration,
        report: Option<Report>,
    ) -> u64 {
        let arrived = ticks_90k(arrived);
        let place = &mut self.places[track as usize];
        let offset = match place.offset {
            Some(offset) if (rtp_90k.saturating_add(offset) - arrived).abs() <= MAX_OFF_90K => offset,
            _ => {
                if track == Track::Audio {
                    self.wall_zero = None;
                }
                arrived.saturating_sub(rtp_90k)
            }
        };
        let passed = place.last.map_or(0, |last| rtp_90k.saturating_add(offset).saturating_sub(last as i64));
        let offset = match (track, report, self.wall_zero) {
            (Track::Audio, Some(report), _) => {
                self.wall_zero = Some(report.wall_90k.saturating_sub(report.rtp_90k.saturating_add(offset)));
                offset
            }
            (Track::Video, Some(report), Some(zero)) => {
                let wanted = report.wall_90k.saturating_sub(zero).saturating_sub(report.rtp_90k);
                offset + step(wanted.saturating_sub(offset), passed)
            }
            _ => offset,
        };
        let at_least = place.last.map_or(0, |last| last + 1);
        let pts_90k = u64::try_from(rtp_90k.saturating_add(offset)).unwrap_or(0).max(at_least);
        *place = Place { offset: Some(offset), last: Some(pts_90k) };
        pts_90k
    }
}

/// How far to move towards what is wanted, in the time that has passed.
fn step(correction: i64, passed: i64) -> i64 {
    if correction.abs() > MAX_CORRECTION_90K {
        return 0;
    }
    let most = passed.max(0) / SLEW;
    correction.clamp(-most, most)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_track_is_placed_by_its_first_arrival_and_then_by_its_own_clock() {
        let mut timeline = Timeline::default();
        let mut pts = |rtp, arrived| timeline.pts_90k(Track::Audio, rtp, arrived, None);
        assert_eq!(pts(1_000_000, ms(100)), 9_000);
        assert_eq!(pts(1_001_800, ms(190)), 10_800, "late on the network");
        assert_eq!(pts(1_003_600, ms(150)), 12_600);
        // The source began anew.
        assert_eq!(pts(5, ms(200)), 18_000);
        assert_eq!(pts(1_805, ms(220)), 19_800);
    }

    #[test]
    fn the_picture_moves_to_the_sound_that_was_captured_with_it_and_never_back_in_time() {
        let mut timeline = Timeline::default();
        let (mut last, mut off) = (None, 0);
        let wall = 1_000_000_000;
        for number in 0..400_i64 {
            // Captured together; the picture takes 120 ms longer on its first way.
            let captured = number * 3_000;
            let arrived = ms(number as u64 * 100 / 3 + 50);
            let sound = timeline.pts_90k(
                Track::Audio,
                captured + 7_000_000,
                arrived,
                Some(Report { rtp_90k: 7_000_000, wall_90k: wall }),
            );
            let late = if number == 0 { ms(170) } else { arrived };
            let picture = timeline.pts_90k(
                Track::Video,
                captured + 31_000,
                late,
                Some(Report { rtp_90k: 31_000, wall_90k: wall }),
            );
            assert!(last.is_none_or(|last| last < picture), "{last:?} then {picture}");
            last = Some(picture);
            off = picture as i64 - sound as i64;
        }
        assert_eq!(off, 0);
    }

    #[test]
    fn a_report_that_cannot_be_is_not_believed() {
        let mut timeline = Timeline::default();
        let sound = Some(Report { rtp_90k: 0, wall_90k: 0 });
        timeline.pts_90k(Track::Audio, 0, ms(0), sound);
        for number in 0..100 {
            let wrong = Some(Report { rtp_90k: 0, wall_90k: 90_000 * 3_600 });
            let pts = timeline.pts_90k(Track::Video, number * 3_000, ms(number as u64 * 100 / 3), wrong);
            assert_eq!(pts, number as u64 * 3_000);
        }
    }

    proptest! {
        #[test]
        fn times_ascend_whatever_the_network_and_the_reports_say(
            steps in prop::collection::vec((any::<bool>(), any::<i32>(), 0_u64..100_000, any::<i32>(), any::<bool>()), 1..200),
        ) {
            let mut timeline = Timeline::default();
            let mut last = [None::<u64>; 2];
            for (is_video, rtp, arrived, wall, has_report) in steps {
                let track = if is_video { Track::Video } else { Track::Audio };
                let report = has_report.then_some(Report { rtp_90k: rtp.into(), wall_90k: wall.into() });
                let pts = timeline.pts_90k(track, rtp.into(), ms(arrived), report);
                prop_assert!(last[track as usize].is_none_or(|last| last < pts));
                last[track as usize] = Some(pts);
            }
        }
    }
}
