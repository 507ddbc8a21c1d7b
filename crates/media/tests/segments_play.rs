//! An init segment and the fragments behind it are a file that players accept.

#![allow(clippy::unwrap_used)]

mod support;

use media::mp4::{init_segment, walk_segment};
use media::part::Part;
use protocol::Track;
use protocol::codec::CodecParameters;
use support::{File, assert_times, audio, later, numbered_from, parts, video};

fn segment(track: Track, parameters: &CodecParameters, parts: &[Part]) -> Vec<u8> {
    let mut bytes = init_segment(track, parameters).unwrap().to_vec();
    parts.iter().for_each(|part| bytes.extend_from_slice(&part.fragment));
    bytes
}

#[test]
fn video_fragments_play_at_their_times() {
    let (parameters, units) = video(320, 180, 60, 30);
    let parts = parts(Track::Video, later(units, 90_000));
    assert_eq!(parts.iter().map(|part| part.unit_count).collect::<Vec<_>>(), [9, 9, 9, 3, 9, 9, 9, 3]);
    assert_eq!(parts.iter().filter(|part| part.key).count(), 2);
    let file = File::of(&segment(Track::Video, &parameters, &parts));
    file.decodes_silently();
    assert_times(&file.frame_times("v"), (0..60).map(|frame| 1.0 + f64::from(frame) / 30.0));
}

#[test]
fn uneven_frame_times_are_kept() {
    let (parameters, mut units) = video(320, 180, 12, 12);
    for unit in &mut units {
        unit.pts_90k += unit.number * unit.number % 7 * 100;
    }
    let expected: Vec<f64> = units.iter().map(|unit| unit.pts_90k as f64 / 90_000.0).collect();
    let file = File::of(&segment(Track::Video, &parameters, &parts(Track::Video, units)));
    assert_times(&file.decodes_silently().frame_times("v"), expected);
}

#[test]
fn mono_and_stereo_fragments_play_at_their_times() {
    for channels in [1, 2] {
        let (parameters, units) = audio(channels, 50, 24_000);
        let parts = parts(Track::Audio, later(units, 45_000));
        assert!(parts.iter().all(|part| part.key && part.unit_count <= 15));
        let file = File::of(&segment(Track::Audio, &parameters, &parts));
        let times = file.decodes_silently().frame_times("a");
        assert!(times.len() >= 49, "{} blocks", times.len());
        // The click lies 0.5 s behind the first sample, which was captured 0.5 s into the session.
        let click = file.click_time();
        assert!((click - 1.0).abs() < 0.0005, "the click is at {click} s with {channels} channels");
    }
}

#[test]
fn a_segment_cut_at_any_byte_is_whole_up_to_its_last_fragment() {
    let (parameters, units) = video(320, 180, 20, 10);
    let parts = parts(Track::Video, units);
    let bytes = segment(Track::Video, &parameters, &parts);
    let whole = walk_segment(&bytes);
    assert!(whole.fault.is_none(), "{:?}", whole.fault);
    assert_eq!(whole.init.unwrap().parameters, parameters);
    assert_eq!(whole.fragments.len(), parts.len());
    assert_eq!(whole.whole_bytes, bytes.len() as u64);
    let ends: Vec<u64> = whole.fragments.iter().map(|(offset, index)| offset + index.total_bytes).collect();
    for cut in 0..bytes.len() {
        let walk = walk_segment(&bytes[..cut]);
        let last_end = ends.iter().copied().filter(|&end| end <= cut as u64).max();
        let init_end = whole.fragments[0].0;
        let init_whole = cut as u64 >= init_end;
        assert_eq!(
            walk.whole_bytes,
            last_end.unwrap_or(if init_whole { init_end } else { 0 }),
            "cut at {cut}"
        );
        assert_eq!(walk.fault.is_some(), walk.whole_bytes != cut as u64, "cut at {cut}");
    }
}

#[test]
fn a_walk_says_what_is_wrong_and_where() {
    let (parameters, units) = audio(1, 60, 0);
    let fragments = parts(Track::Audio, units.clone());
    let init_bytes = init_segment(Track::Audio, &parameters).unwrap().len() as u64;
    let fault = |bytes: &[u8]| walk_segment(bytes).fault.map(|fault| fault.to_string());

    let skipping = [fragments[0].clone(), fragments[2].clone()];
    let second = init_bytes + fragments[0].fragment.len() as u64;
    assert_eq!(
        fault(&segment(Track::Audio, &parameters, &skipping)).unwrap(),
        format!("the box `moof` at offset {second} is broken: its units do not follow those before it")
    );
    let other = parts(Track::Video, numbered_from(units, 15));
    let mixed = [fragments[0].clone(), other[0].clone()];
    assert_eq!(
        fault(&segment(Track::Audio, &parameters, &mixed)).unwrap(),
        format!("the box `moof` at offset {second} is broken: it is of the other track")
    );
    let cut = segment(Track::Audio, &parameters, &fragments[..1]);
    assert_eq!(
        fault(&cut[..cut.len() - 1]).unwrap(),
        format!(
            "the bytes end within the box `mdat` at offset {}",
            cut.len() as u64 - fragments[0].payload_bytes - 8
        )
    );
    assert_eq!(fault(&[]), None);
    assert_eq!(fault(&fragments[0].fragment), None);
}
