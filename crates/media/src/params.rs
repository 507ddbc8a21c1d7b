//! Codec parameters that a peer declares.

use protocol::codec::CodecParameters;
use protocol::limits::MAX_DURATION_90K;

use crate::h264::{Configuration, H264Error};

/// The longest `avcC` that is accepted, in bytes; encoders write fewer than a hundred.
pub const MAX_AVCC_BYTES: usize = 4_096;

/// Why codec parameters cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamsError {
    /// The `avcC` exceeds [`MAX_AVCC_BYTES`].
    #[error("an avcC of {0} bytes exceeds the limit of {MAX_AVCC_BYTES}")]
    AvccTooLarge(usize),
    /// The `avcC` or its SPS is broken or of another form.
    #[error(transparent)]
    H264(#[from] H264Error),
    /// The declared size is not the SPS's.
    #[error("the picture is declared as {declared:?}, but its SPS says {coded:?}")]
    SizeMismatch {
        /// Width and height in the parameters, in pixels.
        declared: (u32, u32),
        /// Width and height in the SPS, in pixels.
        coded: (u32, u32),
    },
    /// The frame duration is zero or above [`MAX_DURATION_90K`].
    #[error("a frame duration of {0} ticks of 1/90000 s is out of range")]
    FrameDuration(u32),
    /// Neither mono nor stereo.
    #[error("{0} audio channels are not supported; use 1 or 2")]
    Channels(u8),
}

/// Checks the parameters of a `hello` or a `params` message before anything is written with them.
///
/// # Errors
/// [`ParamsError`] with the first thing that is wrong; its code is `invalid_params`.
pub fn check_parameters(parameters: &CodecParameters) -> Result<(), ParamsError> {
    match parameters {
        CodecParameters::H264 { width, height, frame_duration_90k, avcc } => {
            if avcc.0.len() > MAX_AVCC_BYTES {
                return Err(ParamsError::AvccTooLarge(avcc.0.len()));
            }
            let sps = Configuration::parse(&avcc.0)?.sps;
            if (sps.width, sps.height) != (*width, *height) {
                let (declared, coded) = ((*width, *height), (sps.width, sps.height));
                return Err(ParamsError::SizeMismatch { declared, coded });
            }
            if *frame_duration_90k == 0 || *frame_duration_90k > MAX_DURATION_90K {
                return Err(ParamsError::FrameDuration(*frame_duration_90k));
            }
            Ok(())
        }
        CodecParameters::Opus { channels: 1 | 2, .. } => Ok(()),
        CodecParameters::Opus { channels, .. } => Err(ParamsError::Channels(*channels)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use protocol::codec::Base64;

    use super::*;
    use crate::h264::{ParameterSets, codec_parameters};

    #[test]
    fn parameters_are_accepted_or_refused_for_the_right_reason() {
        let sps = vec![0x67, 0x42, 0xc0, 0x1f, 0xda, 0x02, 0x80, 0xbf, 0xe5];
        let sets = ParameterSets { sps, pps: vec![0x68, 0xce, 0x3c, 0x80] };
        let good = codec_parameters(&sets, 3000).unwrap();
        let CodecParameters::H264 { avcc, .. } = good.clone() else { unreachable!() };
        let h264 = |width, height, frame_duration_90k, avcc: &[u8]| CodecParameters::H264 {
            width,
            height,
            frame_duration_90k,
            avcc: Base64(avcc.to_vec()),
        };
        assert_eq!(check_parameters(&good), Ok(()));
        let mismatch = ParamsError::SizeMismatch { declared: (640, 368), coded: (640, 360) };
        assert_eq!(check_parameters(&h264(640, 368, 3000, &avcc.0)), Err(mismatch));
        assert_eq!(check_parameters(&h264(640, 360, 0, &avcc.0)), Err(ParamsError::FrameDuration(0)));
        let long = check_parameters(&h264(640, 360, u32::MAX, &avcc.0));
        assert_eq!(long, Err(ParamsError::FrameDuration(u32::MAX)));
        assert!(matches!(check_parameters(&h264(640, 360, 3000, &[])), Err(ParamsError::H264(_))));
        let large = check_parameters(&h264(640, 360, 3000, &[1; 5000]));
        assert_eq!(large, Err(ParamsError::AvccTooLarge(5000)));
        for channels in 0..=255 {
            let checked = check_parameters(&CodecParameters::Opus { channels, pre_skip_48k: 312 });
            assert_eq!(checked.is_ok(), matches!(channels, 1 | 2), "{channels}");
        }
    }
}
