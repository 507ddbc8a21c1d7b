//! Real H.264 and Opus.

use media::h264::{access_unit_from_annexb, codec_parameters};
use openh264::encoder::{Encoder, EncoderConfig, FrameRate};
use openh264::formats::YUVBuffer;
use openh264::{OpenH264API, Timestamp};
use protocol::codec::{CodecParameters, Params};
use protocol::unit::{Lane, Unit};

const WIDTH: usize = 320;
const HEIGHT: usize = 180;

/// Moving stripes, encoded.
pub fn video(frames: u64) -> (Vec<Unit>, Params) {
    let config = EncoderConfig::new().max_frame_rate(FrameRate::from_hz(30.0)).skip_frames(false);
    let mut encoder = Encoder::with_api_config(OpenH264API::from_source(), config).unwrap();
    let mut units = Vec::new();
    let mut parameters = None;
    for number in 0..frames {
        if number % 60 == 0 {
            encoder.force_intra_frame();
        }
        let mut yuv = vec![128u8; WIDTH * HEIGHT * 3 / 2];
        for (at, luma) in yuv[..WIDTH * HEIGHT].iter_mut().enumerate() {
            *luma = ((at % WIDTH + at / WIDTH + number as usize * 3) % 220 + 16) as u8;
        }
        let picture = YUVBuffer::from_vec(yuv, WIDTH, HEIGHT);
        let encoded =
            encoder.encode_at(&picture, Timestamp::from_millis(number * 1000 / 30)).unwrap().to_vec();
        let access_unit = access_unit_from_annexb(&encoded).unwrap();
        if let Some(sets) = &access_unit.parameter_sets {
            parameters.get_or_insert_with(|| codec_parameters(sets, 3_000).unwrap());
        }
        units.push(Unit {
            lane: Lane::Live,
            key: access_unit.key,
            number,
            pts_90k: number * 3_000,
            duration_90k: 3_000,
            capture_us: number * 33_333,
            payload: access_unit.payload,
        });
    }
    (units, Params { from_unit: 0, parameters: parameters.unwrap() })
}

/// A tone, encoded.
pub fn audio(packets: u64) -> (Vec<Unit>, Params) {
    let mut encoder = opus::Encoder::new(48_000, opus::Channels::Mono, opus::Application::Audio).unwrap();
    let packet = |number: u64| {
        let pcm: Vec<f32> = (0..960)
            .map(|at| ((number * 960 + at) as f32 * 1_000.0 * std::f32::consts::TAU / 48_000.0).sin() * 0.3)
            .collect();
        let payload = encoder.encode_vec_float(&pcm, 1_500).unwrap().into();
        Unit {
            lane: Lane::Live,
            key: true,
            number,
            pts_90k: number * 1_800,
            duration_90k: 1_800,
            capture_us: number * 20_000,
            payload,
        }
    };
    let units = (0..packets).map(packet).collect();
    (units, Params { from_unit: 0, parameters: CodecParameters::Opus { channels: 1, pre_skip_48k: 312 } })
}
