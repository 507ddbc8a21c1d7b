//! Fragments: `moof` and `mdat` of one part.
//!
//! ```text
//! moof
//! ├─ mfhd   sequence number: the first unit's number + 1, low 32 bits
//! └─ traf
//!    ├─ tfhd   track id, default-base-is-moof, default sample flags
//!    ├─ tfdt   version 1: the first unit's time in the track's timescale
//!    └─ trun   data offset, then per sample: duration, size, and flags where they are not the default
//! mdat         the payloads
//! ```

use bytes::Bytes;
use mp4_atom::{Encode as _, Mfhd, Moof, Tfdt, Tfhd, Traf, Trun, TrunEntry, TrunSamples};
use protocol::Track;
use protocol::limits::MAX_DURATION_90K;
use protocol::unit::Unit;

use super::{Mp4Error, track_id};
use crate::part::{MAX_PART_UNITS, end_90k};
use crate::time::media_time;

/// Sample flags (ISO/IEC 14496-12 §8.8.3.1) of a sample that needs no other.
pub(super) const KEY_FLAGS: u32 = 0x0200_0000;
/// Sample flags of a sample that needs others: depends on others, is not a sync sample.
pub(super) const DELTA_FLAGS: u32 = 0x0101_0000;

/// Everything in `moof` but the samples: box headers (8 bytes each; 12 with version and flags) and
/// fields.
const MOOF_BYTES: usize = 8 + 16 + 8 + (12 + 8) + (12 + 8) + (12 + 8);

/// `mdat`'s header.
pub(super) const MDAT_HEADER_BYTES: usize = 8;

/// One fMP4 fragment of consecutive units of one track.
///
/// A sample lasts until the next one starts, the last one as long as its unit says, so that times
/// inside the fragment are the units' own.
///
/// # Errors
/// [`Mp4Error::NoUnits`]; [`Mp4Error::NotConsecutive`] when a unit's number is not the one before
/// it plus one, or its time is not up to 10 s later; [`Mp4Error::TooLarge`] above
/// [`MAX_PART_UNITS`] units or 2 GiB.
pub fn fragment(track: Track, units: &[Unit]) -> Result<Bytes, Mp4Error> {
    if units.is_empty() {
        return Err(Mp4Error::NoUnits);
    }
    if let Some(pair) = units.windows(2).find(|pair| !follows(&pair[0], &pair[1])) {
        return Err(Mp4Error::NotConsecutive(pair[1].number));
    }
    let payload_bytes: usize = units.iter().map(|unit| unit.payload.len()).sum();
    if units.len() > MAX_PART_UNITS || i32::try_from(payload_bytes).is_err() {
        return Err(Mp4Error::TooLarge("the fragment"));
    }
    Ok(write_fragment(track, units, payload_bytes))
}

/// Whether `next` may stand behind `last` in one fragment: next in number, and later by at most the
/// longest duration of a unit.
pub(crate) fn follows(last: &Unit, next: &Unit) -> bool {
    last.number.checked_add(1) == Some(next.number)
        && next.pts_90k > last.pts_90k
        && next.pts_90k - last.pts_90k <= u64::from(MAX_DURATION_90K)
}

/// [`fragment`] of units that are known to follow each other and to fit; `payload_bytes` is their
/// sum. Allocates once for the result and copies each payload once.
pub(crate) fn write_fragment(track: Track, units: &[Unit], payload_bytes: usize) -> Bytes {
    let late_keys = track == Track::Video && units.iter().skip(1).any(|unit| unit.key);
    let entries: Vec<TrunEntry> = units
        .iter()
        .enumerate()
        .map(|(at, unit)| {
            let start = media_time(track, unit.pts_90k);
            let end = media_time(track, units.get(at + 1).map_or_else(|| end_90k(unit), |next| next.pts_90k));
            let flags = match track {
                Track::Audio => None,
                Track::Video if late_keys => Some(if unit.key { KEY_FLAGS } else { DELTA_FLAGS }),
                Track::Video => (at == 0 && unit.key).then_some(KEY_FLAGS),
            };
            TrunEntry {
                duration: Some((end - start) as u32),
                size: Some(unit.payload.len() as u32),
                flags,
                cts: None,
            }
        })
        .collect();
    let flag_bytes = match (late_keys, entries.first().and_then(|first| first.flags)) {
        (true, _) => 4 * units.len(),
        (false, Some(_)) => 4,
        (false, None) => 0,
    };
    let moof_bytes = MOOF_BYTES + flag_bytes + 8 * units.len();
    let first = units.first();
    let moof = Moof {
        mfhd: Mfhd { sequence_number: first.map_or(0, |unit| sequence_number(unit.number)) },
        traf: vec![Traf {
            tfhd: Tfhd {
                track_id: track_id(track),
                default_sample_flags: Some(if track == Track::Audio { KEY_FLAGS } else { DELTA_FLAGS }),
                default_base_is_moof: true,
                ..Tfhd::default()
            },
            tfdt: Some(Tfdt {
                base_media_decode_time: first.map_or(0, |unit| media_time(track, unit.pts_90k)),
            }),
            trun: vec![Trun {
                data_offset: Some((moof_bytes + MDAT_HEADER_BYTES) as i32),
                samples: TrunSamples::Explicit(entries),
            }],
            ..Traf::default()
        }],
    };
    let mut bytes = Vec::with_capacity(moof_bytes + MDAT_HEADER_BYTES + payload_bytes);
    moof.encode(&mut bytes).expect("a moof of a bounded number of samples can be written");
    debug_assert_eq!(bytes.len(), moof_bytes);
    bytes.extend_from_slice(&((payload_bytes + MDAT_HEADER_BYTES) as u32).to_be_bytes());
    bytes.extend_from_slice(b"mdat");
    for unit in units {
        bytes.extend_from_slice(&unit.payload);
    }
    Bytes::from(bytes)
}

/// The sequence number of a fragment that starts with this unit. Fragments of one track that follow
/// each other have numbers that differ by their units, so that a reader can see a gap.
pub(super) const fn sequence_number(first_unit: u64) -> u32 {
    (first_unit as u32).wrapping_add(1)
}
