//! Layouts of recordings, checked by their numbers alone.

#![allow(clippy::unwrap_used)]

use media::mp4::recording::{Layout, Piece, RecordedPart, RecordedTrack, layout};
use media::mp4::{FragmentIndex, Mp4Error, SampleEntry};
use mp4_atom::{Decode as _, Ftyp, Header, Moov, Stbl, StszSamples};
use proptest::prelude::*;
use protocol::Track;
use protocol::codec::CodecParameters;

const OPUS: CodecParameters = CodecParameters::Opus { channels: 2, pre_skip_48k: 312 };

/// A part of equal samples.
fn part(
    track: Track,
    first_unit: u32,
    start: u64,
    samples: u32,
    sample_bytes: u32,
    key: bool,
) -> RecordedPart {
    let duration = if track == Track::Video { 3_000 } else { 960 };
    let sample =
        |at| SampleEntry { bytes: sample_bytes, duration, key: key && at == 0 || track == Track::Audio };
    let payload_bytes = samples * sample_bytes;
    let index = FragmentIndex {
        track,
        sequence_number: first_unit + 1,
        pts_90k: media::time::clock_time_90k(track, start),
        base_decode_time: start,
        samples: (0..samples).map(sample).collect(),
        payload_offset: 200,
        payload_bytes,
        total_bytes: 200 + u64::from(payload_bytes),
    };
    let pts_90k = index.pts_90k;
    RecordedPart { parameters_index: 0, first_unit: u64::from(first_unit), pts_90k, index }
}

fn audio(parts: Vec<RecordedPart>) -> RecordedTrack {
    RecordedTrack { track: Track::Audio, parameters: vec![OPUS], parts }
}

/// The parsed header: `moov`, the length of `mdat`'s header and the bytes it announces behind it.
fn parse(layout: &Layout) -> (Moov, usize, u64) {
    let mut rest = &layout.header[..];
    Ftyp::decode(&mut rest).unwrap();
    let moov = Moov::decode(&mut rest).unwrap();
    let units = Header::decode(&mut rest).unwrap();
    assert_eq!(units.kind, b"uuid".into());
    rest = &rest[units.size.unwrap()..];
    let mdat_header_bytes = rest.len();
    let mdat = Header::decode(&mut rest).unwrap();
    assert!(rest.is_empty());
    (moov, mdat_header_bytes, mdat.size.unwrap() as u64)
}

fn offsets(stbl: &Stbl) -> Vec<u64> {
    match (&stbl.stco, &stbl.co64) {
        (Some(narrow), None) => narrow.entries.iter().copied().map(u64::from).collect(),
        (None, Some(wide)) => wide.entries.clone(),
        both => panic!("{both:?}"),
    }
}

/// A track of `parts` parts of one sample each, and what its layout says.
fn one_sample_parts(parts: u32, sample_bytes: u32) -> (Layout, Moov, usize, u64) {
    let parts = (0..parts).map(|at| part(Track::Audio, at, u64::from(at) * 960, 1, sample_bytes, true));
    let layout = layout(&[audio(parts.collect())]).unwrap();
    let (moov, mdat_header_bytes, mdat_bytes) = parse(&layout);
    (layout, moov, mdat_header_bytes, mdat_bytes)
}

#[test]
fn beyond_4_gib_offsets_and_mdat_are_wide() {
    const GIB: u32 = 1 << 30;
    let (layout, moov, mdat_header_bytes, mdat_bytes) = one_sample_parts(6, GIB);
    let stbl = &moov.trak[0].mdia.minf.stbl;
    assert!(stbl.co64.is_some() && stbl.stco.is_none());
    assert_eq!((mdat_header_bytes, mdat_bytes), (16, 6 << 30));
    assert_eq!(layout.total_bytes, layout.header.len() as u64 + (6 << 30));
    let start = layout.header.len() as u64;
    assert_eq!(offsets(stbl), (0..6).map(|at| start + (at << 30)).collect::<Vec<_>>());
}

#[test]
fn the_step_to_wide_offsets_is_at_4_gib_of_file() {
    let header_bytes = one_sample_parts(2, 1).0.header.len() as u32;
    let longest = u32::MAX - header_bytes;
    // Two parts whose sizes sum up to the payload.
    let file = |payload_bytes: u32| {
        let first = part(Track::Audio, 0, 0, 1, payload_bytes / 2, true);
        let second = part(Track::Audio, 1, 960, 1, payload_bytes - payload_bytes / 2, true);
        let layout = layout(&[audio(vec![first, second])]).unwrap();
        let (moov, mdat_header_bytes, mdat_bytes) = parse(&layout);
        assert_eq!(mdat_bytes, u64::from(payload_bytes));
        let wide = moov.trak[0].mdia.minf.stbl.co64.is_some();
        (wide, mdat_header_bytes, layout.total_bytes)
    };
    assert_eq!(file(longest), (false, 8, u64::from(u32::MAX)));
    assert_eq!(file(longest + 1), (true, 8, (1 << 32) + 8));
    assert_eq!(file(u32::MAX - 8).1, 8);
    assert_eq!(file(u32::MAX - 7).1, 16);
}

