//! A capture session: sources, encoders and the threads between them.
//!
//! ```text
//! camera thread ──▶ frames (bounded, drops when full) ──▶ encoder thread ──▶ events (bounded, waits)
//!        └────────▶ preview (newest only)
//! microphone thread ──▶ sound (bounded, drops when full) ──▶ encoder thread ──▶ the same events
//! ```
//! A reader of events that is too slow makes the encoders wait; raw frames and raw sound are then dropped *before*
//! they are encoded, and counted. What has been encoded is never dropped.

mod audio;
mod event;
mod preview;
mod stats;
mod video;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

pub use event::{CaptureEvent, Failure};
pub use preview::Preview;
use protocol::Track;
pub use stats::Stats;

use self::audio::AudioControl;
use self::stats::Counters;
use self::video::VideoControl;
use crate::camera::format::Wanted;
use crate::camera::{self, CameraChoice};
use crate::clock::SessionClock;
use crate::device::{Source, Stop};
use crate::encode::h264::H264Encoder;
use crate::encode::opus::{OpusEncoder, default_bitrate_bps};
use crate::encode::{AudioEncoder, EncodeError, VideoEncoder};
use crate::error::{DeviceError, DeviceKind};
use crate::frame::Frame;
use crate::microphone::{self, MicrophoneChoice};
use crate::pcm::PcmBlock;
use crate::quality::Quality;
use crate::supervise::Supervisor;

/// Events that wait for their reader: about two seconds of both tracks.
pub const EVENT_CAPACITY: usize = 256;

/// What to capture. At least one of the two tracks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// The video track.
    pub video: Option<VideoConfig>,
    /// The audio track.
    pub audio: Option<AudioConfig>,
}

/// What the video track is to be. A camera or a file may deliver another size; the encoder follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoConfig {
    /// Where pictures come from.
    pub camera: CameraChoice,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Frames per second.
    pub fps: u32,
    /// In bit/s.
    pub bitrate_bps: u32,
}

impl VideoConfig {
    /// A camera at a quality.
    #[must_use]
    pub const fn new(camera: CameraChoice, quality: Quality) -> Self {
        let preset = quality.preset();
        Self {
            camera,
            width: preset.width,
            height: preset.height,
            fps: preset.fps,
            bitrate_bps: preset.bitrate_bps,
        }
    }
}

/// What the audio track is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioConfig {
    /// Where sound comes from.
    pub microphone: MicrophoneChoice,
    /// 1 or 2.
    pub channels: u8,
    /// In bit/s.
    pub bitrate_bps: u32,
}

impl AudioConfig {
    /// A microphone with 1 or 2 channels at the default bit rate.
    #[must_use]
    pub const fn new(microphone: MicrophoneChoice, channels: u8) -> Self {
        Self { microphone, channels, bitrate_bps: default_bitrate_bps(channels) }
    }
}

/// Why a session cannot start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Neither track is configured.
    #[error("there is nothing to capture: choose a camera, a microphone, or both")]
    NoTrack,
    /// A figure of the configuration is out of range.
    #[error("{what} of {value} is out of range: choose {allowed}")]
    OutOfRange {
        /// Which figure.
        what: &'static str,
        /// What it is.
        value: u32,
        /// What it may be.
        allowed: &'static str,
    },
    /// The camera or the microphone cannot be opened.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// An encoder cannot be set up.
    #[error(transparent)]
    Encoder(#[from] EncodeError),
    /// The system has no thread left.
    #[error("the system refuses another thread: {0}")]
    Thread(String),
}

