//! Real units from real encoders, and the players that judge files.

#![allow(dead_code, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bytes::Bytes;
use media::h264::{access_unit_from_annexb, codec_parameters};
use media::mp4::read_fragment;
use media::mp4::recording::{Layout, RecordedPart, RecordedTrack};
use media::part::{Part, PartAssembler, PartLimits};
use openh264::encoder::{Encoder, EncoderConfig, FrameRate, RateControlMode};
use openh264::formats::YUVBuffer;
use openh264::{OpenH264API, Timestamp};
use protocol::Track;
use protocol::codec::CodecParameters;
use protocol::unit::{Lane, Unit};

pub(crate) const FRAME_90K: u64 = 3_000;
pub(crate) const PACKET_90K: u64 = 1_800;

/// A moving gradient, 30 frames a second, with an IDR picture every `idr_every` frames.
pub(crate) fn video(
    width: usize,
    height: usize,
    frames: u64,
    idr_every: u64,
) -> (CodecParameters, Vec<Unit>) {
    let config = EncoderConfig::new()
        .max_frame_rate(FrameRate::from_hz(30.0))
        .rate_control_mode(RateControlMode::Off)
        .skip_frames(false);
    let mut encoder = Encoder::with_api_config(OpenH264API::from_source(), config).unwrap();
    let (mut parameters, mut units) = (None, Vec::new());
    for number in 0..frames {
        let mut yuv = vec![128; width * height * 3 / 2];
        for (at, luma) in yuv[..width * height].iter_mut().enumerate() {
            *luma = (at % width + at / width * 2 + number as usize * 5) as u8;
        }
        if number % idr_every == 0 {
            encoder.force_intra_frame();
        }
        let picture = YUVBuffer::from_vec(yuv, width, height);
        let stream =
            encoder.encode_at(&picture, Timestamp::from_millis(number * 1000 / 30)).unwrap().to_vec();
        let access_unit = access_unit_from_annexb(&stream).unwrap();
        assert_eq!(access_unit.key, number % idr_every == 0);
        if let Some(sets) = &access_unit.parameter_sets {
            parameters.get_or_insert_with(|| codec_parameters(sets, FRAME_90K as u32).unwrap());
        }
        units.push(unit(number, number * FRAME_90K, FRAME_90K, access_unit.key, access_unit.payload));
    }
    (parameters.unwrap(), units)
}

/// Silence with one full-scale click of 1 ms that starts at PCM sample `click_at`; 20 ms packets.
pub(crate) fn audio(channels: u8, packets: u64, click_at: usize) -> (CodecParameters, Vec<Unit>) {
    let layout = if channels == 1 { opus::Channels::Mono } else { opus::Channels::Stereo };
    let mut encoder = opus::Encoder::new(48_000, layout, opus::Application::Audio).unwrap();
    encoder.set_bitrate(opus::Bitrate::Bits(96_000)).unwrap();
    let pre_skip_48k = encoder.get_lookahead().unwrap() as u16;
    let units = (0..packets)
        .map(|number| {
            let first = number as usize * 960;
            let pcm: Vec<i16> = (first..first + 960)
                .flat_map(|at| {
                    let clicking = at >= click_at && at - click_at < 48;
                    let level = if clicking { 30_000 } else { 0 };
                    vec![level; usize::from(channels)]
                })
                .collect();
            let packet = encoder.encode_vec(&pcm, 4000).unwrap();
            assert_eq!(media::opus::packet_duration_48k(&packet), Ok(960));
            unit(number, number * PACKET_90K, PACKET_90K, true, Bytes::from(packet))
        })
        .collect();
    (CodecParameters::Opus { channels, pre_skip_48k }, units)
}

fn unit(number: u64, pts_90k: u64, duration_90k: u64, key: bool, payload: Bytes) -> Unit {
    let capture_us = pts_90k * 100 / 9;
    Unit { lane: Lane::Live, key, number, pts_90k, duration_90k: duration_90k as u32, capture_us, payload }
}

/// The same units later by `by_90k`.
pub(crate) fn later(mut units: Vec<Unit>, by_90k: u64) -> Vec<Unit> {
    for unit in &mut units {
        unit.pts_90k += by_90k;
    }
    units
}

/// The same units with numbers that start at `first`.
pub(crate) fn numbered_from(mut units: Vec<Unit>, first: u64) -> Vec<Unit> {
    for (at, unit) in units.iter_mut().enumerate() {
        unit.number = first + at as u64;
    }
    units
}

/// Parts of about 300 ms.
pub(crate) fn parts(track: Track, units: Vec<Unit>) -> Vec<Part> {
    let mut assembler =
        PartAssembler::new(track, PartLimits { duration_90k: 27_000, payload_bytes: 1 << 20 });
    let mut parts: Vec<Part> = units.into_iter().filter_map(|unit| assembler.push(unit)).collect();
    parts.extend(assembler.flush());
    parts
}

/// A track's parts and what a server knows of them.
pub(crate) struct Stored {
    pub(crate) track: RecordedTrack,
    pub(crate) parts: Vec<Part>,
}

