//! A whole session: devices, threads, encoders, events.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use capture::synthetic::{CLICK_AMPLITUDE, is_flash, read_time_ms};
use capture::{
    AudioConfig, CameraChoice, CaptureEvent, Config, DeviceChoice, Failure, MicrophoneChoice, MonotonicClock,
    Quality, Session, StartError, VideoConfig, Wait, start,
};
use protocol::Track;
use protocol::codec::CodecParameters;
use support::{VideoDecoder, decode_opus, of_track};

fn synthetic() -> Config {
    Config {
        video: Some(VideoConfig::new(CameraChoice::Synthetic, Quality::Q360)),
        audio: Some(AudioConfig::new(MicrophoneChoice::Synthetic, 2)),
    }
}

fn run(config: &Config) -> Session {
    start(config, Arc::new(MonotonicClock::start())).unwrap()
}

/// Collects events until the session ends; stops it after the video unit of a number.
fn collect(session: &Session, stop_after: u64) -> Vec<CaptureEvent> {
    session
        .events()
        .inspect(|event| {
            if matches!(event, CaptureEvent::Unit { unit, .. } if unit.number >= stop_after) {
                session.stop();
            }
        })
        .collect()
}

#[test]
fn both_tracks_come_out_numbered_in_step_with_one_clock() {
    let session = run(&synthetic());
    let events = collect(&session, 130);
    let stats = session.controls().stats();
    assert_eq!(stats.frames_captured, stats.video_units + stats.frames_skipped + stats.frames_dropped);
    let (params, video) = of_track(&events, Track::Video);
    assert_eq!((params.len(), params[0].from_unit), (1, 0));
    for (number, unit) in video.iter().enumerate() {
        assert_eq!((unit.number, unit.duration_90k), (number as u64, 3000));
    }
    assert!(video.windows(2).all(|pair| pair[0].pts_90k < pair[1].pts_90k));
    assert_eq!(stats.video_units, video.len() as u64);
    assert_eq!(stats.video_bytes, video.iter().map(|unit| unit.payload.len() as u64).sum::<u64>());
    let (params, audio) = of_track(&events, Track::Audio);
    assert_eq!(params[0].parameters, CodecParameters::Opus { channels: 2, pre_skip_48k: 312 });
    for (number, unit) in audio.iter().enumerate() {
        assert_eq!((unit.number, unit.duration_90k, unit.key), (number as u64, 1800, true));
    }
    assert!(audio.windows(2).all(|pair| pair[0].pts_90k + 1800 == pair[1].pts_90k));
    for track in Track::ALL {
        let units = if track == Track::Video { video.len() } else { audio.len() } as u64;
        assert!(events.contains(&CaptureEvent::Ended { track, units, failure: None }));
    }
    assert!(matches!(session.next_event(Duration::ZERO), Wait::Ended));

    // Flash and click, decoded, belong together.
    let mut decoder = VideoDecoder::new(&of_track(&events, Track::Video).0[0].parameters);
    let mut flashes_90k = Vec::new();
    for unit in &video {
        let picture = decoder.decode(&unit.payload, unit.key);
        assert_eq!(read_time_ms(&picture), Some(unit.capture_us / 1000));
        if is_flash(&picture) {
            flashes_90k.push(unit.pts_90k);
        }
    }
    let sound = decode_opus(&audio, 2);
    let first_90k = audio[0].pts_90k;
    let mut clicks_90k: Vec<u64> = Vec::new();
    for (n, samples) in sound.as_chunks::<2>().0.iter().enumerate().skip(312) {
        let at_90k = first_90k + (n as u64 - 312) * 15 / 8;
        if samples[0].abs() > CLICK_AMPLITUDE / 2.0
            && clicks_90k.last().is_none_or(|last| at_90k > last + 45_000)
        {
            clicks_90k.push(at_90k);
        }
    }
    assert!(!flashes_90k.is_empty());
    for flash in &flashes_90k {
        let apart = clicks_90k.iter().map(|click| click.abs_diff(*flash)).min().unwrap();
        assert!(apart < 90 * 5, "flash at {flash}, clicks at {clicks_90k:?}");
    }
}

