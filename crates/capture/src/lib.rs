//! Capture: from devices to encoded units.
//!
//! ```text
//! camera ─▶ I420 frame ─▶ H.264 encoder ─▶ access unit ─┐
//!                └▶ preview                             ├─▶ events of a session, units among them
//! microphone ─▶ PCM ─▶ 20 ms packets ─▶ Opus encoder ───┘
//!                └▶ level meter
//! ```
//!
//! [`start`] opens the devices of a [`Config`] and returns a [`Session`]. Its threads capture and encode
//! until it is stopped; what they make comes out as [`CaptureEvent`]s. [`Inputs`] are devices that stay open, with a
//! preview and a level meter, whether a session runs on them or not: what an app has on its screen. A device is one of this machine
//! ([`camera`], [`microphone`]), a [`synthetic`] one whose output can be measured, or a file that is played as
//! if it were live. A device that is unplugged or falls silent ends in an event, and capture goes on by itself when
//! it is back; the other track does not notice.
//!
//! All times are microseconds of one [`SessionClock`], so that sound and picture belong together.

pub mod camera;
pub mod clock;
mod device;
mod device_thread;
pub mod devices;
pub mod encode;
mod error;
mod file;
mod frame;
mod level;
pub mod microphone;
mod pcm;
mod quality;
mod session;
mod supervise;
pub mod synthetic;
mod warning;

pub use camera::CameraChoice;
pub use clock::{MonotonicClock, SessionClock, SimulatedClock};
pub use device::{Device, Next, Persistence, Source};
pub use devices::{DeviceChoice, DeviceInfo};
pub use encode::EncodeError;
pub use error::{DeviceError, DeviceKind, FileError, Phase, classify};
pub use file::STANDARD_INPUT;
pub use frame::{Frame, I420, PicturePool, PlanesMut};
pub use level::{Level, SILENCE_DBFS, level};
pub use microphone::MicrophoneChoice;
pub use pcm::{PcmBlock, SAMPLE_RATE_HZ};
pub use quality::{Preset, Quality};
pub use session::{
    AudioConfig, AudioEncoding, CameraInput, CaptureEvent, Config, Controls, EVENT_CAPACITY, Encoding,
    Failure, InputEvent, Inputs, MicrophoneInput, Preview, Session, StartError, Stats, VideoConfig,
    VideoEncoding, Wait, start,
};
pub use warning::{Warning, warnings};
