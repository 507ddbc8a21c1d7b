//! The camera and the microphone, open, previewed and metered, with or without a session.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use protocol::Track;

use super::input::{Command, Input, Opening};
use super::take::{Outbox, Take};
use super::{
    AudioCoder, CaptureEvent, Controls, EVENT_CAPACITY, Preview, Session, StartError, VideoCoder,
    audio_watch, video_watch,
};
use crate::camera::blank::BlankCamera;
use crate::camera::format::Wanted;
use crate::camera::{self, CameraChoice};
use crate::clock::SessionClock;
use crate::device::{Source, Stop};
use crate::encode::h264::H264Encoder;
use crate::encode::opus::OpusEncoder;
use crate::error::DeviceError;
use crate::frame::Frame;
use crate::level::Level;
use crate::microphone::{self, MicrophoneChoice};
use crate::pcm::PcmBlock;
use crate::session::stats::{Counters, Missed};

/// What a thread was told and has not done yet. More makes the caller wait.
const COMMAND_CAPACITY: usize = 16;

/// A camera, and what is asked of it. It may deliver another size or rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraInput {
    /// Where pictures come from.
    pub camera: CameraChoice,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Frames per second.
    pub fps: u32,
}

/// A microphone, and what is asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MicrophoneInput {
    /// Where sound comes from.
    pub microphone: MicrophoneChoice,
    /// 1 or 2.
    pub channels: u8,
}

/// What a session makes of the inputs. At least one of the two tracks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Encoding {
    /// The video track.
    pub video: Option<VideoEncoding>,
    /// The audio track.
    pub audio: Option<AudioEncoding>,
}

/// How the picture is encoded, in the size in which it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoEncoding {
    /// Frames per second.
    pub fps: u32,
    /// In bit/s.
    pub bitrate_bps: u32,
}

/// How the sound is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioEncoding {
    /// 1 or 2; a microphone with another number is mixed.
    pub channels: u8,
    /// In bit/s.
    pub bitrate_bps: u32,
}

/// What happens to the inputs.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum InputEvent {
    /// The device that was set is open.
    Opened {
        /// The camera's or the microphone's.
        track: Track,
        /// Its plain name.
        name: String,
    },
    /// The device that was set cannot be opened, or now for another reason. It is tried again until it can be.
    NotOpened {
        /// The camera's or the microphone's.
        track: Track,
        /// Why.
        error: DeviceError,
    },
    /// The device was lost, or is lost for another reason than before. It is opened again as soon as it can be.
    Lost {
        /// The camera's or the microphone's.
        track: Track,
        /// Why.
        error: DeviceError,
    },
    /// The device delivers again.
    Restored {
        /// The camera's or the microphone's.
        track: Track,
        /// How long nothing was captured, in µs.
        away_us: u64,
    },
    /// The device was switched off: dark pictures come instead.
    Off {
        /// The camera's.
        track: Track,
    },
    /// A file is over, or cannot be played.
    Ended {
        /// The camera's or the microphone's.
        track: Track,
        /// Why, if it was not in order.
        error: Option<DeviceError>,
    },
    /// How loud the microphone is, about fifty times a second. Left out when the reader is slow.
    Level(Level),
}

/// Whether silence is sent instead of sound.
#[derive(Debug, Clone, Default)]
pub(super) struct Mute(Arc<AtomicBool>);

impl Mute {
    pub(super) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The camera and the microphone. Dropping it closes them, once a session on them is over.
pub struct Inputs {
    clock: Arc<dyn SessionClock>,
    camera: SyncSender<Command<Frame>>,
    microphone: SyncSender<Command<PcmBlock>>,
    set: Mutex<Set>,
    mute: Mute,
    preview: Preview,
    frames_missed: Arc<AtomicU64>,
    sound_missed: Arc<AtomicU64>,
}

/// What the inputs are set to.
struct Set {
    camera: Option<CameraInput>,
    camera_is_on: bool,
    /// End attempts to open what was set before.
    camera_stop: Stop,
    microphone_stop: Stop,
}

impl Inputs {
    /// Starts without a device. Events come until the inputs are dropped; a reader has to fetch them.
    ///
    /// # Errors
    /// [`StartError::Thread`].
    pub fn start(clock: Arc<dyn SessionClock>) -> Result<(Self, Receiver<InputEvent>), StartError> {
        let (listener, events) = sync_channel(EVENT_CAPACITY);
        let preview = Preview::default();
        let (camera, commands) = sync_channel(COMMAND_CAPACITY);
        let video = Input {
            track: Track::Video,
            clock: Arc::clone(&clock),
            commands,
            watch: video_watch(preview.clone()),
            listener: Some(listener.clone()),
            device: None,
            is_stand_in: false,
            take: None,
        };
        let (microphone, commands) = sync_channel(COMMAND_CAPACITY);
        let audio = Input {
            track: Track::Audio,
            clock: Arc::clone(&clock),
            commands,
            watch: audio_watch(),
            listener: Some(listener),
            device: None,
            is_stand_in: false,
            take: None,
        };
        video.spawn()?;
        audio.spawn()?;
        let set = Set {
            camera: None,
            camera_is_on: true,
            camera_stop: Stop::default(),
            microphone_stop: Stop::default(),
        };
        let inputs = Self {
            clock,
            camera,
            microphone,
            set: Mutex::new(set),
            mute: Mute::default(),
            preview,
            frames_missed: Arc::default(),
            sound_missed: Arc::default(),
        };
        Ok((inputs, events))
    }

