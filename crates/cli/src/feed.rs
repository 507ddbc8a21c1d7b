//! Moves what capture makes into the publisher's spools.

use std::sync::Arc;
use std::time::Duration;

use capture::{CaptureEvent, Failure as CaptureFailure, Session, SessionClock, Wait};
use protocol::Track;
use protocol::control::EventKind;
use publisher::track::PushError;
use publisher::{Publisher, TrackHandle};
use tokio::sync::mpsc;

/// What to tell the person and has not been told yet; what exceeds it is left out.
pub(crate) const REMARK_CAPACITY: usize = 64;

/// How long to wait for an event before looking at the counters again.
const PATIENCE: Duration = Duration::from_millis(250);

/// The recording is told of dropped frames at most this often.
const DROPS_TOLD_EVERY_US: u64 = 10_000_000;

/// How capture ended: the failures of its tracks.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    pub(crate) failures: Vec<(Track, CaptureFailure)>,
    /// A fault of this program.
    pub(crate) fault: Option<PushError>,
}

pub(crate) struct Feed {
    session: Session,
    clock: Arc<dyn SessionClock>,
    video: Option<TrackHandle>,
    audio: Option<TrackHandle>,
    remarks: mpsc::Sender<String>,
    drops_told: u64,
    drops_told_at_us: u64,
}

impl Feed {
    pub(crate) fn new(
        session: Session,
        clock: Arc<dyn SessionClock>,
        publisher: &Publisher,
        remarks: mpsc::Sender<String>,
    ) -> Self {
        let (video, audio) = (publisher.track(Track::Video), publisher.track(Track::Audio));
        Self { session, clock, video, audio, remarks, drops_told: 0, drops_told_at_us: 0 }
    }

    /// Runs until capture has ended and its last unit is in the spool. Blocks its thread.
    pub(crate) fn run(mut self) -> Ended {
        let mut ended = Ended::default();
        loop {
            match self.session.next_event(PATIENCE) {
                Wait::Event(event) => {
                    if let Err(error) = self.take(event, &mut ended) {
                        ended.fault = Some(error);
                        return ended;
                    }
                }
                Wait::Nothing => {}
                Wait::Ended => return ended,
            }
            self.tell_drops();
        }
    }

    fn take(&mut self, event: CaptureEvent, ended: &mut Ended) -> Result<(), PushError> {
        match event {
            CaptureEvent::Parameters { track, params } => {
                self.handle(track).map_or(Ok(()), |to| to.params(params))
            }
            CaptureEvent::Unit { track, unit } => self.handle(track).map_or(Ok(()), |to| to.push(unit)),
            CaptureEvent::DeviceLost { track, error } => {
                self.tell(track, EventKind::DeviceLost, &error.to_string());
                Ok(())
            }
            CaptureEvent::DeviceRestored { track, away_us } => {
                let away = format!("back after {:.1} s", away_us as f64 / 1e6);
                self.tell(track, EventKind::DeviceRestored, &away);
                Ok(())
            }
            CaptureEvent::Ended { track, failure, .. } => {
                if let Some(failure) = failure {
                    self.remark(format!("{track}: {failure}"));
                    ended.failures.push((track, failure));
                }
                if let Some(handle) = self.handle(track) {
                    handle.finish();
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    const fn handle(&self, track: Track) -> Option<&TrackHandle> {
        match track {
            Track::Video => self.video.as_ref(),
            Track::Audio => self.audio.as_ref(),
        }
    }

    /// Tells the recording and the person.
    fn tell(&self, track: Track, kind: EventKind, detail: &str) {
        self.remark(format!("{track}: {detail}"));
        if let Some(handle) = self.handle(track) {
            handle.event(kind, self.clock.now_us().saturating_mul(9) / 100, detail);
        }
    }

    fn remark(&self, text: String) {
        self.remarks.try_send(text).ok();
    }

    fn tell_drops(&mut self) {
        let now_us = self.clock.now_us();
        let stats = self.session.controls().stats();
        let dropped = stats.frames_dropped + stats.frames_skipped;
        if dropped > self.drops_told && now_us >= self.drops_told_at_us + DROPS_TOLD_EVERY_US {
            let detail =
                format!("{} frames dropped: the encoder could not keep up", dropped - self.drops_told);
            self.tell(Track::Video, EventKind::FramesDropped, &detail);
            (self.drops_told, self.drops_told_at_us) = (dropped, now_us);
        }
    }
}
