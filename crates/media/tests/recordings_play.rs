//! Recordings made from parts are files that players accept, with sound and picture in step.

#![allow(clippy::unwrap_used)]

mod support;

use media::mp4::Mp4Error;
use media::mp4::recording::{Layout, RecordedTrack, layout};
use protocol::Track;
use support::{File, PACKET_90K, Stored, assembled, assert_times, audio, later, numbered_from, video};

fn recorded(stored: &[Stored]) -> (Layout, File) {
    let tracks: Vec<RecordedTrack> = stored.iter().map(|stored| stored.track.clone()).collect();
    let layout = layout(&tracks).unwrap();
    let file = File::of(&assembled(&layout, stored));
    file.decodes_silently();
    (layout, file)
}

fn video_at(frames: u64, start_90k: u64) -> Stored {
    let (parameters, units) = video(320, 180, frames, 15);
    Stored::new(Track::Video).with((parameters, later(units, start_90k)))
}

fn audio_at(packets: u64, start_90k: u64, click_at: usize) -> Stored {
    let (parameters, units) = audio(2, packets, click_at);
    Stored::new(Track::Audio).with((parameters, later(units, start_90k)))
}

#[test]
fn sound_and_picture_start_as_far_apart_as_they_were_captured() {
    // Start of video and of audio on the session's clock, in 1/90000 s.
    for (video_90k, audio_90k) in [(0, 0), (0, 30_000), (45_000, 0), (900_000, 900_007), (123_457, 123_400)] {
        let stored = [video_at(45, video_90k), audio_at(75, audio_90k, 48_000)];
        let (layout, file) = recorded(&stored);
        assert_eq!(layout.left_out_units, 0);
        let base = video_90k.min(audio_90k);
        let video_start = (video_90k - base) as f64 / 90_000.0;
        let audio_start = (audio_90k - base) as f64 / 90_000.0;
        assert_times(&file.frame_times("v"), (0..45).map(|frame| video_start + f64::from(frame) / 30.0));
        let (picture, sound) = (file.frame_times("v")[0], file.frame_times("a")[0]);
        let apart = (audio_90k as f64 - video_90k as f64) / 90_000.0;
        assert!((sound - picture - apart).abs() < 22e-6, "{sound} and {picture}, not {apart} apart");
        let click = file.click_time();
        assert!(
            (click - audio_start - 1.0).abs() < 0.0005,
            "the click is at {click}, audio at {audio_start}"
        );
        let end = (video_start + 1.5).max(audio_start + 1.5 - 0.0065);
        assert!((file.duration() - end).abs() < 0.001, "{} s instead of {end}", file.duration());
    }
}

#[test]
fn payloads_are_interleaved_by_time() {
    let (layout, _) = recorded(&[audio_at(100, 0, 0), video_at(60, 0)]);
    let tracks: Vec<Track> = layout.pieces.iter().map(|piece| piece.track).collect();
    assert_eq!(tracks[0], Track::Video);
    let longest_run = tracks.chunk_by(|a, b| a == b).map(<[Track]>::len).max();
    assert!(longest_run <= Some(2), "{tracks:?}");
    for track in Track::ALL {
        let parts: Vec<usize> =
            layout.pieces.iter().filter(|piece| piece.track == track).map(|piece| piece.part).collect();
        assert!(parts.iter().copied().eq(0..parts.len()), "{parts:?}");
    }
}

#[test]
fn one_track_alone_plays() {
    let (_, file) = recorded(&[video_at(30, 77_000), Stored::new(Track::Audio)]);
    assert_times(&file.frame_times("v"), (0..30).map(|frame| f64::from(frame) / 30.0));
    let (_, file) = recorded(&[audio_at(50, 77_000, 24_000)]);
    assert!((file.click_time() - 0.5).abs() < 0.0005);
}

#[test]
fn a_gap_keeps_what_follows_at_its_time() {
    // Parts of 0.3 s and an IDR picture each 0.5 s: parts 2 and 3 are the second group of pictures.
    let video = video_at(60, 0).without(3).without(2);
    let audio = audio_at(100, 0, 72_000).without(2);
    let (layout, file) = recorded(&[video, audio]);
    assert_eq!(layout.left_out_units, 0);
    assert_times(&file.frame_times("v"), (0..15).chain(30..60).map(|frame| f64::from(frame) / 30.0));
    // The gap of 0.3 s is 15 packets; blocks behind it are where they were.
    let blocks = file.frame_times("a");
    assert!(blocks.iter().all(|time| !(0.61..0.89).contains(time)), "{blocks:?}");
    assert!((blocks.last().unwrap() - (1.98 - 0.0065)).abs() < 0.0001, "{blocks:?}");
}

#[test]
fn pictures_whose_idr_is_missing_are_left_out() {
    // Part 0 starts the first group of pictures, part 4 the third.
    let (layout, file) = recorded(&[video_at(60, 0).without(4).without(0)]);
    assert_eq!(layout.left_out_units, 6 + 6);
    assert_times(&file.frame_times("v"), (0..15).chain(30..45).map(|frame| f64::from(frame) / 30.0));
    let nothing = layout_of(video_at(14, 0).without(0));
    assert!(matches!(nothing, Err(Mp4Error::NoUnits)), "{nothing:?}");
}

fn layout_of(stored: Stored) -> Result<Layout, Mp4Error> {
    layout(&[stored.track])
}

#[test]
fn a_change_of_picture_size_plays() {
    let small = video(320, 180, 30, 15);
    let large = video(640, 360, 30, 15);
    let large_units = numbered_from(later(large.1.clone(), 90_000), 30);
    let again = numbered_from(later(small.1.clone(), 180_000), 60);
    let stored =
        Stored::new(Track::Video).with(small.clone()).with((large.0, large_units)).with((small.0, again));
    assert_eq!(stored.track.parameters.len(), 2);
    let (layout, file) = recorded(&[stored, audio_at(150, 0, 24_000)]);
    assert_eq!(layout.left_out_units, 0);
    assert_times(&file.frame_times("v"), (0..90).map(|frame| f64::from(frame) / 30.0));
    assert_eq!(file.picture_sizes(), ["320,180", "640,360", "320,180"]);
}

#[test]
fn a_change_from_mono_to_stereo_plays() {
    let mono = audio(1, 50, usize::MAX);
    let stereo = audio(2, 50, 24_000);
    let stereo_units = numbered_from(later(stereo.1, 50 * PACKET_90K), 50);
    let stored = Stored::new(Track::Audio).with(mono).with((stereo.0, stereo_units));
    let (_, file) = recorded(&[stored]);
    let click = file.click_time();
    assert!((click - 1.5).abs() < 0.0005, "the click is at {click}");
}
