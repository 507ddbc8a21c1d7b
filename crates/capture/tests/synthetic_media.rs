//! What the synthetic devices show and sound is measurable, also behind the encoders.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use capture::encode::VideoEncoder;
use capture::encode::h264::H264Encoder;
use capture::synthetic::{is_flash, read_time_ms};
use capture::{Quality, SimulatedClock, synthetic};
use support::{VideoDecoder, frames, next};

#[test]
fn the_time_and_the_flash_survive_a_low_bitrate() {
    for (width, height, bitrate_bps) in [(320, 180, 60_000), (640, 360, 150_000), (1280, 720, 400_000)] {
        let mut encoder = H264Encoder::new(30, bitrate_bps);
        let mut decoder = None;
        let (mut units, mut flashes) = (0, Vec::new());
        for frame in frames(width, height, 30).take(75) {
            let Some(unit) = encoder.encode(&frame).unwrap() else { continue };
            if let Some(parameters) = &unit.parameters {
                decoder.get_or_insert_with(|| VideoDecoder::new(parameters));
            }
            let picture = decoder.as_mut().unwrap().decode(&unit.payload, unit.key);
            assert_eq!(read_time_ms(&picture), Some(frame.capture_us / 1000), "{width}×{height}");
            units += 1;
            if is_flash(&picture) {
                flashes.push(frame.capture_us);
            }
        }
        println!("{width}×{height} at {bitrate_bps} bit/s: {units} of 75 frames encoded");
        // A flash may be among the frames that the encoder skips; one that is not there is never seen.
        assert!(flashes.len() >= 2 && flashes.iter().all(|us| us % 1_000_000 == 0), "{flashes:?}");
    }
}

#[test]
fn each_click_sounds_at_the_time_of_a_flash() {
    let clock = Arc::new(SimulatedClock::default());
    let mut microphone = synthetic::microphone(clock, 2).open().unwrap();
    let mut clicks_us = Vec::new();
    for _ in 0..450 {
        let block = next(microphone.as_mut());
        let loud = block.samples.as_chunks::<2>().0.iter().position(|both| both[0].abs() > 0.5);
        if let Some(at) = loud {
            clicks_us.push(block.capture_us + at as u64 * 1_000_000 / 48_000);
        }
    }
    for fps in [24, 25, 30, 60] {
        let flashes =
            frames(160, 90, fps).take(5 * fps as usize - 3).filter(|frame| is_flash(&frame.picture));
        let flashes_us: Vec<u64> = flashes.map(|frame| frame.capture_us).collect();
        assert_eq!(flashes_us, clicks_us, "{fps} frames per second");
    }
}

#[test]
fn a_minute_of_the_synthetic_scene_gives_a_unit_for_each_frame() {
    let preset = Quality::Q360.preset();
    let mut encoder = H264Encoder::new(30, preset.bitrate_bps);
    let units = frames(preset.width, preset.height, 30)
        .take(1800)
        .filter_map(|frame| encoder.encode(&frame).unwrap());
    let units = units.count();
    assert!((1797..=1803).contains(&units), "{units} units");
}
