//! The records of a log: how they are written, and how they are found again in what a crash left.
//!
//! A file is a sequence of records; all fields are big-endian:
//!
//! | offset | bytes | field |
//! | ---: | ---: | --- |
//! | 0 | 4 | [`MARKER`] |
//! | 4 | 4 | CRC-32 (IEEE 802.3) of everything behind it in the record |
//! | 8 | 4 | the body's length in bytes |
//! | 12 | 1 | kind: 1 unit, 2 params, 3 event, 4 finish, 5 given up, 6 digests |
//! | 13 | 3 | of a unit, the [`ParamsSum`] of the codec parameters that it needs; else zero |
//! | 16 | | body |
//!
//! A unit's body is what goes over the wire: the protocol's unit header and the payload. Params and events are the
//! protocol's JSON. Finish is the count of units, given up the first and the last number and the first one's pts, 8
//! bytes each. Digests are the first unit's number, 8 bytes, and the digests of this unit and those behind it, 16 bytes
//! each.

use bytes::{BufMut as _, Bytes, BytesMut};
use protocol::codec::Params;
use protocol::digest::UnitDigest;
use protocol::limits::{MAX_UNIT_BYTES, MAX_UNIT_NUMBER};
use protocol::unit::{HEADER_BYTES as UNIT_HEADER_BYTES, Unit};
use protocol::{Hex, UnitRange};

use crate::spool::{GivenUp, Note};

/// What every record begins with, so that the next one is found behind a damaged one.
const MARKER: [u8; 4] = [0xf3, b'L', b'T', b'1'];

/// The length of a record's header in bytes.
pub(super) const HEADER_BYTES: usize = 16;

/// The longest body: a unit as large as the protocol permits. Params and events are smaller.
const MAX_BODY_BYTES: usize = UNIT_HEADER_BYTES + MAX_UNIT_BYTES;

const UNIT: u8 = 1;
const PARAMS: u8 = 2;
const EVENT: u8 = 3;
const FINISH: u8 = 4;
const GIVEN_UP: u8 = 5;
const DIGESTS: u8 = 6;

/// Tells codec parameters apart: the lower 24 bits of the CRC-32 of their JSON. A power cut may take them and leave units
/// that need them, which are of no use without. Zero: no parameters were noted before the unit.
pub(super) type ParamsSum = u32;

/// The sum of these codec parameters.
pub(super) fn params_sum(params: &Params) -> ParamsSum {
    let text = serde_json::to_vec(params).expect("control messages are plain values");
    (crc32fast::hash(&text) & 0xff_ffff).max(1)
}

/// Of the codec parameters that hold for a unit, of these, which ascend by the unit from which they do.
pub(super) fn sum_at(sums: &[(u64, ParamsSum)], number: u64) -> ParamsSum {
    let after = sums.partition_point(|(from_unit, _)| *from_unit <= number);
    after.checked_sub(1).map_or(0, |at| sums[at].1)
}

/// One record of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    Unit(Unit, ParamsSum),
    Note(Note),
}

/// The bytes of a unit's record.
pub(super) fn of_unit(unit: &Unit, params: ParamsSum) -> Bytes {
    sealed_with(UNIT, params, unit.encoded_bytes(), |record| unit.encode(record))
}

/// The bytes of a note's record.
pub(super) fn of_note(note: &Note) -> Bytes {
    let json = |text: serde_json::Result<Vec<u8>>| text.expect("control messages are plain values");
    match note {
        Note::Params(params) => {
            let text = json(serde_json::to_vec(params));
            sealed(PARAMS, text.len(), |record| record.put_slice(&text))
        }
        Note::Event(event) => {
            let text = json(serde_json::to_vec(event));
            sealed(EVENT, text.len(), |record| record.put_slice(&text))
        }
        Note::Finish { units } => sealed(FINISH, 8, |record| record.put_u64(*units)),
        Note::GivenUp(GivenUp { units, pts_90k }) => sealed(GIVEN_UP, 24, |record| {
            record.put_u64(units.first);
            record.put_u64(units.last);
            record.put_u64(*pts_90k);
        }),
        Note::Digests { first, digests } => {
            sealed(DIGESTS, 8 + digests.len() * size_of::<UnitDigest>(), |record| {
                record.put_u64(*first);
                digests.iter().for_each(|digest| record.put_slice(&digest.0));
            })
        }
    }
}

