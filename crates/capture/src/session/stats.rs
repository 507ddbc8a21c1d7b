use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use protocol::ClockDrift;

/// What has happened in a session so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Frames that the camera delivered to the session.
    pub frames_captured: u64,
    /// Frames that were dropped before encoding, as the encoder or the reader of events was too slow.
    pub frames_dropped: u64,
    /// Frames that the encoder skipped to keep to its bit rate.
    pub frames_skipped: u64,
    /// Frames that were left out on purpose, so that the network carries the rest.
    pub frames_thinned: u64,
    /// Video units.
    pub video_units: u64,
    /// Bytes of the video units' payloads.
    pub video_bytes: u64,
    /// The time that encoding the picture took, in µs.
    pub video_encode_us: u64,
    /// Runs of sound that were dropped before encoding.
    pub sound_dropped: u64,
    /// Audio units.
    pub audio_units: u64,
    /// Bytes of the audio units' payloads.
    pub audio_bytes: u64,
    /// The time that encoding the sound took, in µs.
    pub audio_encode_us: u64,
    /// The microphone's clock against the session's, and how far sound and picture are apart. None before a second of
    /// sound.
    pub clock_drift: Option<ClockDrift>,
}

/// The counters of one session.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) frames_captured: AtomicU64,
    pub(super) frames_dropped: AtomicU64,
    pub(super) frames_skipped: AtomicU64,
    pub(super) frames_thinned: AtomicU64,
    pub(super) video_units: AtomicU64,
    pub(super) video_bytes: AtomicU64,
    pub(super) video_encode_us: AtomicU64,
    pub(super) sound_dropped: AtomicU64,
    pub(super) audio_units: AtomicU64,
    pub(super) audio_bytes: AtomicU64,
    pub(super) audio_encode_us: AtomicU64,
    /// What the devices delivered in vain.
    pub(super) frames_missed: Missed,
    pub(super) sound_missed: Missed,
    pub(super) clock_drift: Mutex<Option<ClockDrift>>,
}

/// What a device delivered while nobody had room for it, counted from the session's start.
#[derive(Debug, Default)]
pub(super) struct Missed {
    counter: Arc<AtomicU64>,
    before: u64,
}

impl Missed {
    /// Counts from now on what `counter` counts.
    pub(super) fn from_now(counter: &Arc<AtomicU64>) -> Self {
        Self { counter: Arc::clone(counter), before: counter.load(Ordering::Relaxed) }
    }

    fn read(&self) -> u64 {
        self.counter.load(Ordering::Relaxed).saturating_sub(self.before)
    }
}

impl Counters {
    pub(super) fn read(&self) -> Stats {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            frames_captured: value(&self.frames_captured),
            frames_dropped: value(&self.frames_dropped) + self.frames_missed.read(),
            frames_skipped: value(&self.frames_skipped),
            frames_thinned: value(&self.frames_thinned),
            video_units: value(&self.video_units),
            video_bytes: value(&self.video_bytes),
            video_encode_us: value(&self.video_encode_us),
            sound_dropped: value(&self.sound_dropped) + self.sound_missed.read(),
            audio_units: value(&self.audio_units),
            audio_bytes: value(&self.audio_bytes),
            audio_encode_us: value(&self.audio_encode_us),
            clock_drift: *self.clock_drift.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    pub(super) fn set_clock_drift(&self, clock_drift: Option<ClockDrift>) {
        *self.clock_drift.lock().unwrap_or_else(PoisonError::into_inner) = clock_drift;
    }
}

/// Adds to a counter.
pub(super) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
