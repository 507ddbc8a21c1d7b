//! The picture: frames become numbered units.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use protocol::Track;
use protocol::codec::{CodecParameters, Params};
use protocol::unit::{Lane, Unit};

use super::CaptureEvent;
use super::event::Failure;
use super::stats::{Counters, count};
use super::take::{Coder, Outbox};
use crate::clock::{SessionClock, us_to_90k};
use crate::encode::{EncodeError, EncodedPicture, VideoEncoder};
use crate::frame::Frame;

const TRACK: Track = Track::Video;

/// What other threads want of the encoder. 0: no change is wanted.
#[derive(Debug, Clone, Default)]
pub(super) struct VideoControl {
    idr_wanted: Arc<AtomicBool>,
    bitrate_bps: Arc<AtomicU32>,
    fps: Arc<AtomicU32>,
    thinning: Arc<AtomicU32>,
}

impl VideoControl {
    pub(super) fn request_idr(&self) {
        self.idr_wanted.store(true, Ordering::Release);
    }

    pub(super) fn set_bitrate_bps(&self, bitrate_bps: u32) {
        self.bitrate_bps.store(bitrate_bps.max(1), Ordering::Release);
    }

    pub(super) fn set_fps(&self, fps: u32) {
        self.fps.store(fps.max(1), Ordering::Release);
    }

    pub(super) fn set_thinning(&self, thinning: u32) {
        self.thinning.store(thinning.max(1), Ordering::Release);
    }
}

/// Encodes frames with strictly increasing times, and notices new parameters.
pub(super) struct VideoCoder {
    encoder: Box<dyn VideoEncoder>,
    control: VideoControl,
    counters: Arc<Counters>,
    clock: Arc<dyn SessionClock>,
    /// When the session begins, on the clock that frames are stamped by.
    origin_us: u64,
    next: u64,
    frame_duration_90k: u32,
    /// One frame of so many is encoded.
    thinning: u32,
    /// Frames since the last one that was encoded, itself included.
    since_encoded: u32,
    earliest_pts_90k: u64,
    /// The next frame does not continue what the device before delivered.
    rejoins: bool,
    parameters: Option<CodecParameters>,
}

impl VideoCoder {
    pub(super) fn new(
        encoder: Box<dyn VideoEncoder>,
        fps: u32,
        control: VideoControl,
        counters: Arc<Counters>,
        clock: Arc<dyn SessionClock>,
        origin_us: u64,
    ) -> Self {
        Self {
            encoder,
            control,
            counters,
            clock,
            origin_us,
            next: 0,
            frame_duration_90k: duration_90k(fps),
            thinning: 1,
            since_encoded: 0,
            earliest_pts_90k: 0,
            rejoins: false,
            parameters: None,
        }
    }

    fn apply_control(&mut self) -> Result<(), EncodeError> {
        if self.control.idr_wanted.swap(false, Ordering::AcqRel) {
            self.encoder.request_idr();
        }
        match self.control.fps.swap(0, Ordering::AcqRel) {
            0 => {}
            fps => {
                self.encoder.set_fps(fps);
                self.frame_duration_90k = duration_90k(fps);
            }
        }
        match self.control.thinning.swap(0, Ordering::AcqRel) {
            0 => {}
            thinning => {
                self.encoder.set_thinning(thinning)?;
                self.thinning = thinning;
            }
        }
        match self.control.bitrate_bps.swap(0, Ordering::AcqRel) {
            0 => Ok(()),
            bitrate_bps => self.encoder.set_bitrate_bps(bitrate_bps),
        }
    }

    /// Whether a frame is left out to have fewer of them.
    fn is_thinned_out(&mut self) -> bool {
        let is_one_of_many = self.since_encoded > 0 && self.since_encoded < self.thinning;
        self.since_encoded = if is_one_of_many { self.since_encoded + 1 } else { 1 };
        is_one_of_many
    }

    /// Whether a frame comes sooner after the last one than the frame rate allows, as the first one of another camera
    /// may: players that show pictures at a fixed rate have no place for it.
    fn is_too_soon(&self, capture_us: u64) -> bool {
        let duration_90k = u64::from(self.frame_duration_90k);
        // Capture times are rounded.
        let tolerance_90k = duration_90k / 100;
        let next_pts_90k = self.earliest_pts_90k.saturating_sub(1) + duration_90k;
        self.rejoins && self.next > 0 && us_to_90k(capture_us) + tolerance_90k < next_pts_90k
    }

    /// The new parameters, if they are new, and the unit.
    fn number(&mut self, picture: EncodedPicture, capture_us: u64) -> (Option<Params>, Unit) {
        let news = picture.parameters.filter(|parameters| self.parameters.as_ref() != Some(parameters));
        let params = news.map(|parameters| {
            self.parameters = Some(parameters.clone());
            Params { from_unit: self.next, parameters }
        });
        let pts_90k = us_to_90k(capture_us).max(self.earliest_pts_90k);
        self.earliest_pts_90k = pts_90k + 1;
        let unit = Unit {
            lane: Lane::Live,
            key: picture.key,
            number: self.next,
            pts_90k,
            duration_90k: self.frame_duration_90k * self.thinning,
            capture_us,
            payload: picture.payload,
        };
        self.next += 1;
        (params, unit)
    }
}

fn duration_90k(fps: u32) -> u32 {
    90_000 / fps.max(1)
}

