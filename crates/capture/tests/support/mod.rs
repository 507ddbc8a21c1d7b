//! What several tests need.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::cast_precision_loss)]

use std::sync::Arc;
use std::time::Duration;

use capture::{CaptureEvent, Device, Frame, I420, Next, SimulatedClock, synthetic};
use openh264::decoder::Decoder;
use openh264::formats::YUVSource;
use protocol::Track;
use protocol::codec::{CodecParameters, Params};
use protocol::unit::Unit;

/// The frames of the synthetic camera, as fast as they can be painted.
pub fn frames(width: u32, height: u32, fps: u32) -> impl Iterator<Item = Frame> {
    let clock = Arc::new(SimulatedClock::default());
    let mut camera = synthetic::camera(clock, width, height, fps).open().unwrap();
    std::iter::from_fn(move || Some(next(camera.as_mut())))
}

/// What a device delivers next, on a clock that waiting moves.
pub fn next<T>(device: &mut dyn Device<T>) -> T {
    for _ in 0..1000 {
        match device.next(Duration::from_secs(1)).unwrap() {
            Next::Ready(item) => return item,
            Next::Nothing => {}
            Next::Ended => panic!("the source has ended"),
        }
    }
    panic!("the source delivers nothing")
}

/// One track's parameters and units out of a session's events.
pub fn of_track(events: &[CaptureEvent], wanted: Track) -> (Vec<Params>, Vec<Unit>) {
    let (mut all_params, mut units) = (Vec::new(), Vec::new());
    for event in events {
        match event {
            CaptureEvent::Parameters { track, params } if *track == wanted => all_params.push(params.clone()),
            CaptureEvent::Unit { track, unit } if *track == wanted => units.push(unit.clone()),
            _ => {}
        }
    }
    (all_params, units)
}

/// An H.264 decoder that takes units.
pub struct VideoDecoder {
    decoder: Decoder,
    avcc: Vec<u8>,
}

impl VideoDecoder {
    pub fn new(parameters: &CodecParameters) -> Self {
        let CodecParameters::H264 { avcc, .. } = parameters else { panic!("video parameters") };
        Self { decoder: Decoder::new().unwrap(), avcc: avcc.0.clone() }
    }

    pub fn decode(&mut self, payload: &[u8], key: bool) -> I420 {
        let annexb = media::h264::to_annexb(payload, &self.avcc, key).unwrap();
        let decoded = self.decoder.decode(&annexb).unwrap().expect("a picture for each unit");
        let ((width, height), (stride, chroma_stride, _)) = (decoded.dimensions(), decoded.strides());
        let rows = |plane: &[u8], stride: usize, width: usize, height: usize| -> Vec<u8> {
            plane.chunks(stride).take(height).flat_map(|row| row[..width].to_vec()).collect()
        };
        let mut planes = rows(decoded.y(), stride, width, height);
        planes.extend(rows(decoded.u(), chroma_stride, width / 2, height / 2));
        planes.extend(rows(decoded.v(), chroma_stride, width / 2, height / 2));
        I420::from_packed_planes(width, height, planes).unwrap()
    }
}

/// Decodes Opus packets to interleaved PCM samples.
pub fn decode_opus(units: &[Unit], channels: u8) -> Vec<f32> {
    let layout = if channels == 1 { opus::Channels::Mono } else { opus::Channels::Stereo };
    let mut decoder = opus::Decoder::new(48_000, layout).unwrap();
    let mut sound = Vec::new();
    for unit in units {
        let mut samples = vec![0.0; 960 * usize::from(channels)];
        let decoded = decoder.decode_float(&unit.payload, &mut samples, false).unwrap();
        assert_eq!(decoded, 960);
        sound.extend(samples);
    }
    sound
}

/// The frequency of a tone in mono sound at 48 kHz: the best correlation near a guess, in steps of 0.1 Hz.
pub fn frequency_hz(sound: &[f32], guess_hz: f64) -> f64 {
    let power = |hz: f64| {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sample) in sound.iter().enumerate() {
            // A Hann window keeps the edges from smearing the peak.
            let window = 1.0 - (std::f64::consts::TAU * n as f64 / sound.len() as f64).cos();
            let phase = std::f64::consts::TAU * hz * n as f64 / 48_000.0;
            re += window * f64::from(*sample) * phase.cos();
            im += window * f64::from(*sample) * phase.sin();
        }
        re.hypot(im)
    };
    let candidates = (-300..=300).map(|tenth| guess_hz + f64::from(tenth) / 10.0);
    candidates
        .map(|hz| (power(hz), hz))
        .fold((0.0, 0.0), |best, new| if new.0 > best.0 { new } else { best })
        .1
}