/// Starts to capture. The configured devices are open when this returns; units follow as events.
///
/// # Errors
/// [`StartError`] when a configured device cannot be opened. A caller for whom one track is enough asks again
/// without the other.
pub fn start(config: &Config, clock: Arc<dyn SessionClock>) -> Result<Session, StartError> {
    config.check()?;
    let mut parts = Parts::default();
    let stop = Stop::default();
    let counters = Arc::new(Counters::default());
    if let Some(video) = &config.video {
        let wanted = Wanted { width: video.width, height: video.height, fps: video.fps };
        let camera = camera::source(&video.camera, wanted, &clock, &stop, &counters.frames_dropped);
        let encoder = Box::new(H264Encoder::new(video.fps, video.bitrate_bps));
        parts.video = Some(VideoParts { camera, encoder, fps: video.fps });
    }
    if let Some(audio) = &config.audio {
        let dropped = &counters.sound_dropped;
        let microphone = microphone::source(&audio.microphone, audio.channels, &clock, &stop, dropped);
        let encoder = Box::new(OpusEncoder::new(audio.channels, audio.bitrate_bps)?);
        parts.audio = Some(AudioParts { microphone, encoder, channels: audio.channels });
    }
    start_parts(parts, clock, stop, counters)
}

impl Config {
    fn check(&self) -> Result<(), StartError> {
        if self.video.is_none() && self.audio.is_none() {
            return Err(StartError::NoTrack);
        }
        let within = |what, value, range: std::ops::RangeInclusive<u32>, allowed| {
            if range.contains(&value) { Ok(()) } else { Err(StartError::OutOfRange { what, value, allowed }) }
        };
        if let Some(video) = &self.video {
            within("a width", video.width, 64..=3840, "64 to 3840 pixels")?;
            within("a height", video.height, 64..=2160, "64 to 2160 pixels")?;
            within("a frame rate", video.fps, 1..=120, "1 to 120 frames per second")?;
            within("a video bit rate", video.bitrate_bps, 50_000..=100_000_000, "50 kbit/s to 100 Mbit/s")?;
        }
        if let Some(audio) = &self.audio {
            within("a number of channels", audio.channels.into(), 1..=2, "1 or 2")?;
            within("an audio bit rate", audio.bitrate_bps, 6_000..=510_000, "6 to 510 kbit/s")?;
        }
        Ok(())
    }
}

/// What a session is made of; tests put in their own.
#[derive(Default)]
pub(crate) struct Parts {
    pub(crate) video: Option<VideoParts>,
    pub(crate) audio: Option<AudioParts>,
}

pub(crate) struct VideoParts {
    pub(crate) camera: Box<dyn Source<Frame>>,
    pub(crate) encoder: Box<dyn VideoEncoder>,
    pub(crate) fps: u32,
}

pub(crate) struct AudioParts {
    pub(crate) microphone: Box<dyn Source<PcmBlock>>,
    pub(crate) encoder: Box<dyn AudioEncoder>,
    pub(crate) channels: u8,
}

pub(crate) fn start_parts(
    parts: Parts,
    clock: Arc<dyn SessionClock>,
    stop: Stop,
    counters: Arc<Counters>,
) -> Result<Session, StartError> {
    let (sender, events) = sync_channel(EVENT_CAPACITY);
    let controls = Controls {
        stop: stop.clone(),
        video: VideoControl::default(),
        audio: AudioControl::default(),
        counters,
        preview: Preview::default(),
    };
    // Both devices are opened before a thread runs, so that a failure leaves nothing behind.
    let camera = parts.video.map(|parts| {
        let supervisor =
            Supervisor::open(DeviceKind::Camera, parts.camera, Arc::clone(&clock), stop.clone())?;
        Ok::<_, StartError>((supervisor, parts.encoder, parts.fps))
    });
    let camera = camera.transpose()?;
    let microphone = parts.audio.map(|parts| {
        let supervisor = Supervisor::open(DeviceKind::Microphone, parts.microphone, clock, stop)?;
        Ok::<_, StartError>((supervisor, parts.encoder, parts.channels))
    });
    let microphone = microphone.transpose()?;
    let camera_name = camera.as_ref().map(|(supervisor, ..)| supervisor.name());
    let microphone_name = microphone.as_ref().map(|(supervisor, ..)| supervisor.name());
    let session = Session { events: Some(events), controls: controls.clone(), camera_name, microphone_name };
    if let Some((supervisor, encoder, fps)) = camera {
        video::spawn(supervisor, encoder, fps, &controls, &sender)?;
    }
    if let Some((supervisor, encoder, channels)) = microphone {
        audio::spawn(supervisor, encoder, channels, &controls, &sender)?;
    }
    Ok(session)
}

