//! Codec parameters: what a decoder needs before the first unit.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// What a decoder needs before a track's first unit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(tag = "codec", rename_all = "snake_case", deny_unknown_fields)]
pub enum CodecParameters {
    /// H.264 video. Units hold NAL units behind 4-byte big-endian lengths, without parameter sets.
    H264 {
        /// Coded picture width in pixels after cropping.
        width: u32,
        /// Coded picture height in pixels after cropping.
        height: u32,
        /// The nominal time between two frames, in 1/90000 s: 3000 at 30 frames per second.
        frame_duration_90k: u32,
        /// The `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §5.3.3.1) with SPS and PPS.
        avcc: Base64,
    },
    /// Opus audio, always decoded at 48 kHz.
    Opus {
        /// 1 or 2.
        channels: u8,
        /// PCM samples at 48 kHz that a decoder discards at the start (RFC 7845 §4.2).
        pre_skip_48k: u16,
    },
}

impl CodecParameters {
    /// The name of the codec as logs and lists show it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::H264 { .. } => "H.264",
            Self::Opus { .. } => "Opus",
        }
    }

    /// The track that this codec belongs to.
    #[must_use]
    pub const fn track(&self) -> crate::Track {
        match self {
            Self::H264 { .. } => crate::Track::Video,
            Self::Opus { .. } => crate::Track::Audio,
        }
    }

    /// The RFC 6381 codec string, such as `avc1.42c01f` or `opus`. An avcC too short to hold a
    /// profile yields `avc1`.
    #[must_use]
    pub fn rfc6381(&self) -> String {
        match self {
            Self::H264 { avcc, .. } => match avcc.0.get(1..4) {
                Some(profile) => format!("avc1.{:02x}{:02x}{:02x}", profile[0], profile[1], profile[2]),
                None => "avc1".to_owned(),
            },
            Self::Opus { .. } => "opus".to_owned(),
        }
    }
}

/// Codec parameters and the unit from which they hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The first unit that needs these parameters.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub from_unit: u64,
    /// The parameters.
    pub parameters: CodecParameters,
}

/// Bytes, written in JSON as standard Base64 with padding.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(type = "string"))]
#[serde(try_from = "String", into = "String")]
pub struct Base64(pub Vec<u8>);

impl TryFrom<String> for Base64 {
    type Error = base64::DecodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        STANDARD.decode(text).map(Self)
    }
}

impl From<Base64> for String {
    fn from(bytes: Base64) -> Self {
        STANDARD.encode(bytes.0)
    }
}