#[test]
fn a_gap_of_many_hours_is_refused_and_one_of_six_is_not() {
    let with_gap = |hours: u64| {
        let parts = vec![
            part(Track::Audio, 0, 0, 1, 10, true),
            part(Track::Audio, 5, hours * 3_600 * 48_000, 1, 10, true),
        ];
        layout(&[audio(parts)])
    };
    assert!(with_gap(12).is_ok());
    assert!(matches!(with_gap(13), Err(Mp4Error::TooLarge(_))));
}

#[test]
fn contradictions_are_refused() {
    let mut lost = part(Track::Audio, 0, 0, 1, 10, true);
    lost.parameters_index = 1;
    let refused = layout(&[audio(vec![lost])]);
    assert!(matches!(refused, Err(Mp4Error::NoParameters { part: 0, parameters_index: 1 })), "{refused:?}");
    let mixed = layout(&[audio(vec![part(Track::Video, 0, 0, 1, 10, true)])]);
    assert!(matches!(mixed, Err(Mp4Error::WrongTrack(Track::Audio))), "{mixed:?}");
    assert!(matches!(layout(&[]), Err(Mp4Error::NoUnits)));
}

#[test]
fn parts_that_overlap_in_time_still_ascend() {
    let parts = vec![
        part(Track::Audio, 0, 960, 2, 10, true),
        part(Track::Audio, 2, 1_000, 2, 10, true),
        part(Track::Audio, 4, u64::MAX - 10, 2, 10, true),
    ];
    assert!(matches!(layout(&[audio(parts.clone())]), Err(Mp4Error::TooLarge(_))));
    let (moov, _, _) = parse(&layout(&[audio(parts[..2].to_vec())]).unwrap());
    let durations = &moov.trak[0].mdia.minf.stbl.stts.entries;
    let durations: Vec<(u32, u32)> =
        durations.iter().map(|run| (run.sample_count, run.sample_delta)).collect();
    // Starts 960, 1920, then 1000 moved to 1921, then 1960.
    assert_eq!(durations, [(1, 960), (1, 1), (1, 39), (1, 960)]);
}

proptest! {
    #[test]
    fn sample_tables_describe_every_part(
        starts in prop::collection::vec((0..3u64, 1..20u32, 1..5_000u32), 1..60),
    ) {
        let mut next = 0u64;
        let mut expected = Vec::new();
        let parts: Vec<RecordedPart> = starts.iter().map(|&(gap, samples, sample_bytes)| {
            next += gap * 960;
            expected.extend((0..u64::from(samples)).map(|at| (next + at * 960, sample_bytes)));
            let part = part(Track::Audio, (next / 960) as u32, next, samples, sample_bytes, true);
            next += u64::from(samples) * 960;
            part
        }).collect();
        let first = expected[0].0;
        let layout = layout(&[audio(parts.clone())]).unwrap();
        let (moov, _, _) = parse(&layout);
        let stbl = &moov.trak[0].mdia.minf.stbl;

        let mut time = first;
        let mut times = Vec::new();
        for run in &stbl.stts.entries {
            for _ in 0..run.sample_count {
                times.push(time);
                time += u64::from(run.sample_delta);
            }
        }
        prop_assert_eq!(&times, &expected.iter().map(|&(time, _)| time).collect::<Vec<_>>());
        prop_assert_eq!(time, next);
        let StszSamples::Different { sizes } = &stbl.stsz.samples else { panic!("sizes") };
        prop_assert_eq!(sizes, &expected.iter().map(|&(_, bytes)| bytes).collect::<Vec<_>>());

        // Chunks are the parts, back to back behind the header.
        let mut offset = layout.header.len() as u64;
        for (chunk, (&stored, recorded)) in offsets(stbl).iter().zip(&parts).enumerate() {
            prop_assert_eq!(stored, offset);
            offset += u64::from(recorded.index.payload_bytes);
            let run = stbl.stsc.entries.iter().rev().find(|run| run.first_chunk as usize <= chunk + 1).unwrap();
            prop_assert_eq!(run.samples_per_chunk as usize, recorded.index.samples.len());
        }
        prop_assert_eq!(offset, layout.total_bytes);
        let pieces = parts.iter().enumerate().map(|(part, recorded)| Piece {
            track: Track::Audio, part, bytes: recorded.index.payload_bytes,
        });
        prop_assert_eq!(&layout.pieces, &pieces.collect::<Vec<_>>());
    }

    #[test]
    fn any_numbers_lay_out_or_fail_without_panic(
        parts in prop::collection::vec((any::<u32>(), prop_oneof![0..10_000u64, any::<u64>()], 1..5u32, any::<u32>(), 0..2usize), 0..8),
    ) {
        let parts = parts.into_iter().map(|(first_unit, start, samples, bytes, parameters_index)| RecordedPart {
            parameters_index,
            ..part(Track::Audio, first_unit & 0xffff, start, samples, bytes / 5, true)
        });
        if let Ok(layout) = layout(&[audio(parts.collect())]) {
            let payload: u64 = layout.pieces.iter().map(|piece| u64::from(piece.bytes)).sum();
            prop_assert_eq!(layout.total_bytes, layout.header.len() as u64 + payload);
            parse(&layout);
        }
    }
}
