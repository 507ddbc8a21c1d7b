//! A real V4L2 camera, the kernel's `vivid` driver, through nokhwa.
//!
//! Runs inside a virtual machine as a plain program, with `LONGTAKE_VIVID=1` and `/dev/video0`, and leaves
//! what it encoded as Annex B in `LONGTAKE_OUT` (default `/out/clip.h264`), to be decoded by the host.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::process::ExitCode;
use std::sync::Arc;

use capture::encode::VideoEncoder;
use capture::encode::h264::H264Encoder;
use capture::{
    CameraChoice, CaptureEvent, Config, DeviceChoice, Frame, MonotonicClock, Quality, VideoConfig, devices,
    start,
};
use protocol::codec::CodecParameters;

/// Frames over which the rate is measured, after the first ones: 5 s at 30 frames per second.
const MEASURED_FRAMES: usize = 150;
const SETTLING_FRAMES: usize = 10;

/// Frames that are encoded: the machine is emulated.
const ENCODED_FRAMES: usize = 60;

fn main() -> ExitCode {
    if std::env::var_os("LONGTAKE_VIVID").is_none() {
        eprintln!("This test needs the vivid camera of a virtual machine, which sets LONGTAKE_VIVID=1.");
        return ExitCode::from(2);
    }
    let cameras = devices::cameras().unwrap();
    println!("cameras: {cameras:?}");
    let camera = cameras.first().expect("a camera");
    assert!(camera.name.contains("vivid"), "the name is the driver's: {}", camera.name);
    assert!(
        camera.id.contains("vivid") && camera.id.ends_with("-video-index0"),
        "the id is the bus': {}",
        camera.id
    );
    assert_eq!(devices::cameras().unwrap(), cameras, "ids stay the same");

    let choice = CameraChoice::Device(DeviceChoice::Id(camera.id.clone()));
    let config = Config { video: Some(VideoConfig::new(choice, Quality::Q360)), audio: None };
    let session = start(&config, Arc::new(MonotonicClock::start())).unwrap();
    assert_eq!(session.camera_name(), Some(camera.name.as_str()));
    let frames = capture_frames(&session);
    drop(session);
    let (first, last) = (&frames[SETTLING_FRAMES], frames.last().unwrap());
    assert_eq!((first.picture.width(), first.picture.height()), (640, 360));
    #[allow(clippy::cast_precision_loss)]
    let fps = (frames.len() - 1 - SETTLING_FRAMES) as f64 * 1e6 / (last.capture_us - first.capture_us) as f64;
    println!("fps: {fps:.2} over {MEASURED_FRAMES} frames");
    assert!(frames.windows(2).all(|pair| pair[0].capture_us < pair[1].capture_us));
    assert!(picture_is_alive(first) && first.picture != last.picture, "vivid shows a moving test pattern");

    let out = std::env::var("LONGTAKE_OUT").unwrap_or_else(|_| "/out/clip.h264".to_owned());
    let units = encode(&frames[..ENCODED_FRAMES], &out);
    println!("encoded: {units} units of {ENCODED_FRAMES} frames to {out}");
    assert!(units >= ENCODED_FRAMES / 2);
    assert!(fps >= 29.0, "{fps} frames per second");
    println!("VIVID PASSED");
    ExitCode::SUCCESS
}

/// Captures as the app does, and takes the raw frames from the preview: an emulated processor encodes
/// too slowly to count units.
fn capture_frames(session: &capture::Session) -> Vec<Frame> {
    let (controls, mut frames) = (session.controls(), Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for event in session.events() {
                if let CaptureEvent::DeviceLost { error, .. } = event {
                    eprintln!("lost: {error}");
                    std::process::exit(1);
                }
            }
        });
        frames.extend(
            std::iter::from_fn(|| controls.preview().wait(std::time::Duration::from_secs(30)))
                .take(SETTLING_FRAMES + MEASURED_FRAMES),
        );
        controls.stop();
    });
    assert_eq!(frames.len(), SETTLING_FRAMES + MEASURED_FRAMES, "the camera stopped delivering");
    frames
}

fn picture_is_alive(frame: &Frame) -> bool {
    let luma = frame.picture.y();
    luma.iter().max() > luma.iter().min()
}

/// Encodes frames to an Annex B file; the number of units.
fn encode(frames: &[Frame], path: &str) -> usize {
    let mut encoder = H264Encoder::new(30, 700_000);
    let (mut stream, mut avcc, mut units) = (Vec::new(), Vec::new(), 0);
    for frame in frames {
        let Some(unit) = encoder.encode(frame).unwrap() else { continue };
        if let Some(CodecParameters::H264 { avcc: record, .. }) = &unit.parameters {
            avcc.clone_from(&record.0);
        }
        stream.extend(media::h264::to_annexb(&unit.payload, &avcc, unit.key).unwrap());
        units += 1;
    }
    fs::write(path, stream).unwrap();
    units
}