    /// Sets the camera; none closes it. Returns at once, an event tells the outcome. A session that runs goes on
    /// with it; its picture may have another size from then on.
    pub fn set_camera(&self, input: Option<CameraInput>) {
        let mut set = self.set();
        set.camera = input;
        self.apply_camera(&mut set);
    }

    /// Switches the camera off, so that its light goes out and dark pictures are sent, or on again.
    pub fn set_camera_on(&self, on: bool) {
        let mut set = self.set();
        if set.camera_is_on != on {
            set.camera_is_on = on;
            self.apply_camera(&mut set);
        }
    }

    /// Sets the microphone; none closes it. Returns at once, an event tells the outcome. A session that runs goes on
    /// with it.
    pub fn set_microphone(&self, input: Option<MicrophoneInput>) {
        let mut set = self.set();
        set.microphone_stop.request();
        set.microphone_stop = Stop::default();
        let opening = input.map(|input| {
            let stop = set.microphone_stop.clone();
            let (clock, missed) = (&self.clock, &self.sound_missed);
            let source = microphone::source(&input.microphone, input.channels, clock, &stop, missed);
            Opening { source, stop, is_stand_in: false }
        });
        tell(&self.microphone, Command::Open(opening));
    }

    /// Sends silence instead of sound, or sound again. The level is still told.
    pub fn set_muted(&self, muted: bool) {
        self.mute.0.store(muted, Ordering::Relaxed);
    }

    /// Where the newest frame can be fetched.
    #[must_use]
    pub fn preview(&self) -> Preview {
        self.preview.clone()
    }

    /// Begins a session on the inputs as they are: its time 0 is now. One that still runs ends.
    /// Its events have to be read, or the session dropped: else the track's thread waits at its end.
    ///
    /// # Errors
    /// [`StartError::NoTrack`], [`StartError::OutOfRange`], or [`StartError::Encoder`].
    pub fn record(&self, encoding: &Encoding) -> Result<Session, StartError> {
        encoding.check()?;
        let origin_us = self.clock.now_us();
        let (sender, events) = sync_channel(EVENT_CAPACITY);
        let counters = Counters {
            frames_missed: Missed::from_now(&self.frames_missed),
            sound_missed: Missed::from_now(&self.sound_missed),
            ..Counters::default()
        };
        let controls = Controls::new(Stop::default(), counters, self.preview.clone(), &self.clock, origin_us);
        let audio = encoding
            .audio
            .map(|audio| audio_take(audio, &self.mute, &controls, &self.clock, origin_us, &sender))
            .transpose()?;
        if let Some(video) = encoding.video {
            tell(&self.camera, Command::Begin(video_take(video, &controls, &self.clock, origin_us, &sender)));
        }
        if let Some(audio) = audio {
            tell(&self.microphone, Command::Begin(audio));
        }
        Ok(Session::new(events, controls))
    }

    fn set(&self) -> std::sync::MutexGuard<'_, Set> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply_camera(&self, set: &mut Set) {
        set.camera_stop.request();
        set.camera_stop = Stop::default();
        let opening = set.camera.as_ref().map(|input| {
            let stop = set.camera_stop.clone();
            let (clock, missed) = (&self.clock, &self.frames_missed);
            let wanted = Wanted { width: input.width, height: input.height, fps: input.fps };
            let source: Box<dyn Source<Frame>> = if set.camera_is_on {
                camera::source(&input.camera, wanted, clock, &stop, missed)
            } else {
                Box::new(BlankCamera::new(Arc::clone(clock), wanted))
            };
            Opening { source, stop, is_stand_in: !set.camera_is_on }
        });
        tell(&self.camera, Command::Open(opening));
    }
}

/// The thread lives as long as somebody can tell it something; if it has panicked all the same, there is nobody to
/// tell.
fn tell<T>(thread: &SyncSender<Command<T>>, command: Command<T>) {
    let _ = thread.send(command);
}

pub(super) fn video_take(
    encoding: VideoEncoding,
    controls: &Controls,
    clock: &Arc<dyn SessionClock>,
    origin_us: u64,
    events: &SyncSender<CaptureEvent>,
) -> Take<Frame> {
    let encoder = Box::new(H264Encoder::new(encoding.fps, encoding.bitrate_bps));
    let (control, counters) = (controls.video.clone(), Arc::clone(&controls.counters));
    let coder = VideoCoder::new(encoder, encoding.fps, control, counters, Arc::clone(clock), origin_us);
    Take::new(Track::Video, Box::new(coder), Outbox::new(events.clone()), controls.stop.clone())
}

pub(super) fn audio_take(
    encoding: AudioEncoding,
    mute: &Mute,
    controls: &Controls,
    clock: &Arc<dyn SessionClock>,
    origin_us: u64,
    events: &SyncSender<CaptureEvent>,
) -> Result<Take<PcmBlock>, StartError> {
    let AudioEncoding { channels, bitrate_bps } = encoding;
    let encoder = Box::new(OpusEncoder::new(channels, bitrate_bps)?);
    let (control, counters) = (controls.audio.clone(), Arc::clone(&controls.counters));
    let (mute, clock) = (mute.clone(), Arc::clone(clock));
    let coder = AudioCoder::new(encoder, channels, control, mute, counters, clock, origin_us);
    Ok(Take::new(Track::Audio, Box::new(coder), Outbox::new(events.clone()), controls.stop.clone()))
}
