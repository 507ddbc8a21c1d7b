//! A capture session: sources, encoders and the thread of each track.
//!
//! ```text
//! camera ──▶ frame ──▶ preview (newest only) ──▶ encoder ──▶ events (bounded)
//! microphone ──▶ sound ──▶ level ──▶ encoder ──▶ the same events
//! ```
//! One thread a track takes what its device delivers, shows it, encodes it and tells the unit: nothing is handed from
//! one thread to another but what a device's own thread delivers. While a reader of events is too slow, raw frames and
//! raw sound are dropped *before* they are encoded, and counted. What has been encoded is never dropped.

mod audio;
mod event;
mod input;
mod inputs;
mod preview;
mod stats;
mod take;
mod video;

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

pub use event::{CaptureEvent, Failure};
pub use inputs::{AudioEncoding, CameraInput, Encoding, InputEvent, Inputs, MicrophoneInput, VideoEncoding};
pub use preview::Preview;
use protocol::Track;
pub use stats::Stats;

use self::audio::{AudioCoder, AudioControl};
use self::input::{Input, Watch};
use self::inputs::{Mute, audio_take, video_take};
use self::stats::{Counters, Missed};
use self::video::{VideoCoder, VideoControl};
use crate::camera::format::Wanted;
use crate::camera::{self, CameraChoice};
use crate::clock::SessionClock;
use crate::device::Stop;
use crate::encode::EncodeError;
use crate::encode::opus::default_bitrate_bps;
use crate::error::{DeviceError, DeviceKind};
use crate::frame::Frame;
use crate::level::level;
use crate::microphone::{self, MicrophoneChoice};
use crate::pcm::{PcmBlock, SAMPLE_RATE_HZ};
use crate::quality::Quality;
use crate::supervise::Supervisor;

/// Events that wait for their reader: about two seconds of both tracks.
pub const EVENT_CAPACITY: usize = 256;

/// PCM samples per channel that one level covers: 20 ms.
const LEVEL_SAMPLES: usize = SAMPLE_RATE_HZ as usize / 50;

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
    let encoding = config.encoding();
    let stop = Stop::default();
    let (frames_missed, sound_missed) = (Arc::default(), Arc::default());
    let counters = Counters {
        frames_missed: Missed::from_now(&frames_missed),
        sound_missed: Missed::from_now(&sound_missed),
        ..Counters::default()
    };
    let controls = Controls::new(stop.clone(), counters, Preview::default(), &clock, 0);
    let (sender, events) = sync_channel(EVENT_CAPACITY);
    // Both devices are opened before a thread runs, so that a failure leaves nothing behind.
    let camera = config.video.as_ref().map(|video| {
        let wanted = Wanted { width: video.width, height: video.height, fps: video.fps };
        let source = camera::source(&video.camera, wanted, &clock, &stop, &frames_missed);
        Supervisor::open(DeviceKind::Camera, source, Arc::clone(&clock), stop.clone())
    });
    let camera = camera.transpose()?;
    let microphone = config.audio.as_ref().map(|audio| {
        let source = microphone::source(&audio.microphone, audio.channels, &clock, &stop, &sound_missed);
        Supervisor::open(DeviceKind::Microphone, source, Arc::clone(&clock), stop.clone())
    });
    let microphone = microphone.transpose()?;
    let video_take = encoding.video.map(|video| video_take(video, &controls, &clock, 0, &sender));
    let audio_take = encoding
        .audio
        .map(|audio| audio_take(audio, &Mute::default(), &controls, &clock, 0, &sender))
        .transpose()?;
    let mut session = Session::new(events, controls.clone());
    session.camera_name = camera.as_ref().map(Supervisor::name);
    session.microphone_name = microphone.as_ref().map(Supervisor::name);
    // Nobody can command these threads any more, so that they end with their takes.
    if camera.is_some() {
        Input {
            track: Track::Video,
            clock: Arc::clone(&clock),
            commands: sync_channel(0).1,
            watch: video_watch(controls.preview()),
            listener: None,
            device: camera,
            is_stand_in: false,
            take: video_take,
        }
        .spawn()?;
    }
    if microphone.is_some() {
        Input {
            track: Track::Audio,
            clock,
            commands: sync_channel(0).1,
            watch: audio_watch(),
            listener: None,
            device: microphone,
            is_stand_in: false,
            take: audio_take,
        }
        .spawn()?;
    }
    Ok(session)
}

