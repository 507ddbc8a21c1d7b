//! A camera and a microphone that need no hardware and can be measured.
//!
//! Both follow the session's clock on a fixed grid: frame `k` is captured at `k / fps` seconds, PCM sample
//! `n` at `n / 48000`. On each whole second the picture is white for one frame and the sound clicks, so
//! that whoever receives them can measure how far sound and picture are apart; every picture carries its
//! capture time in [machine-readable form](read_time_ms).

mod camera;
mod microphone;
mod picture;
mod time_code;

pub(crate) use camera::SyntheticCamera;
pub(crate) use microphone::SyntheticMicrophone;
use std::sync::Arc;

use crate::clock::SessionClock;
use crate::device::Source;
use crate::frame::Frame;
use crate::pcm::PcmBlock;
pub use picture::{FLASH_LUMA, is_flash};
pub use time_code::read_time_ms;

/// The frequency of the synthetic microphone's tone, in Hz.
pub const TONE_HZ: u32 = 1_000;

/// The amplitude of the tone: −30 dBFS.
pub const TONE_AMPLITUDE: f32 = 0.031_6;

/// The amplitude of the click on each whole second.
pub const CLICK_AMPLITUDE: f32 = 0.9;

/// The length of the click in PCM samples: 2 ms.
pub const CLICK_SAMPLES: u64 = 96;

/// The synthetic camera, without a session around it. Odd sides are rounded down; `fps` is at least 1.
#[must_use]
pub fn camera(clock: Arc<dyn SessionClock>, width: u32, height: u32, fps: u32) -> Box<dyn Source<Frame>> {
    Box::new(SyntheticCamera::new(clock, width, height, fps))
}

/// The synthetic microphone with 1 or 2 channels, without a session around it.
#[must_use]
pub fn microphone(clock: Arc<dyn SessionClock>, channels: u8) -> Box<dyn Source<PcmBlock>> {
    Box::new(SyntheticMicrophone::new(clock, channels))
}