fn sealed(kind: u8, body_bytes: usize, body: impl FnOnce(&mut BytesMut)) -> Bytes {
    sealed_with(kind, 0, body_bytes, body)
}

fn sealed_with(kind: u8, sum: ParamsSum, body_bytes: usize, body: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut record = BytesMut::with_capacity(HEADER_BYTES + body_bytes);
    record.put_slice(&MARKER);
    record.put_u32(0);
    record.put_u32(u32::try_from(body_bytes).expect("a body below 4 GiB"));
    record.put_u32((u32::from(kind) << 24) | sum);
    body(&mut record);
    let sum = crc32fast::hash(&record[8..]);
    record[4..8].copy_from_slice(&sum.to_be_bytes());
    record.freeze()
}

/// Whether these bytes are a record of digests.
#[cfg(any(test, feature = "simulation"))]
pub(super) fn holds_digests(record: &[u8]) -> bool {
    record.get(12) == Some(&DIGESTS)
}

/// The record that these bytes begin with, and its length; none when they begin with anything else.
pub(super) fn decode(bytes: &Bytes) -> Option<(Record, usize)> {
    let header = bytes.get(..HEADER_BYTES)?;
    let field = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let body_bytes = field(8) as usize;
    let (kind, sum) = (header[12], field(12) & 0xff_ffff);
    if header[..4] != MARKER || (sum != 0 && kind != UNIT) || body_bytes > MAX_BODY_BYTES {
        return None;
    }
    let length = HEADER_BYTES + body_bytes;
    if crc32fast::hash(bytes.get(8..length)?) != field(4) {
        return None;
    }
    let record = decode_body(kind, sum, bytes.slice(HEADER_BYTES..length))?;
    Some((record, length))
}

fn decode_body(kind: u8, sum: ParamsSum, mut body: Bytes) -> Option<Record> {
    let number = |at: usize| Some(u64::from_be_bytes(body.get(at..at + 8)?.try_into().ok()?));
    let note = match kind {
        UNIT => {
            let unit = Unit::decode(&mut body).ok()?;
            return body.is_empty().then_some(Record::Unit(unit, sum));
        }
        PARAMS => Note::Params(serde_json::from_slice(&body).ok()?),
        EVENT => Note::Event(serde_json::from_slice(&body).ok()?),
        FINISH if body.len() == 8 => Note::Finish { units: number(0)? },
        GIVEN_UP if body.len() == 24 => {
            let units = UnitRange::try_from((number(0)?, number(8)?)).ok()?;
            Note::GivenUp(GivenUp { units, pts_90k: number(16)? })
        }
        DIGESTS => {
            let (digests, []) = body.get(8..)?.as_chunks() else { return None };
            let first = number(0).filter(|first| *first < MAX_UNIT_NUMBER)?;
            Note::Digests { first, digests: digests.iter().map(|digest| Hex(*digest)).collect() }
        }
        _ => return None,
    };
    Some(Record::Note(note))
}

/// What is not a record in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Scan {
    /// Bytes between whole records, or before the first one.
    pub(super) damaged_bytes: u64,
    /// Bytes behind the last whole record: what a crash left of the one that was being written.
    pub(super) torn_bytes: u64,
}

