//! Encoders: raw pictures and sound in, what becomes a unit's payload out.

pub(crate) mod drift;
pub mod h264;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
mod hours;
pub mod opus;
pub(crate) mod packets;
pub(crate) mod stretch;

use bytes::Bytes;
use protocol::codec::CodecParameters;

use crate::frame::Frame;

/// Why an encoder cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// OpenH264 refuses.
    #[error("the H.264 encoder failed: {0}; choose a smaller picture or a lower bit rate")]
    H264(String),
    /// OpenH264's output is not what the protocol carries.
    #[error("the H.264 encoder's output cannot be used: {0}")]
    Bitstream(#[from] media::h264::H264Error),
    /// libopus refuses.
    #[error("the Opus encoder failed: {0}; choose another bit rate or number of channels")]
    Opus(String),
}

/// A picture as the encoder made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedPicture {
    /// The unit's payload.
    pub payload: Bytes,
    /// Whether it is an IDR picture.
    pub key: bool,
    /// What a decoder needs for it and for what follows; every IDR picture has it.
    pub parameters: Option<CodecParameters>,
}

/// A video encoder.
pub trait VideoEncoder: Send {
    /// Encodes a frame. `None` when the encoder skipped it to keep to its bit rate. A frame of another
    /// size than the one before starts anew with an IDR picture.
    ///
    /// # Errors
    /// [`EncodeError`] when the encoder cannot go on.
    fn encode(&mut self, frame: &Frame) -> Result<Option<EncodedPicture>, EncodeError>;

    /// Makes the next picture that is not skipped an IDR picture.
    fn request_idr(&mut self);

    /// Changes the nominal rate, in frames per second. The next picture is an IDR picture then.
    fn set_fps(&mut self, fps: u32);

    /// Says that one frame of `thinning` will come, so that each has so many times the bits. The picture goes on.
    ///
    /// # Errors
    /// [`EncodeError`] when the encoder refuses it.
    fn set_thinning(&mut self, thinning: u32) -> Result<(), EncodeError>;

    /// Changes the bit rate from the next frame on.
    ///
    /// # Errors
    /// [`EncodeError`] when the encoder refuses it.
    fn set_bitrate_bps(&mut self, bitrate_bps: u32) -> Result<(), EncodeError>;
}

/// An audio encoder.
pub trait AudioEncoder: Send {
    /// What a decoder needs.
    fn parameters(&self) -> CodecParameters;

    /// Encodes one packet of 20 ms: 960 PCM samples at 48 kHz per channel, interleaved.
    ///
    /// # Errors
    /// [`EncodeError`] when the encoder cannot go on.
    fn encode(&mut self, samples: &[f32]) -> Result<Bytes, EncodeError>;

    /// Changes the bit rate from the next packet on.
    ///
    /// # Errors
    /// [`EncodeError`] when the encoder refuses it.
    fn set_bitrate_bps(&mut self, bitrate_bps: u32) -> Result<(), EncodeError>;
}
