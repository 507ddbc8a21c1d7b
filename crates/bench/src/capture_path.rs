//! What capturing costs: the whole path from a source to units, beside the bare encoders on the same frames.
//!
//! The source is a Y4M and a WAV file, so that both sides see the same pictures and sound. What a real camera
//! adds, the conversion of its pixel format, is not in it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use capture::encode::h264::H264Encoder;
use capture::{
    AudioConfig, CameraChoice, CaptureEvent, Config, Frame, MicrophoneChoice, MonotonicClock, Next, Session,
    SessionClock, SimulatedClock, VideoConfig, synthetic,
};
use openh264::Timestamp;
use openh264::formats::YUVSlices;
use tempfile::TempDir;

use crate::{PictureSize, cpu, median};

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    size: PictureSize,
    /// Seconds of media, at 30 frames a second.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How often all are measured. The median counts: of the times, and of the ratios within one round.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
}

const FPS: u32 = 30;
const VIDEO_BITRATE_BPS: u32 = 2_000_000;
const CHANNELS: u8 = 2;
const AUDIO_BITRATE_BPS: u32 = 64_000;
const PACKET_SAMPLES: usize = 960;

/// Measures and prints the table.
pub(crate) fn run(options: &Options) -> Result<()> {
    let media = Media::make(options.size.width, options.size.height, options.seconds)?;
    let files = media.write()?;

    let (mut at_once, mut live, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        at_once.push(encode_bare(&media, Pace::AtOnce)?);
        live.push(encode_bare(&media, Pace::Live)?);
        whole.push(capture_files(&files)?);
        println!("round {round} of {}", options.rounds);
    }
    println!();
    println!(
        "{}×{} at {FPS} fps, 2 Mbit/s, Opus stereo at 64 kbit/s",
        options.size.width, options.size.height
    );
    println!("| what | CPU-s per minute | to the bare encoders at once | at the frames' times |");
    println!("| --- | ---: | ---: | ---: |");
    for (what, times) in [
        ("bare OpenH264 and libopus, frame after frame", &at_once),
        ("the same, each frame at its time", &live),
        ("the capture path", &whole),
    ] {
        println!(
            "| {what} | {:.2} | {:.3} | {:.3} |",
            median(times.iter().map(Duration::as_secs_f64)) * 60.0 / options.seconds as f64,
            median(ratios(times, &at_once)),
            median(ratios(times, &live)),
        );
    }
    Ok(())
}

/// Round by round, since a machine's speed changes over minutes.
fn ratios(times: &[Duration], baseline: &[Duration]) -> impl Iterator<Item = f64> {
    times.iter().zip(baseline).map(|(time, base)| time.as_secs_f64() / base.as_secs_f64())
}

/// Pictures and interleaved sound, as both sides encode them.
pub(crate) struct Media {
    width: u32,
    height: u32,
    seconds: u64,
    frames: Vec<Frame>,
    samples: Vec<f32>,
}

/// A camera and a microphone that are files: they cost nothing to draw, and end.
pub(crate) struct MediaFiles {
    folder: TempDir,
    width: u32,
    height: u32,
    seconds: u64,
}

impl Media {
    pub(crate) fn make(width: u32, height: u32, seconds: u64) -> Result<Self> {
        let clock: Arc<dyn SessionClock> = Arc::new(SimulatedClock::default());
        let mut camera = synthetic::camera(Arc::clone(&clock), width, height, FPS).open()?;
        let mut frames = Vec::new();
        while (frames.len() as u64) < seconds * u64::from(FPS) {
            if let Next::Ready(frame) = camera.next(Duration::from_secs(1))? {
                frames.push(frame);
            }
        }
        let clock: Arc<dyn SessionClock> = Arc::new(SimulatedClock::default());
        let mut microphone = synthetic::microphone(clock, CHANNELS).open()?;
        let mut samples = Vec::new();
        while (samples.len() as u64) < seconds * 48_000 * u64::from(CHANNELS) {
            if let Next::Ready(block) = microphone.next(Duration::from_secs(1))? {
                samples.extend(block.samples);
            }
        }
        Ok(Self { width, height, seconds, frames, samples })
    }

    pub(crate) fn write(&self) -> Result<MediaFiles> {
        let Self { width, height, seconds, .. } = *self;
        let files = MediaFiles { folder: tempfile::tempdir()?, width, height, seconds };
        self.write_y4m(&files.y4m())?;
        self.write_wav(&files.wav())?;
        Ok(files)
    }