/// A running capture session. Dropping it stops it at once; what its reader has not fetched is gone then.
#[derive(Debug)]
pub struct Session {
    /// `None` only while it is dropped.
    events: Option<Receiver<CaptureEvent>>,
    controls: Controls,
    camera_name: Option<String>,
    microphone_name: Option<String>,
}

impl Session {
    /// The events, as they come. The iterator ends when both tracks have ended: of themselves, or after
    /// [`stop`](Self::stop), and then only after every encoded unit has come out.
    pub fn events(&self) -> impl Iterator<Item = CaptureEvent> {
        self.events.iter().flatten()
    }

    /// The next event, if one comes within `patience`.
    pub fn next_event(&self, patience: Duration) -> Wait {
        match self.events.as_ref().map(|events| events.recv_timeout(patience)) {
            Some(Ok(event)) => Wait::Event(event),
            Some(Err(RecvTimeoutError::Timeout)) => Wait::Nothing,
            Some(Err(RecvTimeoutError::Disconnected)) | None => Wait::Ended,
        }
    }

    /// Asks the session to stop. The events that follow end with every encoded unit delivered.
    pub fn stop(&self) {
        self.controls.stop();
    }

    /// Makes the next video unit an IDR picture.
    pub fn request_idr(&self) {
        self.controls.request_idr();
    }

    /// Changes the video bit rate from the next frame on.
    pub fn set_video_bitrate_bps(&self, bitrate_bps: u32) {
        self.controls.set_video_bitrate_bps(bitrate_bps);
    }

    /// What controls the session from another thread.
    #[must_use]
    pub fn controls(&self) -> Controls {
        self.controls.clone()
    }

    /// The plain name of the camera; `None` without a video track.
    #[must_use]
    pub fn camera_name(&self) -> Option<&str> {
        self.camera_name.as_deref()
    }

    /// The plain name of the microphone; `None` without an audio track.
    #[must_use]
    pub fn microphone_name(&self) -> Option<&str> {
        self.microphone_name.as_deref()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.controls.stop();
    }
}

/// What waiting for an event brought.
#[derive(Debug)]
pub enum Wait {
    /// An event.
    Event(CaptureEvent),
    /// Nothing yet.
    Nothing,
    /// There will be no more events.
    Ended,
}

/// Controls a session from any thread.
#[derive(Debug, Clone)]
pub struct Controls {
    stop: Stop,
    video: VideoControl,
    audio: AudioControl,
    counters: Arc<Counters>,
    preview: Preview,
}

impl Controls {
    /// Asks the session to stop; see [`Session::stop`].
    pub fn stop(&self) {
        self.stop.request();
    }

    /// Makes the next video unit an IDR picture.
    pub fn request_idr(&self) {
        self.video.request_idr();
    }

    /// Changes the video bit rate from the next frame on. OpenH264 takes 10 kbit/s to 240 Mbit/s; what is
    /// beyond becomes the nearest of these.
    pub fn set_video_bitrate_bps(&self, bitrate_bps: u32) {
        self.video.set_bitrate_bps(bitrate_bps);
    }

    /// Changes the audio bit rate from the next packet on, within 6 to 510 kbit/s.
    pub fn set_audio_bitrate_bps(&self, bitrate_bps: u32) {
        self.audio.set_bitrate_bps(bitrate_bps);
    }

    /// What has happened so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.counters.read()
    }

    /// Where the newest frame can be fetched.
    #[must_use]
    pub fn preview(&self) -> Preview {
        self.preview.clone()
    }
}

/// Sends an event, waiting for room. `false` when nobody reads any more.
fn tell(events: &SyncSender<CaptureEvent>, event: CaptureEvent) -> bool {
    events.send(event).is_ok()
}

fn spawn_thread(track: Track, role: &str, body: impl FnOnce() + Send + 'static) -> Result<(), StartError> {
    std::thread::Builder::new()
        .name(format!("{track} {role}"))
        .spawn(body)
        .map(drop)
        .map_err(|error| StartError::Thread(error.to_string()))
}
