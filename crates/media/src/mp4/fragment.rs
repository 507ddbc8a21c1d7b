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

/// What of a fragment [`super::read_fragment`] needs at the most: a `moof` of [`MAX_PART_UNITS`]
/// samples with flags of their own, and the header of the `mdat`.
pub const MAX_HEAD_BYTES: usize = MOOF_BYTES + 12 * MAX_PART_UNITS + MDAT_HEADER_BYTES;

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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;
    use protocol::unit::Lane;

    use super::super::read_fragment;
    use super::*;

    fn unit(number: u64, key: bool) -> Unit {
        Unit {
            lane: Lane::Live,
            key,
            number,
            pts_90k: 1_000 + number * 1_800,
            duration_90k: 1_800,
            capture_us: 0,
            payload: Bytes::from(vec![0xaa; 3 + number as usize]),
        }
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let bytes = fragment(Track::Audio, &[unit(0, true), unit(1, true)]).unwrap();
        let expected = [
            &[0, 0, 0, 108][..],
            b"moof",
            &[0, 0, 0, 16],
            b"mfhd",
            &[0, 0, 0, 0, 0, 0, 0, 1],
            &[0, 0, 0, 84],
            b"traf",
            &[0, 0, 0, 20],
            b"tfhd",
            &[0, 2, 0, 0x20, 0, 0, 0, 2, 2, 0, 0, 0],
            &[0, 0, 0, 20],
            b"tfdt",
            &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x15],
            &[0, 0, 0, 36],
            b"trun",
            &[1, 0, 3, 1, 0, 0, 0, 2, 0, 0, 0, 116],
            &[0, 0, 3, 0xc0, 0, 0, 0, 3, 0, 0, 3, 0xc0, 0, 0, 0, 4],
            &[0, 0, 0, 15],
            b"mdat",
            &[0xaa; 7],
        ]
        .concat();
        assert_eq!(&bytes[..], expected);
    }

    #[test]
    fn keys_are_marked_wherever_they_are() {
        for keys in 0..8u64 {
            let units: Vec<Unit> = (0..3).map(|number| unit(number, keys >> number & 1 == 1)).collect();
            let index = read_fragment(&fragment(Track::Video, &units).unwrap()).unwrap();
            let read = index.samples.iter().rev().fold(0, |bits, sample| bits << 1 | u64::from(sample.key));
            assert_eq!(read, keys);
        }
    }

    #[test]
    fn the_longest_head_is_within_its_bound() {
        let units: Vec<Unit> = (0..MAX_PART_UNITS as u64).map(|number| unit(number, true)).collect();
        let bytes = fragment(Track::Video, &units).unwrap();
        let index = read_fragment(&bytes[..MAX_HEAD_BYTES]).unwrap();
        assert_eq!((index.payload_offset as usize, index.total_bytes), (MAX_HEAD_BYTES, bytes.len() as u64));
        assert!(matches!(read_fragment(&bytes[..MAX_HEAD_BYTES - 1]), Err(Mp4Error::Truncated { .. })));
        let too_many: Vec<Unit> = (0..=MAX_PART_UNITS as u64).map(|number| unit(number, true)).collect();
        assert!(matches!(fragment(Track::Video, &too_many), Err(Mp4Error::TooLarge(_))));
    }

    #[test]
    fn units_that_do_not_follow_each_other_are_refused() {
        assert!(matches!(fragment(Track::Video, &[]), Err(Mp4Error::NoUnits)));
        let refused = |second: Unit| match fragment(Track::Video, &[unit(0, true), second]) {
            Err(Mp4Error::NotConsecutive(number)) => number,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(unit(2, false)), 2);
        assert_eq!(refused(unit(0, false)), 0);
        assert_eq!(refused(Unit { pts_90k: 1_000, ..unit(1, false) }), 1);
        assert_eq!(refused(Unit { pts_90k: 1_000_000, ..unit(1, false) }), 1);
    }
}
