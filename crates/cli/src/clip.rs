//! Media that is encoded once and played over and over, so that a load generator costs no encoding.

use std::sync::Arc;
use std::time::Duration;

use capture::encode::h264::H264Encoder;
use capture::encode::opus::{OpusEncoder, PACKET_DURATION_90K, PACKET_SAMPLES};
use capture::encode::{AudioEncoder as _, VideoEncoder as _};
use capture::{Next, SimulatedClock, synthetic};
use protocol::Track;
use protocol::codec::{CodecParameters, Params};
use protocol::unit::{Lane, Unit};

use crate::exit::Failure;

/// The length of a clip: two GOPs of two seconds, so that each repetition starts with an IDR.
const CLIP_US: u64 = 4_000_000;

/// A device of virtual time delivers at once; this is only how far it may look ahead.
const PATIENCE: Duration = Duration::from_secs(1);

/// Both tracks of the synthetic camera and microphone.
pub(crate) struct Clip {
    video: ClipTrack,
    audio: ClipTrack,
}

struct ClipTrack {
    parameters: CodecParameters,
    units: Vec<Unit>,
}

impl Clip {
    /// Encodes the clip, as fast as the machine can.
    pub(crate) fn encode(
        video: &capture::VideoConfig,
        audio: &capture::AudioConfig,
    ) -> Result<Self, Failure> {
        Ok(Self { video: encode_video(video)?, audio: encode_audio(audio)? })
    }

    pub(crate) fn params(&self, track: Track) -> Params {
        Params { from_unit: 0, parameters: self.track(track).parameters.clone() }
    }

    /// The unit of this number, however often the clip has to be repeated for it.
    pub(crate) fn unit(&self, track: Track, number: u64) -> Unit {
        let units = &self.track(track).units;
        let count = units.len() as u64;
        let (round, index) = (number / count, (number % count) as usize);
        let unit = units[index].clone();
        Unit {
            number,
            pts_90k: unit.pts_90k + round * (CLIP_US * 9 / 100),
            capture_us: unit.capture_us + round * CLIP_US,
            ..unit
        }
    }

    const fn track(&self, track: Track) -> &ClipTrack {
        match track {
            Track::Video => &self.video,
            Track::Audio => &self.audio,
        }
    }
}

fn fault(error: impl std::fmt::Display) -> Failure {
    Failure::Fault(error.to_string())
}

fn encode_video(config: &capture::VideoConfig) -> Result<ClipTrack, Failure> {
    let clock = Arc::new(SimulatedClock::default());
    let mut camera =
        synthetic::camera(clock, config.width, config.height, config.fps).open().map_err(fault)?;
    let mut encoder = H264Encoder::new(config.fps, config.bitrate_bps);
    let duration_90k = encoder.frame_duration_90k();
    let (mut parameters, mut units) = (None, Vec::new());
    while let Next::Ready(frame) = camera.next(PATIENCE).map_err(fault)? {
        if frame.capture_us >= CLIP_US {
            break;
        }
        let Some(picture) = encoder.encode(&frame).map_err(fault)? else { continue };
        parameters = parameters.or(picture.parameters);
        units.push(Unit {
            lane: Lane::Live,
            key: picture.key,
            number: units.len() as u64,
            pts_90k: frame.capture_us * 9 / 100,
            duration_90k,
            capture_us: frame.capture_us,
            payload: picture.payload,
        });
    }
    let parameters = parameters.ok_or_else(|| fault("the H.264 encoder gave no parameter sets"))?;
    Ok(ClipTrack { parameters, units })
}

fn encode_audio(config: &capture::AudioConfig) -> Result<ClipTrack, Failure> {
    let clock = Arc::new(SimulatedClock::default());
    let mut microphone = synthetic::microphone(clock, config.channels).open().map_err(fault)?;
    let mut encoder = OpusEncoder::new(config.channels, config.bitrate_bps).map_err(fault)?;
    let packet_samples = PACKET_SAMPLES * usize::from(config.channels);
    let packet_us = u64::from(PACKET_DURATION_90K) * 100 / 9;
    let (mut samples, mut units) = (Vec::new(), Vec::new());
    while (units.len() as u64) < CLIP_US / packet_us {
        match microphone.next(PATIENCE).map_err(fault)? {
            Next::Ready(block) => samples.extend(block.samples),
            Next::Nothing => {}
            Next::Ended => return Err(fault("the synthetic microphone ended")),
        }
        while samples.len() >= packet_samples && (units.len() as u64) < CLIP_US / packet_us {
            let number = units.len() as u64;
            let payload = encoder.encode(&samples[..packet_samples]).map_err(fault)?;
            samples.drain(..packet_samples);
            units.push(Unit {
                lane: Lane::Live,
                key: true,
                number,
                pts_90k: number * u64::from(PACKET_DURATION_90K),
                duration_90k: PACKET_DURATION_90K,
                capture_us: number * packet_us,
                payload,
            });
        }
    }
    Ok(ClipTrack { parameters: encoder.parameters(), units })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use capture::{AudioConfig, CameraChoice, MicrophoneChoice, Quality, VideoConfig};

    use super::*;

    #[test]
    fn a_repeated_clip_is_a_stream_without_a_seam() {
        let video = VideoConfig {
            width: 160,
            height: 90,
            ..VideoConfig::new(CameraChoice::Synthetic, Quality::Q360)
        };
        let clip = Clip::encode(&video, &AudioConfig::new(MicrophoneChoice::Synthetic, 1)).unwrap();
        for (track, count, duration_90k) in [(Track::Video, 120, 3_000), (Track::Audio, 200, 1_800)] {
            assert_eq!(clip.track(track).units.len() as u64, count, "{track}");
            assert_eq!(clip.params(track).parameters.track(), track);
            let mut before = clip.unit(track, 0);
            assert!(before.key);
            for number in 1..3 * count {
                let unit = clip.unit(track, number);
                assert_eq!((unit.number, unit.pts_90k - before.pts_90k), (number, duration_90k));
                assert!(unit.capture_us > before.capture_us);
                assert!(unit.key || number % count != 0, "each round starts with an IDR");
                before = unit;
            }
        }
    }
}
