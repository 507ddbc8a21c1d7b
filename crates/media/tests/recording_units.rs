//! A recording's units are found again, exactly as their digests cover them.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use media::mp4::recording::{RecordedPart, RecordedTrack, layout};
use media::mp4::{read_fragment, read_recording};
use media::part::{Part, PartAssembler, PartLimits};
use proptest::prelude::*;
use protocol::Track;
use protocol::codec::CodecParameters;
use protocol::digest::UnitDigest;
use protocol::unit::{Lane, Unit};

const OPUS: CodecParameters = CodecParameters::Opus { channels: 2, pre_skip_48k: 312 };

/// A recording of these units, and the digests that were taken of them.
fn recording(units: &[Unit]) -> (Vec<u8>, Vec<(u64, UnitDigest)>) {
    let mut assembler =
        PartAssembler::new(Track::Audio, PartLimits { duration_90k: 9_000, payload_bytes: 1 << 20 });
    let mut parts: Vec<Part> = units.iter().cloned().filter_map(|unit| assembler.push(unit)).collect();
    parts.extend(assembler.flush());
    let recorded = parts.iter().map(|part| RecordedPart {
        parameters_index: 0,
        first_unit: part.first_unit,
        pts_90k: part.pts_90k,
        index: read_fragment(&part.fragment).unwrap(),
    });
    let track = RecordedTrack { track: Track::Audio, parameters: vec![OPUS], parts: recorded.collect() };
    let layout = layout(&[track]).unwrap();
    let mut file = layout.header.to_vec();
    for piece in &layout.pieces {
        let part = &parts[piece.part];
        file.extend_from_slice(&part.fragment[part.payload_offset()..]);
    }
    let digests = parts.iter().flat_map(|part| (part.first_unit..).zip(part.digests.iter().copied()));
    (file, digests.collect())
}

fn units(steps: &[(u64, u64, usize)]) -> Vec<Unit> {
    let (mut number, mut pts_90k) = (0, 0);
    let unit = |&(skip, step_90k, bytes): &(u64, u64, usize)| {
        (number, pts_90k) = (number + skip + 1, pts_90k + step_90k);
        let payload = Bytes::from(vec![number as u8; bytes]);
        let lane = Lane::Live;
        Unit { lane, key: true, number, pts_90k, duration_90k: 1_800, capture_us: 0, payload }
    };
    steps.iter().map(unit).collect()
}

proptest! {
    #[test]
    fn every_unit_is_found_with_its_number_time_and_bytes(
        steps in prop::collection::vec((prop_oneof![5 => Just(0u64), 1 => 0..9u64], 2u64..5_000, 1usize..40), 1..60),
    ) {
        let (file, digests) = recording(&units(&steps));
        let contents = read_recording(&file).unwrap();
        prop_assert_eq!(contents.total_bytes, file.len() as u64);
        prop_assert_eq!(contents.units.len(), digests.len());
        for (unit, (number, digest)) in contents.units.iter().zip(digests) {
            let mut payload = file[unit.offset as usize..][..unit.bytes as usize].to_vec();
            prop_assert_eq!(unit.number, number);
            prop_assert!(unit.has_digest(&payload, digest));
            payload[0] ^= 1;
            prop_assert!(!unit.has_digest(&payload, digest));
        }
    }

    #[test]
    fn damaged_recordings_are_read_without_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let (mut file, _) = recording(&units(&[(0, 1_800, 5); 20]));
        for (at, value) in damage {
            let at = at.index(file.len());
            file[at] = value;
        }
        file.truncate(cut.index(file.len() + 1));
        if let Ok(contents) = read_recording(&file) {
            prop_assert!(contents.units.len() <= file.len() / 4);
        }
    }
}
