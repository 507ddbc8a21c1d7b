//! What happens to a session, in the words of its recording and of a person.

use std::time::Duration;

use capture::DeviceError;
use protocol::control::EventKind;
use protocol::{ClockDrift, Interruption, InterruptionReason, SoundShift};

/// A wait that takes this much longer than it may was a sleep: no busy machine leaves a thread aside for so long.
const ASLEEP_FROM_US: u64 = 5_000_000;

/// One event of the recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: EventKind,
    /// When, in µs since the session's start.
    pub(crate) at_us: u64,
    pub(crate) detail: String,
    /// What a person is told of it, if anything.
    pub(crate) remark: Option<String>,
}

impl Entry {
    /// An event whose detail is for people already.
    pub(crate) fn plain(kind: EventKind, at_us: u64, detail: String) -> Self {
        Self { kind, at_us, remark: Some(detail.clone()), detail }
    }

    fn interruption(kind: EventKind, at_us: u64, interruption: Interruption, remark: Option<String>) -> Self {
        Self { kind, at_us, detail: interruption.to_string(), remark }
    }
}

/// How a sleep shows: a thread began to wait, for at most `patience`, and comes back much later on the session's clock,
/// which counts sleep. None when it does not.
pub(crate) fn sleep(began_us: u64, back_us: u64, patience: Duration) -> Option<[Entry; 2]> {
    let patience_us = u64::try_from(patience.as_micros()).unwrap_or(u64::MAX);
    let away_us = back_us.saturating_sub(began_us);
    if away_us < patience_us.saturating_add(ASLEEP_FROM_US) {
        return None;
    }
    let (reason, away_ms) = (InterruptionReason::Sleep, Some(away_us / 1_000));
    let remark = format!("the system slept for {:.1} s", away_us as f64 / 1e6);
    Some([
        Entry::interruption(EventKind::Interrupted, began_us, Interruption { reason, away_ms: None }, None),
        Entry::interruption(EventKind::Resumed, back_us, Interruption { reason, away_ms }, Some(remark)),
    ])
}

/// The devices that were lost for a reason that is not theirs.
#[derive(Debug, Default)]
pub(crate) struct Interruptions {
    reason: Option<InterruptionReason>,
}

impl Interruptions {
    /// A device was lost.
    pub(crate) fn lost(&mut self, at_us: u64, error: &DeviceError) -> Entry {
        match error {
            DeviceError::PermissionDenied(_) => {
                let reason = InterruptionReason::PermissionWithdrawn;
                self.reason = Some(reason);
                let interruption = Interruption { reason, away_ms: None };
                Entry::interruption(EventKind::Interrupted, at_us, interruption, Some(error.to_string()))
            }
            error => Entry::plain(EventKind::DeviceLost, at_us, error.to_string()),
        }
    }

    /// It is back.
    pub(crate) fn restored(&mut self, at_us: u64, away_us: u64) -> Entry {
        let words = format!("back after {:.1} s", away_us as f64 / 1e6);
        match self.reason.take() {
            Some(reason) => {
                let interruption = Interruption { reason, away_ms: Some(away_us / 1_000) };
                Entry::interruption(EventKind::Resumed, at_us, interruption, Some(words))
            }
            None => Entry::plain(EventKind::DeviceRestored, at_us, words),
        }
    }
}

/// Sound was set to the clock.
pub(crate) fn resynchronised(at_us: u64, shift_us: i64) -> Entry {
    let shift_ms = shift_us / 1_000;
    let remark = if shift_us > 0 {
        format!("{shift_ms} ms of sound were lost; what follows is in time")
    } else {
        format!("{} ms of sound were too much and are left out", -shift_ms)
    };
    let kind = EventKind::SoundResynchronised;
    Entry { kind, at_us, detail: SoundShift { shift_ms }.to_string(), remark: Some(remark) }
}

/// How the microphone's clock ran, at the end.
pub(crate) fn clock_drift(at_us: u64, drift: &ClockDrift) -> Entry {
    Entry { kind: EventKind::ClockDrift, at_us, detail: drift.to_string(), remark: None }
}

/// The same for a person: `microphone clock +12.3 ppm, corrected; sound within 1.2 ms of the picture`.
#[must_use]
pub fn clock_drift_text(drift: &ClockDrift) -> String {
    let within = format!("sound within {:.1} ms of the picture", f64::from(drift.offset_us_max) / 1e3);
    match drift.drift_ppb {
        Some(ppb) => format!("microphone clock {:+.1} ppm, corrected; {within}", f64::from(ppb) / 1e3),
        None => within,
    }
}

#[cfg(test)]
mod tests {
    use capture::DeviceKind;

    use super::*;

    #[test]
    fn a_wait_that_lasts_minutes_was_a_sleep_and_a_busy_machine_is_none() {
        let patience = Duration::from_millis(250);
        for back_us in [1_000_000, 1_250_000, 5_900_000, 0] {
            assert_eq!(sleep(1_000_000, back_us, patience), None, "{back_us}");
        }
        let told = sleep(1_000_000, 601_000_000, patience)
            .map(|entries| entries.map(|e| (e.kind, e.at_us, e.detail)));
        let interrupted = (EventKind::Interrupted, 1_000_000, "reason=sleep".to_owned());
        let resumed = (EventKind::Resumed, 601_000_000, "reason=sleep away_ms=600000".to_owned());
        assert_eq!(told, Some([interrupted, resumed]));
    }

    #[test]
    fn a_permission_that_is_withdrawn_interrupts_and_an_unplugged_device_is_lost() {
        let mut camera = Interruptions::default();
        let lost = camera.lost(7, &DeviceError::PermissionDenied(DeviceKind::Camera));
        assert_eq!((lost.kind, &*lost.detail), (EventKind::Interrupted, "reason=permission_withdrawn"));
        let back = camera.restored(9, 2_500_000);
        assert_eq!(
            (back.kind, &*back.detail),
            (EventKind::Resumed, "reason=permission_withdrawn away_ms=2500")
        );
        let lost = camera.lost(10, &DeviceError::Unplugged(DeviceKind::Camera));
        assert_eq!(lost.kind, EventKind::DeviceLost);
        let back = camera.restored(11, 2_500_000);
        assert_eq!((back.kind, &*back.detail), (EventKind::DeviceRestored, "back after 2.5 s"));
    }

    #[test]
    fn lost_and_surplus_sound_are_told_with_their_length() {
        assert_eq!(resynchronised(1, 250_400).detail, "shift_ms=250");
        assert_eq!(
            resynchronised(1, -70_000).remark.as_deref(),
            Some("70 ms of sound were too much and are left out")
        );
    }

    #[test]
    fn the_drift_is_stated_as_far_as_it_is_known() {
        let mut drift = ClockDrift { drift_ppb: Some(12_340), offset_us_max: 1_160, offset_us_last: -20 };
        let text = "microphone clock +12.3 ppm, corrected; sound within 1.2 ms of the picture";
        assert_eq!(clock_drift_text(&drift), text);
        assert_eq!(
            clock_drift(1, &drift).detail.parse().ok().map(|d: ClockDrift| d.offset_us_max),
            Some(1_160)
        );
        drift.drift_ppb = None;
        assert_eq!(clock_drift_text(&drift), "sound within 1.2 ms of the picture");
    }
}