    fn write_y4m(&self, path: &Path) -> Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        let picture = &self.frames.first().context("a frame")?.picture;
        writeln!(file, "YUV4MPEG2 W{} H{} F{FPS}:1 Ip A1:1 C420jpeg", picture.width(), picture.height())?;
        for Frame { picture, .. } in &self.frames {
            writeln!(file, "FRAME")?;
            // Synthetic pictures have no padding: their planes are Y4M's.
            ensure!(picture.stride() == picture.width(), "packed planes");
            for plane in [picture.y(), picture.u(), picture.v()] {
                file.write_all(plane)?;
            }
        }
        Ok(file.flush()?)
    }

    /// 32-bit float PCM; the layout of `WAVE_FORMAT_IEEE_FLOAT` in Microsoft's multimedia specification.
    fn write_wav(&self, path: &Path) -> Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        let channels = u16::from(CHANNELS);
        let payload_bytes = u32::try_from(self.samples.len() * 4)?;
        file.write_all(b"RIFF")?;
        file.write_all(&(36 + payload_bytes).to_le_bytes())?;
        file.write_all(b"WAVEfmt ")?;
        file.write_all(&16u32.to_le_bytes())?;
        file.write_all(&3u16.to_le_bytes())?;
        file.write_all(&channels.to_le_bytes())?;
        file.write_all(&48_000u32.to_le_bytes())?;
        file.write_all(&(48_000 * u32::from(channels) * 4).to_le_bytes())?;
        file.write_all(&(channels * 4).to_le_bytes())?;
        file.write_all(&32u16.to_le_bytes())?;
        file.write_all(b"data")?;
        file.write_all(&payload_bytes.to_le_bytes())?;
        for sample in &self.samples {
            file.write_all(&sample.to_le_bytes())?;
        }
        Ok(file.flush()?)
    }
}

/// When a frame of the bare encoders is encoded.
#[derive(Clone, Copy, PartialEq)]
enum Pace {
    /// As soon as the one before is done: caches stay warm and the processor awake.
    AtOnce,
    /// At its time, as a camera delivers it.
    Live,
}

/// The encoders alone, called straight from this thread with what lies in memory.
fn encode_bare(media: &Media, pace: Pace) -> Result<Duration> {
    let clock = MonotonicClock::start();
    let start = cpu::of_self()?;
    let mut video = H264Encoder::new(FPS, VIDEO_BITRATE_BPS).bare()?;
    let mut audio = opus::Encoder::new(48_000, opus::Channels::Stereo, opus::Application::Audio)?;
    audio.set_bitrate(opus::Bitrate::Bits(AUDIO_BITRATE_BPS.cast_signed()))?;
    let mut packet = vec![0; 4_000];
    let mut packets =
        media.samples.chunks_exact(PACKET_SAMPLES * usize::from(CHANNELS)).enumerate().peekable();
    let mut bytes = 0;
    for (at, Frame { picture, capture_us }) in media.frames.iter().enumerate() {
        if pace == Pace::Live {
            clock.sleep_until_us(*capture_us);
        }
        while let Some((_, samples)) = packets.next_if(|(packet, _)| *packet as u64 * 20_000 <= *capture_us) {
            bytes += audio.encode_float(samples, &mut packet)?;
        }
        if at > 0 && at % (2 * FPS as usize) == 0 {
            video.force_intra_frame();
        }
        let planes = YUVSlices::new(
            (picture.y(), picture.u(), picture.v()),
            (picture.width(), picture.height()),
            (picture.stride(), picture.chroma_stride(), picture.chroma_stride()),
        );
        let stream = video.encode_at(&planes, Timestamp::from_millis(capture_us / 1_000))?;
        bytes += stream.to_vec().len();
    }
    let spent = cpu::of_self()? - start;
    ensure!(bytes > 0, "the encoders made something");
    Ok(spent)
}

impl MediaFiles {
    fn y4m(&self) -> PathBuf {
        self.folder.path().join("clip.y4m")
    }

    fn wav(&self) -> PathBuf {
        self.folder.path().join("clip.wav")
    }

    /// Starts to capture them in real time, as `longtake publish` does.
    pub(crate) fn capture(&self) -> Result<Session> {
        let name = |path: PathBuf| path.to_str().map(str::to_owned).context("a plain name");
        let config = Config {
            video: Some(VideoConfig {
                camera: CameraChoice::File(name(self.y4m())?),
                width: self.width,
                height: self.height,
                fps: FPS,
                bitrate_bps: VIDEO_BITRATE_BPS,
            }),
            audio: Some(AudioConfig {
                microphone: MicrophoneChoice::File(name(self.wav())?),
                channels: CHANNELS,
                bitrate_bps: AUDIO_BITRATE_BPS,
            }),
        };
        Ok(capture::start(&config, Arc::new(MonotonicClock::start()))?)
    }

    /// A slower machine would drop frames, and so seem cheap.
    pub(crate) fn ensure_whole(&self, units: u64) -> Result<()> {
        let expected = self.seconds * (u64::from(FPS) + 50);
        ensure!(units + 5 >= expected, "{units} of {expected} units: this machine is too slow or too busy");
        Ok(())
    }
}

/// The whole path, up to the events.
fn capture_files(files: &MediaFiles) -> Result<Duration> {
    let start = cpu::of_self()?;
    let session = files.capture()?;
    let mut units = 0;
    for event in session.events() {
        if let CaptureEvent::Unit { .. } = event {
            units += 1;
        }
    }
    let spent = cpu::of_self()? - start;
    files.ensure_whole(units)?;
    Ok(spent)
}