impl Config {
    fn encoding(&self) -> Encoding {
        let video = self.video.as_ref();
        let audio = self.audio.as_ref();
        Encoding {
            video: video.map(|video| VideoEncoding { fps: video.fps, bitrate_bps: video.bitrate_bps }),
            audio: audio
                .map(|audio| AudioEncoding { channels: audio.channels, bitrate_bps: audio.bitrate_bps }),
        }
    }

    fn check(&self) -> Result<(), StartError> {
        self.encoding().check()?;
        if let Some(video) = &self.video {
            within("a width", video.width, 64..=3840, "64 to 3840 pixels")?;
            within("a height", video.height, 64..=2160, "64 to 2160 pixels")?;
        }
        Ok(())
    }
}

impl Encoding {
    fn check(&self) -> Result<(), StartError> {
        if self.video.is_none() && self.audio.is_none() {
            return Err(StartError::NoTrack);
        }
        if let Some(video) = &self.video {
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

fn within(
    what: &'static str,
    value: u32,
    range: std::ops::RangeInclusive<u32>,
    allowed: &'static str,
) -> Result<(), StartError> {
    if range.contains(&value) { Ok(()) } else { Err(StartError::OutOfRange { what, value, allowed }) }
}

/// Puts each frame where the preview is fetched.
fn video_watch(preview: Preview) -> Watch<Frame> {
    Box::new(move |frame| {
        preview.put(frame.clone());
        None
    })
}

/// Meters the sound in runs of 20 ms or a little more.
fn audio_watch() -> Watch<PcmBlock> {
    let mut metered: Vec<f32> = Vec::new();
    Box::new(move |block| {
        metered.extend_from_slice(&block.samples);
        let enough = metered.len() >= LEVEL_SAMPLES * usize::from(block.channels);
        enough.then(|| {
            let level = level(&metered);
            metered.clear();
            level
        })
    })
}

/// A running capture session. Dropping it stops it at once; what its reader has not fetched is gone then.
pub struct Session {
    events: Receiver<CaptureEvent>,
    controls: Controls,
    camera_name: Option<String>,
    microphone_name: Option<String>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("controls", &self.controls).finish_non_exhaustive()
    }
}

impl Session {
    fn new(events: Receiver<CaptureEvent>, controls: Controls) -> Self {
        Self { events, controls, camera_name: None, microphone_name: None }
    }

    /// Microseconds since the session's start, as its units' capture times are.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        self.controls.now_us()
    }

    /// The events, as they come. The iterator ends when both tracks have ended: of themselves, or after
    /// [`stop`](Self::stop), and then only after every encoded unit has come out.
    pub fn events(&self) -> impl Iterator<Item = CaptureEvent> {
        self.events.iter()
    }

    /// The next event, if one comes within `patience`.
    pub fn next_event(&self, patience: Duration) -> Wait {
        match self.events.recv_timeout(patience) {
            Ok(event) => Wait::Event(event),
            Err(RecvTimeoutError::Timeout) => Wait::Nothing,
            Err(RecvTimeoutError::Disconnected) => Wait::Ended,
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

    /// The plain name of the camera with which it was [started](start); `None` without a video track.
    #[must_use]
    pub fn camera_name(&self) -> Option<&str> {
        self.camera_name.as_deref()
    }

    /// The plain name of the microphone with which it was [started](start); `None` without an audio track.
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
    time: Time,
}

/// The session's own time.
#[derive(Clone)]
struct Time {
    clock: Arc<dyn SessionClock>,
    origin_us: u64,
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Time").field("origin_us", &self.origin_us).finish_non_exhaustive()
    }
}

impl Controls {
    fn new(
        stop: Stop,
        counters: Counters,
        preview: Preview,
        clock: &Arc<dyn SessionClock>,
        origin_us: u64,
    ) -> Self {
        let (video, audio) = (VideoControl::default(), AudioControl::default());
        let time = Time { clock: Arc::clone(clock), origin_us };
        Self { stop, video, audio, counters: Arc::new(counters), preview, time }
    }

    /// Microseconds since the session's start; see [`Session::now_us`].
    #[must_use]
    pub fn now_us(&self) -> u64 {
        self.time.clock.now_us().saturating_sub(self.time.origin_us)
    }

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

    /// Changes the frame rate that the encoder counts on, from the next frame on, which becomes an IDR picture. The
    /// camera's own rate is another matter.
    pub fn set_video_fps(&self, fps: u32) {
        self.video.set_fps(fps);
    }

    /// Encodes one frame of `thinning` from the next one on. The bit rate is that of the frames that remain; their times
    /// stay true.
    pub fn set_video_thinning(&self, thinning: u32) {
        self.video.set_thinning(thinning);
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
