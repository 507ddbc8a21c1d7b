//! Timescales. The session's common clock counts in 1/90000 s; media time is what MP4 counts in.

use protocol::Track;

/// Ticks of a track's media time in one second: 90000 for video; 48000 for audio, the rate at
/// which every Opus decoder can run (RFC 7845 §4).
#[must_use]
pub const fn timescale(track: Track) -> u32 {
    match track {
        Track::Video => 90_000,
        Track::Audio => 48_000,
    }
}

/// A time on the session's clock as media time, rounded down.
///
/// Audio is 8/15 of the clock; times that lie a multiple of 1/6000 s apart, as packets of whole
/// milliseconds do, stay exactly as far apart in media time.
#[must_use]
pub const fn media_time(track: Track, pts_90k: u64) -> u64 {
    match track {
        Track::Video => pts_90k,
        Track::Audio => pts_90k / 15 * 8 + pts_90k % 15 * 8 / 15,
    }
}

/// The earliest time on the session's clock that [`media_time`] maps to `media_time`.
///
/// For video it is the inverse. For audio it may lie one tick below the time that was stored, since
/// 48000 ticks a second cannot tell 90000 apart. Saturates instead of overflowing.
#[must_use]
pub const fn clock_time_90k(track: Track, media_time: u64) -> u64 {
    match track {
        Track::Video => media_time,
        Track::Audio => (media_time / 8).saturating_mul(15).saturating_add((media_time % 8 * 15).div_ceil(8)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn twenty_milliseconds_of_audio_are_always_960_ticks() {
        for start in 0..100 {
            let step = media_time(Track::Audio, start + 1800) - media_time(Track::Audio, start);
            assert_eq!(step, 960, "from {start}");
        }
    }

    proptest! {
        #[test]
        fn audio_times_return_to_within_one_tick(pts_90k in 0..u64::MAX) {
            let back = clock_time_90k(Track::Audio, media_time(Track::Audio, pts_90k));
            prop_assert!(back <= pts_90k && pts_90k - back <= 1, "{} became {}", pts_90k, back);
        }

        #[test]
        fn media_times_survive_the_clock(time in 0..u64::MAX / 2) {
            prop_assert_eq!(media_time(Track::Audio, clock_time_90k(Track::Audio, time)), time);
            prop_assert_eq!(media_time(Track::Video, clock_time_90k(Track::Video, time)), time);
        }
    }
}
