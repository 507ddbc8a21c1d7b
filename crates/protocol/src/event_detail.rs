//! What the `detail` of some [events](crate::control::Event) says, in a form that programs read as well as people:
//! words of the form `name=value`, in any order. A word that is not known is skipped.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The detail of [`EventKind::ClockDrift`](crate::control::EventKind::ClockDrift): the microphone's clock, measured
/// against the session's, such as `drift_ppm=12.3 offset_us_max=1200 offset_us_last=-300`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct ClockDrift {
    /// How much faster than the session's clock the microphone's runs, in parts per 10⁹. It was corrected. None when it
    /// was not observed long enough.
    pub drift_ppb: Option<i32>,
    /// The largest distance between the sound and the clock that the picture is on, in µs.
    pub offset_us_max: u32,
    /// The distance at last, in µs: positive when the sound's time is too early.
    pub offset_us_last: i32,
}

/// Why a session was interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InterruptionReason {
    /// The system slept, or held the program still.
    Sleep,
    /// A call took the microphone or the camera.
    PhoneCall,
    /// The person or the system took the permission to use a device back.
    PermissionWithdrawn,
    /// The device was too hot.
    Thermal,
    /// Another app took the camera.
    CameraLost,
    /// The app was in the background, where the system does not let it capture.
    Background,
    /// A publisher that keeps nothing, as a browser, lost its connection.
    ConnectionLost,
}

/// The detail of [`EventKind::Interrupted`](crate::control::EventKind::Interrupted), such as `reason=sleep`, and of
/// [`EventKind::Resumed`](crate::control::EventKind::Resumed), such as `reason=sleep away_ms=600000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interruption {
    /// Why.
    pub reason: InterruptionReason,
    /// How long nothing was captured, in ms; not yet known when it begins.
    pub away_ms: Option<u64>,
}

/// The detail of [`EventKind::SoundResynchronised`](crate::control::EventKind::SoundResynchronised), such as
/// `shift_ms=250`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoundShift {
    /// How much sound is missing, in ms; negative when there was too much of it, and some was cut out.
    pub shift_ms: i64,
}

/// The detail of [`EventKind::RateLowered`](crate::control::EventKind::RateLowered) and of
/// [`EventKind::RateRestored`](crate::control::EventKind::RateRestored): what is made of the picture, such as
/// `bitrate_bps=740000 full_bps=2000000 thinning=1 paused=0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkRate {
    /// The picture's bit rate, in bit/s.
    pub bitrate_bps: u32,
    /// The one that it has while nothing is in the way, in bit/s.
    pub full_bps: u32,
    /// One frame of so many is encoded; 1 for all.
    pub thinning: u32,
    /// The picture is not sent live; it follows later.
    pub is_paused: bool,
}

/// A detail that does not say what its event's kind promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the detail lacks {0}, or it has a value of the wrong form")]
pub struct DetailError(&'static str);

impl InterruptionReason {
    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::Sleep,
        Self::PhoneCall,
        Self::PermissionWithdrawn,
        Self::Thermal,
        Self::CameraLost,
        Self::Background,
        Self::ConnectionLost,
    ];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sleep => "sleep",
            Self::PhoneCall => "phone_call",
            Self::PermissionWithdrawn => "permission_withdrawn",
            Self::Thermal => "thermal",
            Self::CameraLost => "camera_lost",
            Self::Background => "background",
            Self::ConnectionLost => "connection_lost",
        }
    }
}

impl fmt::Display for ClockDrift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(drift_ppb) = self.drift_ppb {
            write!(f, "drift_ppm={:.1} ", f64::from(drift_ppb) / 1e3)?;
        }
        write!(f, "offset_us_max={} offset_us_last={}", self.offset_us_max, self.offset_us_last)
    }
}

impl FromStr for ClockDrift {
    type Err = DetailError;

    #[allow(clippy::cast_possible_truncation)]
    fn from_str(text: &str) -> Result<Self, DetailError> {
        let drift_ppb = match value(text, "drift_ppm") {
            None => None,
            Some(ppm) => match ppm.parse::<f64>() {
                Ok(ppm) if ppm.abs() <= 1e6 => Some((ppm * 1e3).round() as i32),
                _ => return Err(DetailError("drift_ppm")),
            },
        };
        let offset_us_max = number(text, "offset_us_max")?;
        Ok(Self { drift_ppb, offset_us_max, offset_us_last: number(text, "offset_us_last")? })
    }
}

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reason={}", self.reason.name())?;
        self.away_ms.map_or(Ok(()), |away_ms| write!(f, " away_ms={away_ms}"))
    }
}

