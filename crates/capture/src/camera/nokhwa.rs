//! Real cameras, through nokhwa.
//!
//! nokhwa reads with a call that blocks for as long as the camera is silent, and reports failure as text.
//! So the camera lives on a [thread of its own](crate::device_thread), and [`classify`] reads the text.
//! `CallbackCamera` is not used: after an unplug it spins, and with a stalled camera its drop hangs.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nokhwa::utils::{
    ApiBackend, CameraFormat, CameraIndex, CameraInfo, FrameFormat, RequestedFormat, RequestedFormatType,
    Resolution,
};
use nokhwa::{Buffer, Camera, NokhwaError};

use super::convert::{Converter, PixelFormat};
use super::format::{Offered, Wanted, choose};
use super::identity::{is_primary, linux_id};
use crate::clock::{SessionClock, duration_us};
use crate::device::{Device, Next, Persistence, Source, Stop};
use crate::device_thread::{DeviceThread, Gate, Outlet};
use crate::devices::{DeviceChoice, DeviceInfo};
use crate::error::{DeviceError, DeviceKind, Phase, classify};
use crate::frame::Frame;

/// Frames that wait between the camera's thread and the track's, which encodes them: it may be late by a large IDR picture.
const WAITING_FRAMES: usize = 4;

/// So many buffers in a row that are no pictures make the camera unusable: a second's worth.
const MAX_BROKEN_IN_A_ROW: u32 = 30;

/// A frame that claims to be older than this carries a time of another clock.
const MAX_AGE_US: u64 = 1_000_000;

/// A camera of this machine.
pub(crate) struct SystemCamera {
    choice: DeviceChoice,
    wanted: Wanted,
    clock: Arc<dyn SessionClock>,
    stop: Stop,
    gate: Gate,
    dropped: Arc<AtomicU64>,
    name: String,
}

impl SystemCamera {
    /// `dropped` counts frames that came while [`WAITING_FRAMES`] were waiting.
    pub(crate) fn new(
        choice: DeviceChoice,
        wanted: Wanted,
        clock: Arc<dyn SessionClock>,
        stop: Stop,
        dropped: Arc<AtomicU64>,
    ) -> Self {
        Self { choice, wanted, clock, stop, gate: Gate::default(), dropped, name: "Camera".to_owned() }
    }
}

impl Source<Frame> for SystemCamera {
    fn open(&mut self) -> Result<Box<dyn Device<Frame>>, DeviceError> {
        let (choice, wanted, clock) = (self.choice.clone(), self.wanted, Arc::clone(&self.clock));
        let body = move |outlet: &Outlet<Frame>| capture(&choice, wanted, clock.as_ref(), outlet);
        let thread =
            DeviceThread::spawn(DeviceKind::Camera, &self.gate, WAITING_FRAMES, &self.dropped, body)?;
        self.name = thread.wait_until_open(&self.stop)?;
        Ok(Box::new(OpenCamera(thread)))
    }

