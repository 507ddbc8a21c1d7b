//! Devices that stay open, with and without a session on them.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use capture::{
    AudioEncoding, CameraChoice, CameraInput, CaptureEvent, DeviceChoice, Encoding, InputEvent, Inputs,
    MicrophoneChoice, MicrophoneInput, MonotonicClock, Session, StartError, VideoEncoding,
};
use protocol::Track;
use support::{VideoDecoder, decode_opus, of_track};

const PATIENCE: Duration = Duration::from_secs(20);

fn inputs() -> (Inputs, Receiver<InputEvent>) {
    Inputs::start(Arc::new(MonotonicClock::start())).unwrap()
}

fn synthetic_camera(width: u32, height: u32) -> CameraInput {
    CameraInput { camera: CameraChoice::Synthetic, width, height, fps: 30 }
}

fn synthetic_microphone() -> MicrophoneInput {
    MicrophoneInput { microphone: MicrophoneChoice::Synthetic, channels: 1 }
}

fn encoding() -> Encoding {
    Encoding {
        video: Some(VideoEncoding { fps: 30, bitrate_bps: 500_000 }),
        audio: Some(AudioEncoding { channels: 1, bitrate_bps: 40_000 }),
    }
}

/// Waits for an event, passing over others.
fn wait_for(events: &Receiver<InputEvent>, wanted: impl Fn(&InputEvent) -> bool) -> InputEvent {
    loop {
        let event = events.recv_timeout(PATIENCE).expect("the event comes");
        if wanted(&event) {
            return event;
        }
    }
}

fn opened(events: &Receiver<InputEvent>, wanted: Track) {
    wait_for(events, |event| matches!(event, InputEvent::Opened { track, .. } if *track == wanted));
}

/// Runs a session to its end; `at` is called with each unit.
fn run(session: &Session, mut at: impl FnMut(Track, u64)) -> Vec<CaptureEvent> {
    session
        .events()
        .inspect(|event| {
            if let CaptureEvent::Unit { track, unit } = event {
                at(*track, unit.number);
            }
        })
        .collect()
}

#[test]
fn the_preview_and_the_meter_run_before_between_and_after_sessions() {
    let (inputs, events) = inputs();
    inputs.set_camera(Some(synthetic_camera(320, 180)));
    inputs.set_microphone(Some(synthetic_microphone()));
    opened(&events, Track::Video);
    assert!(inputs.preview().wait(PATIENCE).is_some());
    wait_for(&events, |event| matches!(event, InputEvent::Level(_)));
    for _ in 0..2 {
        let session = inputs.record(&encoding()).unwrap();
        let told = run(&session, |_, number| {
            if number == 20 {
                session.stop();
            }
        });
        for track in Track::ALL {
            let (params, units) = of_track(&told, track);
            assert_eq!((params[0].from_unit, units[0].number), (0, 0));
            assert!(
                units[0].capture_us < 500_000,
                "a session's time begins with it: {}",
                units[0].capture_us
            );
        }
        assert!(of_track(&told, Track::Video).1[0].key);
        assert!(session.now_us() >= of_track(&told, Track::Video).1.last().unwrap().capture_us);
        let shown = inputs.preview().frames();
        let _ = inputs.preview().take();
        assert!(inputs.preview().wait(PATIENCE).is_some() && inputs.preview().frames() > shown);
    }
    drop(inputs);
    // Both threads end: nobody is left to tell anything.
    while events.recv_timeout(PATIENCE).is_ok() {}
    assert!(events.recv().is_err());
}

#[test]
fn cameras_are_switched_within_a_session_and_the_numbering_goes_on() {
    let (inputs, events) = inputs();
    inputs.set_camera(Some(synthetic_camera(320, 180)));
    opened(&events, Track::Video);
    let session = inputs.record(&Encoding { audio: None, ..encoding() }).unwrap();
    let told = run(&session, |_, number| match number {
        15 => inputs.set_camera(Some(synthetic_camera(160, 96))),
        40 => session.controls().set_video_fps(15),
        60 => session.stop(),
        _ => {}
    });
    let (params, units) = of_track(&told, Track::Video);
    assert!(units.iter().enumerate().all(|(number, unit)| unit.number == number as u64));
    assert!(units.windows(2).all(|pair| pair[0].pts_90k < pair[1].pts_90k));
    assert!(params.len() >= 2, "another size needs other parameters: {params:?}");
    let changed = params[1].from_unit;
    assert!(changed > 15 && units[usize::try_from(changed).unwrap()].key);
    let first = VideoDecoder::new(&params[0].parameters).decode(&units[0].payload, true);
    let later = VideoDecoder::new(&params[1].parameters)
        .decode(&units[usize::try_from(changed).unwrap()].payload, true);
    assert_eq!((first.width(), later.width()), (320, 160));
    let switched = told.iter().any(
        |event| matches!(event, CaptureEvent::DeviceSwitched { name, .. } if name == "Synthetic camera"),
    );
    assert!(switched);
    assert!(units.iter().any(|unit| unit.duration_90k == 6_000), "15 frames per second");
}

#[test]
fn a_camera_that_is_off_sends_dark_pictures_and_a_muted_microphone_silence() {
    let (inputs, events) = inputs();
    inputs.set_camera(Some(synthetic_camera(320, 180)));
    inputs.set_microphone(Some(synthetic_microphone()));
    opened(&events, Track::Audio);
    inputs.set_camera_on(false);
    inputs.set_muted(true);
    wait_for(&events, |event| matches!(event, InputEvent::Off { track: Track::Video }));
    let session = inputs.record(&encoding()).unwrap();
    let told = run(&session, |track, number| {
        if track == Track::Audio && number == 60 {
            session.stop();
        }
    });
    let (params, units) = of_track(&told, Track::Video);
    let picture = VideoDecoder::new(&params[0].parameters).decode(&units[0].payload, true);
    assert!(picture.y().iter().all(|luma| *luma < 20), "dark");
    let sound = decode_opus(&of_track(&told, Track::Audio).1, 1);
    assert!(capture::level(&sound[4_800..]).peak_dbfs < -80.0, "silent");
    // The meter shows what the microphone hears all the same.
    let loud = |event: &InputEvent| matches!(event, InputEvent::Level(level) if level.peak_dbfs > -40.0);
    wait_for(&events, loud);
    inputs.set_camera_on(true);
    opened(&events, Track::Video);
}

#[test]
fn a_camera_that_is_not_there_is_told_and_the_sound_is_recorded_without_it() {
    let (inputs, events) = inputs();
    let camera = CameraChoice::Device(DeviceChoice::Id("usb-No_Such_Camera".to_owned()));
    inputs.set_camera(Some(CameraInput { camera, ..synthetic_camera(320, 180) }));
    let event = wait_for(&events, |event| matches!(event, InputEvent::NotOpened { .. }));
    let InputEvent::NotOpened { error, .. } = event else { unreachable!() };
    assert_eq!(error.code(), "device_not_found");
    inputs.set_microphone(Some(synthetic_microphone()));
    opened(&events, Track::Audio);
    let session = inputs.record(&encoding()).unwrap();
    let told = run(&session, |track, number| {
        if track == Track::Audio && number == 10 {
            inputs.set_camera(Some(synthetic_camera(320, 180)));
        } else if track == Track::Video && number == 10 {
            session.stop();
        }
    });
    assert!(of_track(&told, Track::Audio).1.len() > 10 && of_track(&told, Track::Video).1.len() > 10);
    assert_eq!(inputs.record(&Encoding::default()).unwrap_err(), StartError::NoTrack);
}
