//! A real V4L2 camera, the kernel's `vivid` driver, through nokhwa.
//!
//! Runs inside a virtual machine, with `LONGTAKE_VIVID=1` and `/dev/video0`, and leaves what it encoded as Annex B in
//! `clip.h264` in the folder `LONGTAKE_VIVID_OUT` (default `/out`), to be decoded by the host.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use capture::encode::VideoEncoder;
use capture::encode::h264::H264Encoder;
use capture::{
    CameraChoice, CaptureEvent, Config, Device, DeviceChoice, Frame, MonotonicClock, Next, Quality,
    SessionClock, VideoConfig, camera, devices, start,
};
use protocol::codec::CodecParameters;

/// Frames over which the rate is measured, after the first ones: 5 s at 30 frames per second.
const MEASURED_FRAMES: usize = 150;
const SETTLING_FRAMES: usize = 10;

/// Frames that are encoded: the machine is emulated.
const ENCODED_FRAMES: usize = 60;

#[test]
fn a_v4l2_camera_is_listed_captured_at_its_full_rate_and_encoded() {
    let in_machine = std::env::var_os("LONGTAKE_VIVID").is_some();
    assert!(in_machine, "this test needs the camera of the virtual machine, which sets LONGTAKE_VIVID=1");
    let cameras = devices::cameras().unwrap();
    println!("cameras: {cameras:?}");
    let listed = cameras.first().expect("a camera");
    assert!(listed.name.contains("vivid"), "the name is the driver's: {}", listed.name);
    assert!(
        listed.id.contains("vivid") && listed.id.ends_with("-video-index0"),
        "the id is the bus': {}",
        listed.id
    );
    assert_eq!(devices::cameras().unwrap(), cameras, "ids stay the same");

    let choice = CameraChoice::Device(DeviceChoice::Id(listed.id.clone()));
    let clock: Arc<dyn SessionClock> = Arc::new(MonotonicClock::start());
    let mut device = camera::open(&choice, Quality::Q360.preset().wanted(), &clock).unwrap();
    let frames: Vec<Frame> = (0..SETTLING_FRAMES + MEASURED_FRAMES).map(|_| next(device.as_mut())).collect();
    drop(device);
    let (first, last) = (&frames[SETTLING_FRAMES], frames.last().unwrap());
    assert_eq!((first.picture.width(), first.picture.height()), (640, 360));
    #[allow(clippy::cast_precision_loss)]
    let fps = (frames.len() - 1 - SETTLING_FRAMES) as f64 * 1e6 / (last.capture_us - first.capture_us) as f64;
    println!("fps: {fps:.2} over {MEASURED_FRAMES} frames");
    assert!(frames.windows(2).all(|pair| pair[0].capture_us < pair[1].capture_us));
    assert!(picture_is_alive(first) && first.picture != last.picture, "vivid shows a moving test pattern");

    let folder = std::env::var_os("LONGTAKE_VIVID_OUT").map_or_else(|| PathBuf::from("/out"), PathBuf::from);
    let out = folder.join("clip.h264");
    let units = encode(&frames[..ENCODED_FRAMES], &out);
    println!("encoded: {units} units of {ENCODED_FRAMES} frames to {}", out.display());
    assert!(units >= ENCODED_FRAMES / 2);
    assert!(fps >= 29.0, "{fps} frames per second");
}

/// Runs after the test above (the machine runs tests one by one, in the order of their names): the driver cannot
/// bring back a camera that it has disconnected.
#[test]
fn a_v4l2_camera_that_stalls_is_restored_and_one_that_is_unplugged_is_reported() {
    let choice = CameraChoice::Device(DeviceChoice::Default);
    let video = VideoConfig { width: 320, height: 180, ..VideoConfig::new(choice, Quality::Q360) };
    let config = Config { video: Some(video), audio: None };
    let session = start(&config, Arc::new(MonotonicClock::start())).unwrap();
    let (mut told, mut units_since) = (Vec::new(), 0);
    for event in session.events() {
        match event {
            CaptureEvent::Unit { .. } => {
                units_since += 1;
                match (told.len(), units_since) {
                    (0, 5) => set_control("percentage_of_dropped_buffers=100"),
                    (2, 5) => set_control("disconnect=1"),
                    _ => {}
                }
            }
            CaptureEvent::DeviceLost { error, .. } => {
                println!("lost: {error}");
                told.push(error.code());
                match told.len() {
                    1 => set_control("percentage_of_dropped_buffers=0"),
                    _ => session.stop(),
                }
            }
            CaptureEvent::DeviceRestored { away_us, .. } => {
                println!("restored after {} ms", away_us / 1000);
                (units_since, _) = (0, told.push("restored"));
            }
            CaptureEvent::Ended { failure, .. } => assert_eq!(failure, None),
            _ => {}
        }
    }
    assert_eq!(told, ["device_stalled", "restored", "device_unplugged"]);
}

/// Sets a control of the driver that simulates a fault.
fn set_control(control: &str) {
    let status = Command::new("v4l2-ctl").args(["-d0", "-c", control]).status().unwrap();
    assert!(status.success(), "v4l2-ctl -c {control}");
}

fn next(device: &mut dyn Device<Frame>) -> Frame {
    match device.next(Duration::from_secs(30)) {
        Ok(Next::Ready(frame)) => frame,
        Ok(other) => panic!("the camera stopped delivering: {other:?}"),
        Err(error) => panic!("{error}"),
    }
}

fn picture_is_alive(frame: &Frame) -> bool {
    let luma = frame.picture.y();
    luma.iter().max() > luma.iter().min()
}

/// Encodes frames to an Annex B file; the number of units.
fn encode(frames: &[Frame], path: &Path) -> usize {
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