    fn persistence(&self) -> Persistence {
        Persistence::Reopens
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

struct OpenCamera(DeviceThread<Frame>);

impl Device<Frame> for OpenCamera {
    fn next(&mut self, patience: Duration) -> Result<Next<Frame>, DeviceError> {
        self.0.next(patience)
    }
}

/// The cameras of this machine.
///
/// # Errors
/// [`DeviceError`] when the system refuses to list them.
pub(crate) fn list() -> Result<Vec<DeviceInfo>, DeviceError> {
    Ok(query()?.into_iter().map(|(device, _)| device).collect())
}

fn query() -> Result<Vec<(DeviceInfo, CameraIndex)>, DeviceError> {
    let cameras = nokhwa::query(ApiBackend::Auto).map_err(|error| typed(Phase::Opening, "", &error))?;
    let mut found: Vec<(DeviceInfo, CameraIndex)> = cameras
        .into_iter()
        .filter(|camera| camera.index().as_index().map_or(true, is_primary))
        .map(|camera| {
            let name = camera.human_name();
            (DeviceInfo { id: stable_id(&camera), name }, camera.index().clone())
        })
        .collect();
    found.sort_by(|(a, _), (b, _)| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    Ok(found)
}

/// The backend's unique id (macOS, Windows), else Linux's, else the name.
fn stable_id(camera: &CameraInfo) -> String {
    let told = camera.misc();
    if !told.is_empty() {
        return told;
    }
    camera.index().as_index().ok().and_then(linux_id).unwrap_or_else(|| camera.human_name())
}

/// Opens the camera and delivers frames until they are not wanted any more. Runs on the camera's thread.
fn capture(
    choice: &DeviceChoice,
    wanted: Wanted,
    clock: &dyn SessionClock,
    outlet: &Outlet<Frame>,
) -> Result<(), DeviceError> {
    let mut cameras = query()?;
    let at = match choice {
        DeviceChoice::Default if cameras.is_empty() => return Err(DeviceError::NoDevice(DeviceKind::Camera)),
        DeviceChoice::Default => 0,
        DeviceChoice::Id(id) => cameras
            .iter()
            .position(|(device, _)| device.id == *id)
            .ok_or_else(|| DeviceError::NotFound { kind: DeviceKind::Camera, id: id.clone() })?,
    };
    let (device, index) = cameras.swap_remove(at);
    let failed = |error: &NokhwaError| typed(Phase::Opening, &device.id, error);
    let mut camera = open(&index, wanted).map_err(|error| failed(&error))?;
    camera.open_stream().map_err(|error| failed(&error))?;
    tracing::debug!(camera = %device.name, format = %camera.camera_format(), "camera opened");
    outlet.opened(device.name.clone());
    let mut converter = Converter::default();
    let mut broken_in_a_row = 0;
    while outlet.wanted() {
        let buffer = camera.frame().map_err(|error| typed(Phase::Running, &device.id, &error))?;
        let capture_us = capture_time_us(clock.now_us(), age(&buffer));
        let resolution = buffer.resolution();
        let (width, height) = (resolution.width() as usize, resolution.height() as usize);
        let unsupported = |detail: String| DeviceError::Unsupported { kind: DeviceKind::Camera, detail };
        let pixels = pixels(buffer.source_frame_format())
            .ok_or_else(|| unsupported(format!("it delivers {}", buffer.source_frame_format())))?;
        match converter.convert(pixels, width, height, buffer.buffer()) {
            Ok(picture) => {
                broken_in_a_row = 0;
                outlet.offer(Frame { picture, capture_us });
            }
            Err(error) => {
                broken_in_a_row += 1;
                tracing::debug!(%error, "a camera buffer was skipped");
                if broken_in_a_row == MAX_BROKEN_IN_A_ROW {
                    return Err(unsupported(error.to_string()));
                }
            }
        }
    }
    Ok(())
}

/// Opens a camera in the format that fits best.
///
/// nokhwa's `Closest` looks at one pixel format and only at the exact size, so it is asked once for each;
/// if none satisfies, the camera's whole list is read.
fn open(index: &CameraIndex, wanted: Wanted) -> Result<Camera, NokhwaError> {
    let mut first_error = None;
    for pixels in [PixelFormat::Yuyv, PixelFormat::Nv12, PixelFormat::Mjpeg] {
        let format = frame_format(pixels);
        let resolution = Resolution::new(wanted.width, wanted.height);
        let closest = RequestedFormatType::Closest(CameraFormat::new(resolution, format, wanted.fps));
        match Camera::new(index.clone(), RequestedFormat::with_formats(closest, &[format])) {
            Ok(camera) if offer(camera.camera_format()).is_some_and(|offer| offer.satisfies(wanted)) => {
                return Ok(camera);
            }
            Ok(_) => {}
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    let formats = [FrameFormat::YUYV, FrameFormat::NV12, FrameFormat::MJPEG];
    let any = RequestedFormat::with_formats(RequestedFormatType::None, &formats);
    let mut camera = Camera::new(index.clone(), any).map_err(|error| first_error.unwrap_or(error))?;
    let listed: Vec<(CameraFormat, Offered)> = camera
        .compatible_camera_formats()?
        .into_iter()
        .filter_map(|format| Some((format, offer(format)?)))
        .collect();
    let offers: Vec<Offered> = listed.iter().map(|(_, offer)| *offer).collect();
    if let Some(at) = choose(&offers, wanted) {
        let format = listed[at].0;
        let exact = RequestedFormatType::Exact(format);
        camera.set_camera_requset(RequestedFormat::with_formats(exact, &[format.format()]))?;
    }
    Ok(camera)
}

fn offer(format: CameraFormat) -> Option<Offered> {
    let pixels = pixels(format.format())?;
    Some(Offered { pixels, width: format.width(), height: format.height(), fps: format.frame_rate() })
}

const fn pixels(format: FrameFormat) -> Option<PixelFormat> {
    match format {
        FrameFormat::YUYV => Some(PixelFormat::Yuyv),
        FrameFormat::MJPEG => Some(PixelFormat::Mjpeg),
        FrameFormat::NV12 => Some(PixelFormat::Nv12),
        _ => None,
    }
}

const fn frame_format(pixels: PixelFormat) -> FrameFormat {
    match pixels {
        PixelFormat::Yuyv => FrameFormat::YUYV,
        PixelFormat::Mjpeg => FrameFormat::MJPEG,
        PixelFormat::Nv12 => FrameFormat::NV12,
    }
}

/// How long ago a buffer was captured. nokhwa tells it as wall-clock time.
fn age(buffer: &Buffer) -> Option<Duration> {
    let captured = UNIX_EPOCH.checked_add(buffer.capture_timestamp()?)?;
    SystemTime::now().duration_since(captured).ok()
}

/// When a frame was captured that arrived at `now_us`. An age that cannot be true is not believed.
fn capture_time_us(now_us: u64, age: Option<Duration>) -> u64 {
    let age_us = age.map_or(0, duration_us);
    now_us.saturating_sub(if age_us <= MAX_AGE_US { age_us } else { 0 })
}

fn typed(phase: Phase, id: &str, error: &NokhwaError) -> DeviceError {
    classify(DeviceKind::Camera, phase, id, &error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_time_is_believed_when_it_can_be_true() {
        assert_eq!(capture_time_us(5_000_000, Some(Duration::from_millis(33))), 4_967_000);
        assert_eq!(capture_time_us(5_000_000, None), 5_000_000);
        assert_eq!(capture_time_us(5_000_000, Some(Duration::from_secs(60))), 5_000_000);
        assert_eq!(capture_time_us(10, Some(Duration::from_millis(33))), 0);
    }
}