/// Finds all whole records of a file. `found` is told each with its offset and length.
pub(super) fn scan(file: &Bytes, mut found: impl FnMut(u64, u32, Record)) -> Scan {
    let mut scan = Scan::default();
    let (mut at, mut whole_until) = (0, 0);
    while at < file.len() {
        match decode(&file.slice(at..)) {
            Some((record, length)) => {
                scan.damaged_bytes += (at - whole_until) as u64;
                found(at as u64, length as u32, record);
                at += length;
                whole_until = at;
            }
            None => {
                let next = file[at + 1..].windows(MARKER.len()).position(|bytes| bytes == MARKER);
                at = next.map_or(file.len(), |next| at + 1 + next);
            }
        }
    }
    scan.torn_bytes = (file.len() - whole_until) as u64;
    scan
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use protocol::codec::CodecParameters;
    use protocol::control::{Event, EventKind};
    use protocol::unit::Lane;

    use super::*;

    fn unit(number: u64, payload: Vec<u8>) -> Unit {
        Unit {
            lane: Lane::Live,
            key: number.is_multiple_of(3),
            number,
            pts_90k: number * 3_000,
            duration_90k: 3_000,
            capture_us: number,
            payload: payload.into(),
        }
    }

    fn records() -> Vec<(Record, Bytes)> {
        let opus = CodecParameters::Opus { channels: 1, pre_skip_48k: 312 };
        let notes = [
            Note::Params(Params { from_unit: 0, parameters: opus }),
            Note::Event(Event { number: 0, at_90k: 9, kind: EventKind::Muted, detail: "off".into() }),
            Note::GivenUp(GivenUp { units: UnitRange::new(3, 9), pts_90k: 27_000 }),
            Note::Finish { units: 12 },
            Note::Digests { first: 5, digests: vec![Hex([7; 16]), Hex([0xf3; 16])] },
        ];
        let units = (0..4).map(|number| unit(number, vec![number as u8; 20 + number as usize]));
        let units = units.map(|unit| (Record::Unit(unit.clone(), 0x01_0203), of_unit(&unit, 0x01_0203)));
        notes.map(|note| (Record::Note(note.clone()), of_note(&note))).into_iter().chain(units).collect()
    }

    fn scanned(bytes: &[u8]) -> (Vec<Record>, Scan) {
        let mut found = Vec::new();
        let scan = scan(&Bytes::copy_from_slice(bytes), |_, _, record| found.push(record));
        (found, scan)
    }

    fn file() -> (Vec<Record>, Vec<u8>, Vec<usize>) {
        let (mut bytes, mut starts, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for (record, encoded) in records() {
            starts.push(bytes.len());
            bytes.extend_from_slice(&encoded);
            all.push(record);
        }
        (all, bytes, starts)
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let record = of_note(&Note::Finish { units: 0x0102 });
        let behind: &[u8] = &[0, 0, 0, 8, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2];
        assert_eq!(&record[..4], [0xf3, b'L', b'T', b'1']);
        assert_eq!(record[4..8], crc32fast::hash(behind).to_be_bytes());
        assert_eq!(&record[8..], behind);
    }

    #[test]
    fn a_file_that_is_cut_anywhere_gives_every_record_before_the_cut() {
        let (all, bytes, starts) = file();
        for cut in 0..=bytes.len() {
            let (found, scan) = scanned(&bytes[..cut]);
            let whole = starts.iter().skip(1).chain([&bytes.len()]).filter(|end| **end <= cut).count();
            assert_eq!(found, all[..whole], "cut at {cut}");
            assert_eq!(scan.damaged_bytes, 0, "cut at {cut}");
            let whole_until = if whole < starts.len() { starts[whole] } else { bytes.len() };
            assert_eq!(scan.torn_bytes, (cut - whole_until) as u64, "cut at {cut}");
        }
    }

    #[test]
    fn a_changed_byte_costs_the_record_it_is_in_and_no_other() {
        let (all, bytes, starts) = file();
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 0x21;
            let hit = starts.partition_point(|start| *start <= at) - 1;
            let expected: Vec<_> =
                all.iter().enumerate().filter(|(index, _)| *index != hit).map(|(_, r)| r.clone()).collect();
            let (found, scan) = scanned(&broken);
            assert_eq!(found, expected, "byte {at}");
            assert!(scan.damaged_bytes + scan.torn_bytes > 0);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_scanned_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), at in 0usize..200) {
            let (_, mut whole, _) = file();
            whole.splice(at..at, bytes.iter().copied());
            let (found, scan) = scanned(&whole);
            prop_assert!(found.len() <= records().len());
            prop_assert!(scan.damaged_bytes + scan.torn_bytes <= whole.len() as u64);
            scanned(&bytes);
        }

        #[test]
        fn units_come_back_as_they_were(payload in prop::collection::vec(any::<u8>(), 1..3_000), number in 0u64..1 << 40) {
            let unit = Unit { number, pts_90k: 5, capture_us: 7, ..unit(0, payload) };
            let encoded = of_unit(&unit, 9);
            prop_assert_eq!(decode(&encoded), Some((Record::Unit(unit, 9), encoded.len())));
        }
    }
}