impl FromStr for Interruption {
    type Err = DetailError;

    fn from_str(text: &str) -> Result<Self, DetailError> {
        let name = value(text, "reason").ok_or(DetailError("reason"))?;
        let reason = InterruptionReason::ALL.into_iter().find(|reason| reason.name() == name);
        let away_ms = value(text, "away_ms").map(|_| number(text, "away_ms")).transpose()?;
        Ok(Self { reason: reason.ok_or(DetailError("reason"))?, away_ms })
    }
}

impl fmt::Display for SoundShift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shift_ms={}", self.shift_ms)
    }
}

impl FromStr for SoundShift {
    type Err = DetailError;

    fn from_str(text: &str) -> Result<Self, DetailError> {
        Ok(Self { shift_ms: number(text, "shift_ms")? })
    }
}

impl fmt::Display for NetworkRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bitrate_bps, full_bps, thinning, is_paused } = self;
        write!(
            f,
            "bitrate_bps={bitrate_bps} full_bps={full_bps} thinning={thinning} paused={}",
            u8::from(*is_paused)
        )
    }
}

impl FromStr for NetworkRate {
    type Err = DetailError;

    fn from_str(text: &str) -> Result<Self, DetailError> {
        Ok(Self {
            bitrate_bps: number(text, "bitrate_bps")?,
            full_bps: number(text, "full_bps")?,
            thinning: number(text, "thinning")?,
            is_paused: number::<u8>(text, "paused")? > 0,
        })
    }
}

fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split_ascii_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

fn number<T: FromStr>(text: &str, name: &'static str) -> Result<T, DetailError> {
    value(text, name).and_then(|value| value.parse().ok()).ok_or(DetailError(name))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn details_are_read_as_they_are_written() {
        for drift_ppb in [None, Some(12_300), Some(-500), Some(0)] {
            let drift = ClockDrift { drift_ppb, offset_us_max: 1200, offset_us_last: -300 };
            assert_eq!(drift.to_string().parse(), Ok(drift));
        }
        let drift = ClockDrift { drift_ppb: Some(12_345), offset_us_max: 1200, offset_us_last: -300 };
        assert_eq!(drift.to_string(), "drift_ppm=12.3 offset_us_max=1200 offset_us_last=-300");
        for reason in InterruptionReason::ALL {
            let json = serde_json::to_string(&reason).unwrap();
            assert_eq!(json, format!("\"{}\"", reason.name()), "one name everywhere");
            for away_ms in [None, Some(600_000)] {
                let interruption = Interruption { reason, away_ms };
                assert_eq!(interruption.to_string().parse(), Ok(interruption));
            }
        }
        for is_paused in [false, true] {
            let rate = NetworkRate { bitrate_bps: 740_000, full_bps: 2_000_000, thinning: 2, is_paused };
            assert_eq!(rate.to_string().parse(), Ok(rate));
        }
        assert_eq!(SoundShift { shift_ms: -70 }.to_string().parse(), Ok(SoundShift { shift_ms: -70 }));
    }

    #[test]
    fn a_detail_that_says_less_is_refused_and_one_that_says_more_is_not() {
        for text in [
            "",
            "drift_ppm=1",
            "offset_us_max=1",
            "drift_ppm=NaN offset_us_max=1 offset_us_last=1",
            "offset_us_max=-1 offset_us_last=1",
        ] {
            assert!(text.parse::<ClockDrift>().is_err(), "{text}");
        }
        assert!("reason=boredom".parse::<Interruption>().is_err());
        assert!("reason=sleep away_ms=long".parse::<Interruption>().is_err());
        assert!("shift_ms".parse::<SoundShift>().is_err());
        assert!("bitrate_bps=1 full_bps=2 thinning=1".parse::<NetworkRate>().is_err());
        assert_eq!("more=1 shift_ms=5 words".parse(), Ok(SoundShift { shift_ms: 5 }));
    }
}
