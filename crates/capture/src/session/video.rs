//! The two threads of the video track.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use protocol::Track;
use protocol::codec::{CodecParameters, Params};
use protocol::unit::{Lane, Unit};

use super::event::Failure;
use super::stats::count;
use super::{CaptureEvent, Controls, StartError, spawn_thread, tell};
use crate::clock::us_to_90k;
use crate::encode::{EncodeError, EncodedPicture, VideoEncoder};
use crate::frame::Frame;
use crate::supervise::{Step, Supervisor};

const TRACK: Track = Track::Video;

/// Frames that wait for the encoder. When it is full, the newest frame is dropped.
const FRAME_CAPACITY: usize = 4;

/// What other threads want of the encoder.
#[derive(Debug, Clone, Default)]
pub(super) struct VideoControl {
    idr_wanted: Arc<AtomicBool>,
    /// 0: no change is wanted.
    bitrate_bps: Arc<AtomicU32>,
}

impl VideoControl {
    pub(super) fn request_idr(&self) {
        self.idr_wanted.store(true, Ordering::Release);
    }

    pub(super) fn set_bitrate_bps(&self, bitrate_bps: u32) {
        self.bitrate_bps.store(bitrate_bps.max(1), Ordering::Release);
    }

    fn apply(&self, encoder: &mut dyn VideoEncoder) -> Result<(), EncodeError> {
        if self.idr_wanted.swap(false, Ordering::AcqRel) {
            encoder.request_idr();
        }
        match self.bitrate_bps.swap(0, Ordering::AcqRel) {
            0 => Ok(()),
            bitrate_bps => encoder.set_bitrate_bps(bitrate_bps),
        }
    }
}

pub(super) fn spawn(
    camera: Supervisor<Frame>,
    mut encoder: Box<dyn VideoEncoder>,
    fps: u32,
    controls: &Controls,
    events: &SyncSender<CaptureEvent>,
) -> Result<(), StartError> {
    let (queue, frames) = sync_channel(FRAME_CAPACITY);
    let (camera_controls, camera_events) = (controls.clone(), events.clone());
    let (controls, events) = (controls.clone(), events.clone());
    spawn_thread(TRACK, "camera", move || capture(camera, queue, &camera_controls, &camera_events))?;
    spawn_thread(TRACK, "encoder", move || {
        let mut numbering = Numbering::new(fps);
        let failure = encode(&frames, encoder.as_mut(), &mut numbering, &controls, &events).err();
        tell(&events, CaptureEvent::Ended { track: TRACK, units: numbering.next, failure });
    })
}

/// The camera thread: hands frames on until the session stops, the source ends, or nobody reads.
fn capture(
    mut camera: Supervisor<Frame>,
    queue: SyncSender<Result<Frame, Failure>>,
    controls: &Controls,
    events: &SyncSender<CaptureEvent>,
) {
    while !controls.stop.is_requested() {
        match camera.step() {
            Step::Item(frame) => {
                count(&controls.counters.frames_captured, 1);
                controls.preview.put(frame.clone());
                match queue.try_send(Ok(frame)) {
                    Ok(()) => {}
                    Err(TrySendError::Full(_)) => count(&controls.counters.frames_dropped, 1),
                    Err(TrySendError::Disconnected(_)) => return,
                }
            }
            Step::Lost(error) => {
                tracing::warn!(%error, "camera lost");
                if !tell(events, CaptureEvent::DeviceLost { track: TRACK, error }) {
                    return;
                }
            }
            Step::Restored { away_us } => {
                tracing::info!(away_ms = away_us / 1000, "camera is back");
                if !tell(events, CaptureEvent::DeviceRestored { track: TRACK, away_us }) {
                    return;
                }
            }
            Step::Idle => {}
            Step::Ended => return,
            Step::Failed(error) => {
                let _ = queue.send(Err(error.into()));
                return;
            }
        }
    }
}

/// The encoder thread: encodes what is in the queue until its other end is gone and it is empty.
fn encode(
    frames: &Receiver<Result<Frame, Failure>>,
    encoder: &mut dyn VideoEncoder,
    numbering: &mut Numbering,
    controls: &Controls,
    events: &SyncSender<CaptureEvent>,
) -> Result<(), Failure> {
    for frame in frames {
        let frame = frame?;
        controls.video.apply(encoder)?;
        let Some(picture) = encoder.encode(&frame)? else {
            count(&controls.counters.frames_skipped, 1);
            continue;
        };
        count(&controls.counters.video_units, 1);
        count(&controls.counters.video_bytes, picture.payload.len());
        for event in numbering.number(picture, frame.capture_us) {
            if !tell(events, event) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Makes numbered units with strictly increasing times, and notices new parameters.
struct Numbering {
    next: u64,
    frame_duration_90k: u32,
    earliest_pts_90k: u64,
    parameters: Option<CodecParameters>,
}

impl Numbering {
    fn new(fps: u32) -> Self {
        Self { next: 0, frame_duration_90k: 90_000 / fps.max(1), earliest_pts_90k: 0, parameters: None }
    }

    fn number(
        &mut self,
        picture: EncodedPicture,
        capture_us: u64,
    ) -> impl Iterator<Item = CaptureEvent> + use<> {
        let news = picture.parameters.filter(|parameters| self.parameters.as_ref() != Some(parameters));
        let params = news.map(|parameters| {
            self.parameters = Some(parameters.clone());
            CaptureEvent::Parameters { track: TRACK, params: Params { from_unit: self.next, parameters } }
        });
        let pts_90k = us_to_90k(capture_us).max(self.earliest_pts_90k);
        self.earliest_pts_90k = pts_90k + 1;
        let unit = Unit {
            lane: Lane::Live,
            key: picture.key,
            number: self.next,
            pts_90k,
            duration_90k: self.frame_duration_90k,
            capture_us,
            payload: picture.payload,
        };
        self.next += 1;
        params.into_iter().chain([CaptureEvent::Unit { track: TRACK, unit }])
    }
}