impl Stored {
    pub(crate) fn new(track: Track) -> Self {
        Self { track: RecordedTrack { track, parameters: Vec::new(), parts: Vec::new() }, parts: Vec::new() }
    }

    /// Adds units that need these parameters.
    pub(crate) fn with(mut self, (parameters, units): (CodecParameters, Vec<Unit>)) -> Self {
        let known = self.track.parameters.iter().position(|known| *known == parameters);
        let parameters_index = known.unwrap_or_else(|| {
            self.track.parameters.push(parameters);
            self.track.parameters.len() - 1
        });
        for part in parts(self.track.track, units) {
            let index = read_fragment(&part.fragment).unwrap();
            self.track.parts.push(RecordedPart {
                parameters_index,
                first_unit: part.first_unit,
                pts_90k: part.pts_90k,
                index,
            });
            self.parts.push(part);
        }
        self
    }

    /// Forgets a part, as if it had not arrived.
    pub(crate) fn without(mut self, part: usize) -> Self {
        self.track.parts.remove(part);
        self.parts.remove(part);
        self
    }
}

/// The file that a layout describes.
pub(crate) fn assembled(layout: &Layout, stored: &[Stored]) -> Vec<u8> {
    let mut file = layout.header.to_vec();
    for piece in &layout.pieces {
        let stored = stored.iter().find(|stored| stored.track.track == piece.track).unwrap();
        let start = stored.track.parts[piece.part].index.payload_offset as usize;
        file.extend_from_slice(&stored.parts[piece.part].fragment[start..start + piece.bytes as usize]);
    }
    assert_eq!(file.len() as u64, layout.total_bytes);
    file
}

/// A file that players can open.
pub(crate) struct File {
    folder: tempfile::TempDir,
}

impl File {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file.mp4"), bytes).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("file.mp4")
    }

    /// Decodes everything; fails when ffmpeg or ffprobe has anything to say.
    pub(crate) fn decodes_silently(&self) -> &Self {
        run("ffmpeg", &["-v", "error", "-i", "{file}", "-f", "null", "-"], &self.path());
        run("ffprobe", &["-v", "error", "-show_packets", "-show_frames", "{file}"], &self.path());
        self
    }

    /// The presentation times in seconds of all decoded frames (`v`) or blocks of PCM (`a`).
    pub(crate) fn frame_times(&self, stream: &str) -> Vec<f64> {
        let selection = ["-v", "error", "-select_streams", stream, "-show_entries", "frame=pts_time"];
        let output = run("ffprobe", &[&selection[..], &["-of", "csv=p=0", "{file}"]].concat(), &self.path());
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines()
            .map(|line| line.trim_end_matches(','))
            .filter(|line| !line.is_empty())
            .map(seconds)
            .collect()
    }

    /// The durations and sizes of decoded video pictures, first of each run of equal ones.
    pub(crate) fn picture_sizes(&self) -> Vec<String> {
        let selection = ["-v", "error", "-select_streams", "v", "-show_entries", "frame=width,height"];
        let output = run("ffprobe", &[&selection[..], &["-of", "csv=p=0", "{file}"]].concat(), &self.path());
        let text = String::from_utf8(output.stdout).unwrap();
        let mut sizes: Vec<String> = text.lines().map(|line| line.trim_end_matches(',').to_owned()).collect();
        sizes.retain(|size| !size.is_empty());
        sizes.dedup();
        sizes
    }

    /// The container's duration in seconds.
    pub(crate) fn duration(&self) -> f64 {
        let query = ["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", "{file}"];
        seconds(String::from_utf8(run("ffprobe", &query, &self.path()).stdout).unwrap().trim())
    }

    /// When the click begins, in seconds on the file's clock.
    pub(crate) fn click_time(&self) -> f64 {
        let decode = ["-v", "error", "-i", "{file}", "-map", "0:a", "-ac", "1", "-f", "s16le", "-"];
        let pcm = run("ffmpeg", &decode, &self.path()).stdout;
        let levels = pcm.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]).unsigned_abs());
        let at = levels.into_iter().position(|level| level > 12_000).expect("a click");
        self.frame_times("a")[0] + at as f64 / 48_000.0
    }
}

fn seconds(text: &str) -> f64 {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is not a time"))
}

fn run(program: &str, arguments: &[&str], file: &Path) -> Output {
    let file = file.to_str().unwrap();
    let arguments = arguments.iter().map(|argument| if *argument == "{file}" { file } else { argument });
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| {
        panic!("{program} cannot be started ({error}): install the package `ffmpeg`, which these tests need")
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{program} is not content: {} {said}", output.status);
    output
}

/// Times are printed with six decimals.
#[track_caller]
pub(crate) fn assert_times(times: &[f64], expected: impl IntoIterator<Item = f64>) {
    let expected: Vec<f64> = expected.into_iter().collect();
    assert_eq!(times.len(), expected.len(), "{times:?}");
    for (at, (time, expected)) in times.iter().zip(&expected).enumerate() {
        assert!((time - expected).abs() < 2e-6, "time {at} is {time}, not {expected}");
    }
}
