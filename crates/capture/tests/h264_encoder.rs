//! How the H.264 encoder behaves.
#![allow(clippy::unwrap_used)]

mod support;

use capture::encode::h264::H264Encoder;
use capture::encode::{EncodedPicture, VideoEncoder};
use capture::{Frame, I420};
use protocol::codec::CodecParameters;
use support::{VideoDecoder, frames};

/// Encodes synthetic frames; `None` for what was skipped.
fn encode(
    encoder: &mut H264Encoder,
    frames: impl Iterator<Item = Frame>,
) -> Vec<(Frame, Option<EncodedPicture>)> {
    frames.map(|frame| (frame.clone(), encoder.encode(&frame).unwrap())).collect()
}

fn key_times_ms(pictures: &[(Frame, Option<EncodedPicture>)]) -> Vec<u64> {
    let key = |picture: &Option<EncodedPicture>| picture.as_ref().is_some_and(|picture| picture.key);
    pictures.iter().filter(|(_, picture)| key(picture)).map(|(frame, _)| frame.capture_us / 1000).collect()
}

fn bytes(pictures: &[(Frame, Option<EncodedPicture>)]) -> usize {
    pictures.iter().filter_map(|(_, picture)| Some(picture.as_ref()?.payload.len())).sum()
}

#[test]
fn an_idr_picture_comes_every_two_seconds_of_capture_time() {
    for fps in [10, 30] {
        let mut encoder = H264Encoder::new(fps, 500_000);
        let pictures = encode(&mut encoder, frames(320, 180, fps).take(7 * fps as usize));
        assert_eq!(key_times_ms(&pictures), [0, 2000, 4000, 6000]);
    }
    // A camera that delivers a tenth of what it promised still gives a key picture every two seconds.
    let mut encoder = H264Encoder::new(30, 500_000);
    let pictures = encode(&mut encoder, frames(320, 180, 30).step_by(10).take(21));
    assert_eq!(key_times_ms(&pictures), [0, 2000, 4000, 6000]);
}

#[test]
fn a_requested_idr_picture_comes_at_once_and_the_next_two_seconds_later() {
    let mut encoder = H264Encoder::new(30, 500_000);
    let mut frames = frames(320, 180, 30);
    let mut pictures = encode(&mut encoder, frames.by_ref().take(45));
    encoder.request_idr();
    pictures.extend(encode(&mut encoder, frames.take(90)));
    assert_eq!(key_times_ms(&pictures), [0, 1500, 3500]);
}

#[test]
fn every_unit_is_what_the_protocol_carries_and_key_units_tell_their_parameters() {
    let mut encoder = H264Encoder::new(30, 500_000);
    for (_, picture) in encode(&mut encoder, frames(322, 182, 30).take(70)) {
        let Some(picture) = picture else { continue };
        media::h264::check_access_unit(&picture.payload, picture.key).unwrap();
        assert_eq!(picture.parameters.is_some(), picture.key);
        if let Some(parameters) = picture.parameters {
            media::params::check_parameters(&parameters).unwrap();
            let CodecParameters::H264 { width, height, frame_duration_90k, .. } = &parameters else {
                panic!()
            };
            assert_eq!((*width, *height, *frame_duration_90k), (322, 182, 3000));
            assert!(parameters.rfc6381().starts_with("avc1.42c0"), "{}", parameters.rfc6381());
        }
    }
}

#[test]
fn a_new_bitrate_takes_effect_and_survives_a_change_of_size() {
    let mut encoder = H264Encoder::new(30, 300_000);
    let mut source = frames(640, 360, 30);
    let mut measure = |encoder: &mut H264Encoder| {
        // Two seconds to settle, then four to measure: each holds the same key pictures and flashes.
        encode(encoder, source.by_ref().take(60));
        bytes(&encode(encoder, source.by_ref().take(120))) * 8 / 4
    };
    let low = measure(&mut encoder);
    encoder.set_bitrate_bps(1_500_000).unwrap();
    let high = measure(&mut encoder);
    encoder.set_bitrate_bps(300_000).unwrap();
    let low_again = measure(&mut encoder);
    println!("measured {low}, {high}, {low_again} bit/s");
    assert!(high > 2 * low && high > 2 * low_again, "{low}, {high}, {low_again} bit/s");
    assert!(high < 1_800_000 && low < 400_000 && low_again < 400_000, "{low}, {high}, {low_again} bit/s");
    encoder.set_bitrate_bps(100_000).unwrap();
    let pictures = encode(&mut encoder, frames(320, 180, 30).take(180));
    assert!(pictures[0].1.as_ref().unwrap().key, "another size starts with a key picture");
    let bitrate_bps = bytes(&pictures[60..]) * 8 / 4;
    assert!(bitrate_bps < 150_000, "{bitrate_bps} bit/s after the change of size");
}

#[test]
fn fewer_frames_share_the_bitrate_and_the_picture_goes_on() {
    let mut encoder = H264Encoder::new(30, 600_000);
    let mut source = frames(640, 360, 30);
    let mut measure = |encoder: &mut H264Encoder, thinning: usize| {
        encoder.set_thinning(thinning as u32).unwrap();
        let mut source = source.by_ref().step_by(thinning);
        // In the middle of a GOP at the end: two and a half seconds to settle, then four to measure.
        let first = encode(encoder, source.by_ref().take(75 / thinning));
        let pictures = encode(encoder, source.take(120 / thinning));
        (first[0].1.as_ref().is_some_and(|picture| picture.key), bytes(&pictures) * 8 / 4)
    };
    let (_, all) = measure(&mut encoder, 1);
    let (is_key, third) = measure(&mut encoder, 3);
    let (_, all_again) = measure(&mut encoder, 1);
    println!("measured {all}, {third}, {all_again} bit/s");
    assert!(!is_key, "the picture goes on");
    for bitrate_bps in [all, third, all_again] {
        assert!((400_000..750_000).contains(&bitrate_bps), "{all}, {third}, {all_again} bit/s");
    }
}

#[test]
fn frames_that_would_exceed_a_tiny_bitrate_are_skipped_and_the_rest_decodes() {
    // Noise cannot be compressed, so the encoder has to skip.
    let mut random = fastrand::Rng::with_seed(7);
    let noise = (0..90_u64).map(|number| {
        let mut picture = I420::black(640, 360);
        random.fill(picture.planes_mut().y);
        Frame { picture: picture.into(), capture_us: number * 33_333 }
    });
    let mut encoder = H264Encoder::new(30, 60_000);
    let pictures = encode(&mut encoder, noise);
    let skipped = pictures.iter().filter(|(_, picture)| picture.is_none()).count();
    println!("{skipped} of 90 frames were skipped");
    assert!(skipped > 10 && skipped < 90, "{skipped} skipped");
    let units: Vec<&EncodedPicture> = pictures.iter().filter_map(|(_, picture)| picture.as_ref()).collect();
    let mut decoder = VideoDecoder::new(units[0].parameters.as_ref().unwrap());
    for unit in units {
        decoder.decode(&unit.payload, unit.key);
    }
}
