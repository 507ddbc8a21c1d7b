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