#[test]
fn an_idr_picture_and_a_bitrate_can_be_asked_for_while_it_runs() {
    let session = run(&Config { audio: None, ..synthetic() });
    let controls = session.controls();
    let mut keys = Vec::new();
    for event in session.events() {
        let CaptureEvent::Unit { unit, .. } = event else { continue };
        if unit.key {
            keys.push(unit.number);
        }
        match unit.number {
            10 => controls.request_idr(),
            20 => controls.set_video_bitrate_bps(100_000),
            40 => controls.stop(),
            _ => {}
        }
    }
    assert_eq!(keys[0], 0);
    assert!(keys.iter().any(|key| (11..=20).contains(key)), "{keys:?}");
}

#[test]
fn levels_and_previews_are_there_for_the_user_interface() {
    let session = run(&synthetic());
    let frame = session.controls().preview().wait(Duration::from_secs(20)).unwrap();
    assert_eq!((frame.picture.width(), frame.picture.height()), (640, 360));
    let quiet = session.events().find_map(|event| match event {
        CaptureEvent::Level(level) if level.peak_dbfs < -20.0 => Some(level),
        _ => None,
    });
    let level = quiet.unwrap();
    assert!((level.rms_dbfs + 33.0).abs() < 0.5, "{level:?}");
    assert_eq!(session.camera_name(), Some("Synthetic camera"));
    assert_eq!(session.microphone_name(), Some("Synthetic microphone"));
}

#[test]
fn one_track_alone_is_a_session_and_none_is_not() {
    let session = run(&Config { video: None, ..synthetic() });
    let events = collect(&session, 5);
    assert!(of_track(&events, Track::Video).1.is_empty() && of_track(&events, Track::Audio).1.len() > 5);
    let clock = || Arc::new(MonotonicClock::start());
    assert_eq!(start(&Config::default(), clock()).unwrap_err(), StartError::NoTrack);
    let mut config = synthetic();
    config.video.as_mut().unwrap().fps = 0;
    let text = start(&config, clock()).unwrap_err().to_string();
    assert_eq!(text, "a frame rate of 0 is out of range: choose 1 to 120 frames per second");
}

#[test]
fn a_camera_that_is_not_there_is_said_before_anything_is_captured() {
    let camera = CameraChoice::Device(DeviceChoice::Id("usb-No_Such_Camera".to_owned()));
    let config = Config { video: Some(VideoConfig::new(camera, Quality::Q360)), audio: None };
    let Err(StartError::Device(error)) = start(&config, Arc::new(MonotonicClock::start())) else { panic!() };
    assert_eq!(error.code(), "device_not_found");
}

#[test]
fn when_the_file_of_one_track_ends_the_other_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let clip = folder.path().join("clip.y4m");
    let mut bytes = b"YUV4MPEG2 W64 H64 F50:1 C420jpeg\n".to_vec();
    for luma in 0..10_u8 {
        bytes.extend(b"FRAME\n");
        bytes.extend([luma * 20; 64 * 64]);
        bytes.extend([128; 2 * 32 * 32]);
    }
    std::fs::write(&clip, &bytes).unwrap();
    let camera = CameraChoice::File(clip.to_str().unwrap().to_owned());
    let mut config = synthetic();
    config.video.as_mut().unwrap().camera = camera;
    let session = run(&config);
    let mut after_end = 0;
    let mut events = Vec::new();
    for event in session.events() {
        let ended =
            events.iter().any(|event| matches!(event, CaptureEvent::Ended { track: Track::Video, .. }));
        if ended && matches!(event, CaptureEvent::Unit { track: Track::Audio, .. }) {
            after_end += 1;
            if after_end == 10 {
                session.stop();
            }
        }
        events.push(event);
    }
    let (_, video) = of_track(&events, Track::Video);
    assert_eq!(video.len(), 10);
    let steps: Vec<u64> = video.windows(2).map(|pair| pair[1].pts_90k - pair[0].pts_90k).collect();
    assert!(steps.iter().all(|step| *step >= 1799), "{steps:?}");
    assert!(after_end >= 10);
}

