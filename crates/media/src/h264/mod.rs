//! H.264 as units carry it: NAL units behind 4-byte big-endian lengths, parameter sets apart.
//!
//! Encoders speak Annex B (start codes); units, MP4 and WebCodecs speak length prefixes; WebRTC
//! speaks Annex B again. Numbers of clauses are those of ITU-T H.264 (08/2021); `avcC` is defined
//! in ISO/IEC 14496-15 §5.3.3.1.

mod annexb;
mod avcc;
mod bits;
mod nal;
mod sps;

pub use annexb::{access_unit_from_annexb, annexb_nals};
pub use avcc::{Configuration, check_access_unit, codec_parameters, length_prefixed_nals, to_annexb};
pub use nal::NalType;
pub use sps::Sps;

use bytes::Bytes;

/// A stream's parameter sets, each a NAL unit with its header byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterSets {
    /// The first sequence parameter set.
    pub sps: Vec<u8>,
    /// The first picture parameter set.
    pub pps: Vec<u8>,
}

/// What an encoder emitted for one picture, in the form in which a unit carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessUnit {
    /// Slices and SEI behind 4-byte lengths; never empty.
    pub payload: Bytes,
    /// Whether this is an IDR picture.
    pub key: bool,
    /// The parameter sets that the encoder put before the picture, when it put both.
    pub parameter_sets: Option<ParameterSets>,
}

/// Why bytes are not the H.264 they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum H264Error {
    /// A length prefix, or what it announces, does not fit in the bytes that are left.
    #[error("a NAL unit ends {missing_bytes} bytes behind the end of the access unit")]
    Truncated {
        /// How many bytes are missing at the least.
        missing_bytes: usize,
    },
    /// A NAL unit without a byte.
    #[error("a NAL unit is empty")]
    EmptyNal,
    /// A slice of nothing but its header byte.
    #[error("a slice holds no picture")]
    EmptySlice,
    /// The bit that must be zero in every NAL unit's header is one.
    #[error("a NAL unit's forbidden bit is set")]
    ForbiddenBit,
    /// A NAL unit of a type that an access unit may not hold.
    #[error("NAL units of type {0} do not belong in an access unit; send only slices and SEI")]
    IllegalNal(u8),
    /// No slice, hence no picture.
    #[error("the access unit holds no slice")]
    NoSlice,
    /// IDR slices beside others in one picture.
    #[error("the access unit mixes IDR slices with others")]
    MixedSlices,
    /// The key flag says otherwise than the slices.
    #[error("the unit's key flag is {flag}, its slices say {slices}", slices = !flag)]
    KeyMismatch {
        /// The flag in the unit's header.
        flag: bool,
    },
    /// The parameter set ends too early or holds a value that H.264 does not allow.
    #[error("the sequence parameter set is broken: {0}")]
    BrokenSps(&'static str),
    /// The picture is larger than the protocol allows.
    #[error("a picture of {width}×{height} is too large")]
    PictureTooLarge {
        /// In pixels.
        width: u64,
        /// In pixels.
        height: u64,
    },
    /// The `avcC` is broken or not of the supported form.
    #[error("the avcC is not usable: {0}")]
    BrokenAvcc(&'static str),
}
