//! The synthetic microphone: a quiet tone, and a click exactly on each whole second.

use std::sync::Arc;
use std::time::Duration;

use super::{CLICK_AMPLITUDE, CLICK_SAMPLES, TONE_AMPLITUDE, TONE_HZ};
use crate::clock::{SessionClock, duration_us};
use crate::device::{Device, Next, Persistence, Source};
use crate::error::DeviceError;
use crate::pcm::{PcmBlock, SAMPLE_RATE_HZ, samples_us};

/// PCM samples in a block: 10 ms.
const BLOCK_SAMPLES: u64 = 480;

/// A microphone that computes its sound.
#[derive(Clone)]
pub(crate) struct SyntheticMicrophone {
    clock: Arc<dyn SessionClock>,
    channels: u8,
}

impl SyntheticMicrophone {
    pub(crate) fn new(clock: Arc<dyn SessionClock>, channels: u8) -> Self {
        Self { clock, channels }
    }
}

impl Source<PcmBlock> for SyntheticMicrophone {
    fn open(&mut self) -> Result<Box<dyn Device<PcmBlock>>, DeviceError> {
        let next_sample = sample_at(self.clock.now_us());
        Ok(Box::new(OpenMicrophone { setup: self.clone(), next_sample }))
    }

    fn persistence(&self) -> Persistence {
        Persistence::Reopens
    }

    fn name(&self) -> String {
        "Synthetic microphone".to_owned()
    }
}

struct OpenMicrophone {
    setup: SyntheticMicrophone,
    next_sample: u64,
}

impl Device<PcmBlock> for OpenMicrophone {
    fn next(&mut self, patience: Duration) -> Result<Next<PcmBlock>, DeviceError> {
        let clock = &self.setup.clock;
        // A block is complete when its last PCM sample has been captured.
        let due_us = samples_us(self.next_sample + BLOCK_SAMPLES, SAMPLE_RATE_HZ);
        let give_up_us = clock.now_us().saturating_add(duration_us(patience));
        clock.sleep_until_us(due_us.min(give_up_us));
        if clock.now_us() < due_us {
            return Ok(Next::Nothing);
        }
        let first = self.next_sample;
        self.next_sample += BLOCK_SAMPLES;
        let channels = usize::from(self.setup.channels);
        let samples =
            (first..self.next_sample).flat_map(|n| std::iter::repeat_n(sound(n), channels)).collect();
        let capture_us = samples_us(first, SAMPLE_RATE_HZ);
        Ok(Next::Ready(PcmBlock { samples, channels: self.setup.channels, capture_us }))
    }
}

/// The first PCM sample of the block grid that is captured at or after a time.
fn sample_at(us: u64) -> u64 {
    let sample = (us * u64::from(SAMPLE_RATE_HZ)).div_ceil(1_000_000);
    sample.div_ceil(BLOCK_SAMPLES) * BLOCK_SAMPLES
}

/// PCM sample `n` since the session's start.
fn sound(n: u64) -> f32 {
    let rate = u64::from(SAMPLE_RATE_HZ);
    // A loud square wave of 2 kHz: its onset is as steep as 48 kHz allow.
    if n % rate < CLICK_SAMPLES {
        return if (n % rate / 12).is_multiple_of(2) { CLICK_AMPLITUDE } else { -CLICK_AMPLITUDE };
    }
    let period = rate / u64::from(TONE_HZ);
    #[allow(clippy::cast_precision_loss)]
    let phase = (n % period) as f32 / period as f32;
    TONE_AMPLITUDE * (phase * std::f32::consts::TAU).sin()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;

    #[test]
    fn clicks_fall_on_whole_seconds_and_blocks_are_contiguous() {
        let clock = Arc::new(SimulatedClock::default());
        clock.advance_us(987_654);
        let mut microphone = SyntheticMicrophone::new(Arc::clone(&clock) as _, 2).open().unwrap();
        let (mut clicks, mut expected_us, mut blocks) = (Vec::new(), None, 0);
        while clock.now_us() < 5_500_000 {
            let Next::Ready(block) = microphone.next(Duration::from_millis(100)).unwrap() else { continue };
            assert!(expected_us.is_none_or(|us| us == block.capture_us));
            assert!(
                block.capture_us + 10_000 <= clock.now_us(),
                "nothing is delivered before it was captured"
            );
            expected_us = Some(block.capture_us + 10_000);
            blocks += 1;
            if let Some(at) = block.samples.iter().step_by(2).position(|sample| sample.abs() > 0.5) {
                clicks.push(block.capture_us + samples_us(at as u64, SAMPLE_RATE_HZ));
            }
        }
        assert_eq!(clicks, [1_000_000, 2_000_000, 3_000_000, 4_000_000, 5_000_000]);
        assert_eq!(blocks, 451);
    }
}