#[test]
fn a_file_that_breaks_off_or_is_none_is_a_typed_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("broken.y4m"), b"YUV4MPEG2 W64 H64 F50:1\nGARBAGE\n").unwrap();
    let video = |path: String| Config {
        video: Some(VideoConfig::new(CameraChoice::File(path), Quality::Q360)),
        audio: None,
    };
    let session = run(&video(path("broken.y4m")));
    let last = session.events().last().unwrap();
    let CaptureEvent::Ended { failure: Some(Failure::Source(error)), units: 0, .. } = last else {
        panic!("{last:?}")
    };
    assert!(error.to_string().contains("does not begin with FRAME"), "{error}");
    std::fs::write(path("other.y4m"), b"RIFF").unwrap();
    for name in ["other.y4m", "missing.y4m"] {
        let Err(StartError::Device(error)) = start(&video(path(name)), Arc::new(MonotonicClock::start()))
        else {
            panic!("{name} was opened")
        };
        assert!(error.code() == "file_unusable" && error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_wav_file_at_another_rate_sounds_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tone.wav");
    // 0.6 s of 1 kHz at 44.1 kHz, mono, without a length, as from a pipe.
    let mut bytes =
        b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0\x44\xac\0\0\x88\x58\x01\0\x02\0\x10\0".to_vec();
    bytes.extend(b"data\xff\xff\xff\xff");
    for n in 0..26_460 {
        let sample = (f64::from(n) * std::f64::consts::TAU * 1000.0 / 44_100.0).sin() * 8000.0;
        #[allow(clippy::cast_possible_truncation)]
        bytes.extend((sample as i16).to_le_bytes());
    }
    std::fs::write(&path, &bytes).unwrap();
    let microphone = MicrophoneChoice::File(path.to_str().unwrap().to_owned());
    let session = run(&Config { video: None, audio: Some(AudioConfig::new(microphone, 2)) });
    let events: Vec<CaptureEvent> = session.events().collect();
    let (_, audio) = of_track(&events, Track::Audio);
    assert_eq!(audio.len(), 30);
    let end = CaptureEvent::Ended { track: Track::Audio, units: 30, failure: None };
    assert_eq!(events.last(), Some(&end));
    let sound: Vec<f32> = decode_opus(&audio, 2).into_iter().step_by(2).skip(4800).take(19_200).collect();
    let hz = support::frequency_hz(&sound, 1000.0);
    assert!((hz - 1000.0).abs() <= 1.0, "{hz} Hz");
    let rms = capture::level(&sound).rms_dbfs;
    assert!((rms + 15.26).abs() < 0.5, "{rms} dBFS");
}

#[test]
fn a_reader_that_is_too_slow_costs_raw_frames_and_no_unit() {
    let mut config = synthetic();
    let video = config.video.as_mut().unwrap();
    (video.width, video.height, video.fps) = (64, 64, 120);
    let session = run(&config);
    let controls = session.controls();
    // Nobody reads until frames have been dropped; the preview tells that capture goes on.
    while controls.stats().frames_dropped < 20 {
        assert!(controls.preview().wait(Duration::from_secs(20)).is_some());
    }
    controls.stop();
    let events: Vec<CaptureEvent> = session.events().collect();
    let (stats, units) = (controls.stats(), of_track(&events, Track::Video).1);
    assert!(units.iter().enumerate().all(|(number, unit)| unit.number == number as u64));
    assert_eq!(units.len() as u64, stats.video_units);
    assert_eq!(stats.frames_captured, stats.video_units + stats.frames_skipped + stats.frames_dropped);
}
