//! Init segments: `ftyp` and `moov` of one track without samples.

use bytes::Bytes;
use mp4_atom::{Edts, Elst, ElstEntry, Encode as _, FourCC, Ftyp, Moov, Mvex, Mvhd, Stbl, Stsd, Trex};
use protocol::Track;
use protocol::codec::CodecParameters;

use super::fragment::{DELTA_FLAGS, KEY_FLAGS};
use super::sample_entry::{MOVIE_TIMESCALE, sample_entry, trak};
use super::{Mp4Error, track_id};

/// The init segment that makes a track's fragments playable.
///
/// Opus has an edit list: its media starts `pre_skip` before the time it belongs to, by which
/// decoders delay it. The nominal frame duration is the default sample duration.
///
/// # Errors
/// [`Mp4Error::WrongTrack`] and [`Mp4Error::Parameters`].
pub fn init_segment(track: Track, parameters: &CodecParameters) -> Result<Bytes, Mp4Error> {
    let entry = sample_entry(track, parameters)?;
    let (default_sample_duration, default_sample_flags, edts) = match parameters {
        CodecParameters::H264 { frame_duration_90k, .. } => (*frame_duration_90k, DELTA_FLAGS, None),
        CodecParameters::Opus { pre_skip_48k, .. } => {
            // A duration of zero: the edit covers all fragments to come.
            let skip = ElstEntry {
                segment_duration: 0,
                media_time: Some((*pre_skip_48k).into()),
                media_rate: 1.into(),
            };
            (960, KEY_FLAGS, Some(Edts { elst: Some(Elst { entries: vec![skip] }) }))
        }
    };
    let stbl =
        Stbl { stsd: Stsd { codecs: vec![entry] }, stco: Some(mp4_atom::Stco::default()), ..Stbl::default() };
    let moov = Moov {
        mvhd: Mvhd {
            timescale: MOVIE_TIMESCALE,
            rate: 1.into(),
            volume: 1.into(),
            next_track_id: 3,
            ..Mvhd::default()
        },
        mvex: Some(Mvex {
            mehd: None,
            trex: vec![Trex {
                track_id: track_id(track),
                default_sample_description_index: 1,
                default_sample_duration,
                default_sample_size: 0,
                default_sample_flags,
            }],
        }),
        trak: vec![trak(track, 0, 0, edts, stbl)],
        ..Moov::default()
    };
    let ftyp = Ftyp {
        major_brand: FourCC::new(b"iso6"),
        minor_version: 0,
        compatible_brands: [b"iso6", b"mp41"].map(FourCC::new).to_vec(),
    };
    let mut bytes = Vec::with_capacity(1024);
    ftyp.encode(&mut bytes).map_err(Mp4Error::Encoding)?;
    moov.encode(&mut bytes).map_err(Mp4Error::Encoding)?;
    Ok(Bytes::from(bytes))
}
