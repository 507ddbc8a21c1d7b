use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What has happened in a session so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Frames that the camera delivered to the session.
    pub frames_captured: u64,
    /// Frames that were dropped before encoding, as the encoder or the reader of events was too slow.
    pub frames_dropped: u64,
    /// Frames that the encoder skipped to keep to its bit rate.
    pub frames_skipped: u64,
    /// Video units.
    pub video_units: u64,
    /// Bytes of the video units' payloads.
    pub video_bytes: u64,
    /// Runs of sound that were dropped before encoding.
    pub sound_dropped: u64,
    /// Audio units.
    pub audio_units: u64,
    /// Bytes of the audio units' payloads.
    pub audio_bytes: u64,
    /// Level events that were left out as the reader was slow.
    pub levels_dropped: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) frames_captured: AtomicU64,
    pub(crate) frames_dropped: Arc<AtomicU64>,
    pub(crate) frames_skipped: AtomicU64,
    pub(crate) video_units: AtomicU64,
    pub(crate) video_bytes: AtomicU64,
    pub(crate) sound_dropped: Arc<AtomicU64>,
    pub(crate) audio_units: AtomicU64,
    pub(crate) audio_bytes: AtomicU64,
    pub(crate) levels_dropped: AtomicU64,
}

impl Counters {
    pub(super) fn read(&self) -> Stats {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            frames_captured: value(&self.frames_captured),
            frames_dropped: value(&self.frames_dropped),
            frames_skipped: value(&self.frames_skipped),
            video_units: value(&self.video_units),
            video_bytes: value(&self.video_bytes),
            sound_dropped: value(&self.sound_dropped),
            audio_units: value(&self.audio_units),
            audio_bytes: value(&self.audio_bytes),
            levels_dropped: value(&self.levels_dropped),
        }
    }
}

/// Adds to a counter.
pub(super) fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}
