//! Raw sound: interleaved PCM samples at 48 kHz.

/// The sampling rate of everything behind a microphone, in Hz: the one that Opus is decoded at.
pub const SAMPLE_RATE_HZ: u32 = 48_000;

/// A run of sound.
#[derive(Debug, Clone, PartialEq)]
pub struct PcmBlock {
    /// Interleaved PCM samples between −1 and 1, at [`SAMPLE_RATE_HZ`].
    pub samples: Vec<f32>,
    /// 1 or 2.
    pub channels: u8,
    /// When the first sample was captured, in µs since the session's start.
    pub capture_us: u64,
}

impl PcmBlock {
    /// PCM samples per channel.
    #[must_use]
    pub fn len_48k(&self) -> usize {
        self.samples.len() / usize::from(self.channels.max(1))
    }
}

/// The duration of a number of samples per channel at a rate, in µs.
pub(crate) fn samples_us(samples: u64, rate_hz: u32) -> u64 {
    u64::try_from(u128::from(samples) * 1_000_000 / u128::from(rate_hz.max(1))).unwrap_or(u64::MAX)
}
