//! From the device's sampling rate to 48 kHz.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _};

use crate::error::{DeviceError, DeviceKind};
use crate::pcm::{PcmBlock, SAMPLE_RATE_HZ, samples_us};

/// Input samples per channel that are converted at once, roughly.
const BATCH_SAMPLES: usize = 441;

/// Converts a stream to 48 kHz and keeps its capture times true: neither the filter's delay nor the
/// samples that wait for their batch shift the sound.
pub(crate) struct Resampler {
    rate_hz: u32,
    channels: usize,
    /// `None` when the device already runs at 48 kHz.
    filter: Option<Fft<f32>>,
    /// Samples that do not fill a batch yet.
    waiting: Vec<f32>,
    /// Output samples per channel still to be thrown away: the filter's delay.
    delay: usize,
    /// Input samples per channel taken in, and output samples handed out.
    taken: u64,
    given: u64,
    /// When the first input sample would have been captured, judging by the newest block.
    start_us: u64,
}

impl Resampler {
    /// # Errors
    /// [`DeviceError::Unsupported`] when the rate cannot be converted.
    pub(crate) fn new(kind: DeviceKind, rate_hz: u32, channels: u8) -> Result<Self, DeviceError> {
        let channels = usize::from(channels);
        let filter = if rate_hz == SAMPLE_RATE_HZ {
            None
        } else {
            let (from, to) = (rate_hz as usize, SAMPLE_RATE_HZ as usize);
            let filter = Fft::new(from, to, BATCH_SAMPLES, channels, FixedSync::Both);
            Some(filter.map_err(|error| DeviceError::Unsupported { kind, detail: error.to_string() })?)
        };
        let delay = filter.as_ref().map_or(0, |filter| filter.output_delay());
        Ok(Self { rate_hz, channels, filter, waiting: Vec::new(), delay, taken: 0, given: 0, start_us: 0 })
    }

    /// Takes a run of sound whose first sample was captured at `capture_us`. `None` when nothing is ready.
    pub(crate) fn push(&mut self, samples: Vec<f32>, capture_us: u64) -> Option<PcmBlock> {
        let Some(filter) = &mut self.filter else {
            #[allow(clippy::cast_possible_truncation)]
            let channels = self.channels as u8;
            return (!samples.is_empty()).then_some(PcmBlock { samples, channels, capture_us });
        };
        self.start_us = capture_us.saturating_sub(samples_us(self.taken, self.rate_hz));
        self.taken += (samples.len() / self.channels) as u64;
        self.waiting.extend(samples);
        let mut output = Vec::new();
        let batch = filter.input_frames_next() * self.channels;
        let mut used = 0;
        while self.waiting.len() - used >= batch {
            convert(filter, &self.waiting[used..used + batch], self.channels, &mut output);
            used += batch;
        }
        self.waiting.drain(..used);
        self.block(output)
    }

    /// What is still inside, when the stream ends; afterwards `None`.
    pub(crate) fn finish(&mut self) -> Option<PcmBlock> {
        let filter = self.filter.as_mut()?;
        let due = u128::from(self.taken) * u128::from(SAMPLE_RATE_HZ) / u128::from(self.rate_hz);
        let left = usize::try_from(u64::try_from(due).ok()?.saturating_sub(self.given)).ok()?;
        let mut output = Vec::new();
        while output.len() < (left + self.delay) * self.channels {
            self.waiting.resize(filter.input_frames_next() * self.channels, 0.0);
            let before = output.len();
            convert(filter, &self.waiting, self.channels, &mut output);
            self.waiting.clear();
            if output.len() == before {
                break;
            }
        }
        output.truncate((left + self.delay) * self.channels);
        self.block(output)
    }

    fn block(&mut self, mut samples: Vec<f32>) -> Option<PcmBlock> {
        let cut = self.delay.min(samples.len() / self.channels);
        samples.drain(..cut * self.channels);
        self.delay -= cut;
        if samples.is_empty() {
            return None;
        }
        let capture_us = self.start_us + samples_us(self.given, SAMPLE_RATE_HZ);
        self.given += (samples.len() / self.channels) as u64;
        #[allow(clippy::cast_possible_truncation)]
        let channels = self.channels as u8;
        Some(PcmBlock { samples, channels, capture_us })
    }
}

/// Appends one converted batch to `output`. The sizes come from the filter itself, so that it cannot refuse
/// them; should it, the batch becomes silence of no length and the session's clock shows the gap.
fn convert(filter: &mut Fft<f32>, input: &[f32], channels: usize, output: &mut Vec<f32>) {
    let frames = input.len() / channels;
    let Ok(input) = InterleavedSlice::new(input, channels, frames) else { return };
    match filter.process(&input, None) {
        Ok(converted) => output.extend(converted.take_data()),
        Err(error) => tracing::error!(%error, "resampling failed"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::cast_precision_loss)]
mod tests {
    use super::*;

    #[test]
    fn a_click_keeps_its_time_through_every_rate() {
        for rate_hz in [8_000_u32, 16_000, 22_050, 44_100, 48_000, 88_200, 96_000] {
            let mut resampler = Resampler::new(DeviceKind::Microphone, rate_hz, 1).unwrap();
            let click = rate_hz as usize / 2;
            let sound: Vec<f32> =
                (0..rate_hz as usize).map(|n| (-(n.abs_diff(click) as f32 / 8.0).powi(2)).exp()).collect();
            let block = (rate_hz / 100) as usize;
            let mut blocks: Vec<PcmBlock> = sound
                .chunks(block)
                .enumerate()
                .filter_map(|(n, run)| {
                    resampler.push(run.to_vec(), 5_000_000 + samples_us((n * block) as u64, rate_hz))
                })
                .collect();
            blocks.extend(resampler.finish());
            assert!(resampler.finish().is_none());
            let mut expected_us = blocks[0].capture_us;
            let mut loudest = (0.0_f32, 0);
            let mut total = 0;
            for block in &blocks {
                assert!(
                    block.capture_us.abs_diff(expected_us) <= 1000,
                    "{rate_hz} Hz: blocks are contiguous"
                );
                for (n, sample) in block.samples.iter().enumerate() {
                    if *sample > loudest.0 {
                        loudest = (*sample, block.capture_us + samples_us(n as u64, SAMPLE_RATE_HZ));
                    }
                }
                expected_us = block.capture_us + samples_us(block.len_48k() as u64, SAMPLE_RATE_HZ);
                total += block.len_48k();
            }
            assert!((47_990..=48_010).contains(&total), "{rate_hz} Hz: {total} samples");
            assert!(loudest.1.abs_diff(5_500_000) < 400, "{rate_hz} Hz: click at {} µs", loudest.1);
        }
    }
}