impl Coder<Frame> for VideoCoder {
    fn encode(&mut self, frame: Frame, out: &mut Outbox) -> Result<(), Failure> {
        // A frame from before the session is not of the session.
        let Some(capture_us) = frame.capture_us.checked_sub(self.origin_us) else { return Ok(()) };
        if self.is_too_soon(capture_us) {
            return Ok(());
        }
        self.rejoins = false;
        count(&self.counters.frames_captured, 1);
        self.apply_control()?;
        if self.is_thinned_out() {
            count(&self.counters.frames_thinned, 1);
            return Ok(());
        }
        let begun_us = self.clock.now_us();
        let encoded = self.encoder.encode(&Frame { capture_us, ..frame })?;
        count(&self.counters.video_encode_us, self.clock.now_us().saturating_sub(begun_us));
        let Some(picture) = encoded else {
            count(&self.counters.frames_skipped, 1);
            return Ok(());
        };
        count(&self.counters.video_units, 1);
        count(&self.counters.video_bytes, picture.payload.len() as u64);
        let (params, unit) = self.number(picture, capture_us);
        if let Some(params) = params {
            out.tell(CaptureEvent::Parameters { track: TRACK, params });
        }
        out.tell(CaptureEvent::Unit { track: TRACK, unit });
        Ok(())
    }

    fn dropped(&mut self) {
        count(&self.counters.frames_captured, 1);
        count(&self.counters.frames_dropped, 1);
    }

    fn restored(&mut self, _is_other: bool) {
        self.rejoins = true;
    }

    fn finish(&mut self, _: &mut Outbox) -> Result<(), Failure> {
        Ok(())
    }

    fn units(&self) -> u64 {
        self.next
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use bytes::Bytes;

    use super::*;
    use crate::clock::SimulatedClock;
    use crate::frame::I420;

    /// Makes a picture of every frame.
    struct Willing;

    impl VideoEncoder for Willing {
        fn encode(&mut self, _: &Frame) -> Result<Option<EncodedPicture>, EncodeError> {
            Ok(Some(EncodedPicture { payload: Bytes::from_static(b"a"), key: true, parameters: None }))
        }

        fn request_idr(&mut self) {}

        fn set_fps(&mut self, _: u32) {}

        fn set_thinning(&mut self, _: u32) -> Result<(), EncodeError> {
            Ok(())
        }

        fn set_bitrate_bps(&mut self, _: u32) -> Result<(), EncodeError> {
            Ok(())
        }
    }

    #[test]
    fn another_camera_keeps_the_distance_of_a_frame() {
        let (sender, events) = sync_channel(64);
        let (clock, counters) = (Arc::new(SimulatedClock::default()), Arc::new(Counters::default()));
        let mut coder = VideoCoder::new(Box::new(Willing), 30, VideoControl::default(), counters, clock, 0);
        let mut out = Outbox::new(sender);
        let picture = Arc::new(I420::black(64, 64));
        let mut see = |coder: &mut VideoCoder, capture_us: u64| {
            coder.encode(Frame { picture: Arc::clone(&picture), capture_us }, &mut out).unwrap();
        };
        // While a camera goes on, it may be early.
        [0, 33_333, 50_000].into_iter().for_each(|at| see(&mut coder, at));
        coder.restored(false);
        [52_000, 83_000, 85_333, 90_000].into_iter().for_each(|at| see(&mut coder, at));
        coder.restored(false);
        see(&mut coder, 123_332);
        drop((coder, out));
        let seen: Vec<u64> = events
            .iter()
            .filter_map(|event| match event {
                CaptureEvent::Unit { unit, .. } => Some(unit.capture_us),
                _ => None,
            })
            .collect();
        assert_eq!(seen, [0, 33_333, 50_000, 83_000, 85_333, 90_000, 123_332]);
    }

    #[test]
    fn frames_are_left_out_evenly_and_those_that_remain_keep_their_times() {
        let (sender, events) = sync_channel(64);
        let (clock, counters) = (Arc::new(SimulatedClock::default()), Arc::new(Counters::default()));
        let control = VideoControl::default();
        let mut coder =
            VideoCoder::new(Box::new(Willing), 30, control.clone(), Arc::clone(&counters), clock, 0);
        let mut out = Outbox::new(sender);
        let picture = Arc::new(I420::black(64, 64));
        for frame in 0..12 {
            match frame {
                3 => control.set_thinning(3),
                9 => control.set_thinning(1),
                _ => {}
            }
            let frame = Frame { picture: Arc::clone(&picture), capture_us: frame * 40_000 };
            coder.encode(frame, &mut out).unwrap();
        }
        drop((coder, out));
        let seen: Vec<(u64, u64, u32)> = events
            .iter()
            .filter_map(|event| match event {
                CaptureEvent::Unit { unit, .. } => Some((unit.number, unit.pts_90k, unit.duration_90k)),
                _ => None,
            })
            .collect();
        let all = |number: u64, frame: u64| (number, frame * 3_600, 3_000);
        let third = |number: u64, frame: u64| (number, frame * 3_600, 9_000);
        let expected =
            [all(0, 0), all(1, 1), all(2, 2), third(3, 5), third(4, 8), all(5, 9), all(6, 10), all(7, 11)];
        assert_eq!(seen, expected);
        assert_eq!(counters.read().frames_thinned, 4);
    }
}
