//! What init segments and recordings share: sample entries and the boxes around them.

use mp4_atom::{
    Audio, Avc1, Codec, Dinf, Dops, Dref, Edts, FourCC, Hdlr, Mdhd, Mdia, Minf, Opus, Smhd, Stbl, Tkhd, Trak,
    Url, Visual, Vmhd,
};
use protocol::Track;
use protocol::codec::CodecParameters;

use super::{Mp4Error, track_id};
use crate::h264::Configuration;
use crate::params::{ParamsError, check_parameters};
use crate::time::timescale;

/// Timescale of `mvhd`, `tkhd` and edit lists: the session's clock.
pub(super) const MOVIE_TIMESCALE: u32 = 90_000;

/// The sample entry of checked codec parameters of `track`.
pub(super) fn sample_entry(track: Track, parameters: &CodecParameters) -> Result<Codec, Mp4Error> {
    if parameters.track() != track {
        return Err(Mp4Error::WrongTrack(track));
    }
    check_parameters(parameters)?;
    match parameters {
        CodecParameters::H264 { width, height, avcc, .. } => {
            let configuration = Configuration::parse(&avcc.0).map_err(ParamsError::from)?;
            Ok(Codec::from(Avc1 {
                visual: Visual {
                    data_reference_index: 1,
                    width: *width as u16,
                    height: *height as u16,
                    ..Visual::default()
                },
                avcc: configuration.into_record(),
                ..Avc1::default()
            }))
        }
        CodecParameters::Opus { channels, pre_skip_48k } => Ok(Codec::from(Opus {
            audio: Audio {
                data_reference_index: 1,
                channel_count: u16::from(*channels),
                sample_size: 16,
                sample_rate: 48_000.into(),
            },
            dops: Dops {
                output_channel_count: *channels,
                pre_skip: *pre_skip_48k,
                input_sample_rate: 48_000,
                output_gain: 0,
                channel_mapping: None,
            },
            btrt: None,
        })),
    }
}

/// A `trak` around the given sample tables.
pub(super) fn trak(
    track: Track,
    movie_duration: u64,
    media_duration: u64,
    edts: Option<Edts>,
    stbl: Stbl,
) -> Trak {
    let visual = stbl.stsd.codecs.iter().find_map(Codec::visual);
    let (width, height) = visual.map_or((0, 0), |visual| (visual.width, visual.height));
    let (handler, name) = match track {
        Track::Video => (FourCC::new(b"vide"), "video"),
        Track::Audio => (FourCC::new(b"soun"), "audio"),
    };
    Trak {
        tkhd: Tkhd {
            track_id: track_id(track),
            duration: movie_duration,
            enabled: true,
            in_movie: true,
            volume: u8::from(track == Track::Audio).into(),
            width: width.into(),
            height: height.into(),
            ..Tkhd::default()
        },
        edts,
        mdia: Mdia {
            mdhd: Mdhd {
                timescale: timescale(track),
                duration: media_duration,
                language: "und".to_owned(),
                ..Mdhd::default()
            },
            hdlr: Hdlr { handler, name: name.to_owned() },
            minf: Minf {
                vmhd: (track == Track::Video).then(Vmhd::default),
                smhd: (track == Track::Audio).then(Smhd::default),
                dinf: Dinf { dref: Dref { entries: vec![Url::default().into()] } },
                stbl,
                ..Minf::default()
            },
        },
        ..Trak::default()
    }
}
