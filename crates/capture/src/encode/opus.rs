//! Opus by libopus: 48 kHz, packets of 20 ms.

use bytes::Bytes;
use opus::{Application, Bitrate, Channels, Encoder};
use protocol::codec::CodecParameters;

use super::{AudioEncoder, EncodeError};
use crate::pcm::SAMPLE_RATE_HZ;

/// PCM samples per channel in a packet: 20 ms.
pub const PACKET_SAMPLES: usize = 960;

/// The duration of a packet, in 1/90000 s.
pub const PACKET_DURATION_90K: u32 = 1_800;

/// What libopus recommends for its output buffer (`opus_encode` in `opus.h`).
const MAX_PACKET_BYTES: usize = 4_000;

/// The bit rate at which speech and music are transparent enough, for a number of channels.
#[must_use]
pub const fn default_bitrate_bps(channels: u8) -> u32 {
    if channels == 1 { 40_000 } else { 64_000 }
}

/// The encoder.
pub struct OpusEncoder {
    encoder: Encoder,
    channels: u8,
    pre_skip_48k: u16,
    buffer: Vec<u8>,
}

impl OpusEncoder {
    /// An encoder for 1 or 2 channels.
    ///
    /// # Errors
    /// [`EncodeError::Opus`] when libopus refuses the channels or the bit rate.
    pub fn new(channels: u8, bitrate_bps: u32) -> Result<Self, EncodeError> {
        let layout = match channels {
            1 => Channels::Mono,
            2 => Channels::Stereo,
            _ => return Err(EncodeError::Opus(format!("{channels} channels are not 1 or 2"))),
        };
        let mut encoder = Encoder::new(SAMPLE_RATE_HZ, layout, Application::Audio).map_err(refused)?;
        let lookahead = encoder.get_lookahead().map_err(refused)?;
        let pre_skip_48k = u16::try_from(lookahead).map_err(|error| EncodeError::Opus(error.to_string()))?;
        let mut this = Self { encoder, channels, pre_skip_48k, buffer: vec![0; MAX_PACKET_BYTES] };
        this.set_bitrate_bps(bitrate_bps)?;
        Ok(this)
    }
}

impl AudioEncoder for OpusEncoder {
    fn parameters(&self) -> CodecParameters {
        CodecParameters::Opus { channels: self.channels, pre_skip_48k: self.pre_skip_48k }
    }

    fn encode(&mut self, samples: &[f32]) -> Result<Bytes, EncodeError> {
        let bytes = self.encoder.encode_float(samples, &mut self.buffer).map_err(refused)?;
        Ok(Bytes::copy_from_slice(&self.buffer[..bytes]))
    }

    fn set_bitrate_bps(&mut self, bitrate_bps: u32) -> Result<(), EncodeError> {
        let bitrate_bps = i32::try_from(bitrate_bps).unwrap_or(i32::MAX);
        self.encoder.set_bitrate(Bitrate::Bits(bitrate_bps)).map_err(refused)
    }
}

#[allow(clippy::needless_pass_by_value)]
fn refused(error: opus::Error) -> EncodeError {
    EncodeError::Opus(error.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn packets_last_twenty_milliseconds_and_tell_their_pre_skip() {
        for channels in [1, 2] {
            let mut encoder = OpusEncoder::new(channels, default_bitrate_bps(channels)).unwrap();
            assert_eq!(encoder.parameters(), CodecParameters::Opus { channels, pre_skip_48k: 312 });
            let packet = encoder.encode(&vec![0.1; PACKET_SAMPLES * usize::from(channels)]).unwrap();
            assert_eq!(media::opus::packet_duration_48k(&packet).unwrap(), 960);
        }
        assert!(OpusEncoder::new(3, 64_000).is_err());
    }
}
