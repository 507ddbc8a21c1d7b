//! Moves what capture makes into the publisher's spools.

use std::time::Duration;

use capture::{CaptureEvent, Failure, Session, Wait};
use protocol::Track;
use protocol::control::EventKind;
use publisher::track::PushError;
use publisher::{Publisher, TrackHandle};

use crate::ledger::{self, Entry, Interruptions};

/// How long to wait for an event before looking at the counters again.
const PATIENCE: Duration = Duration::from_millis(250);

/// The recording is told of dropped frames at most this often.
const DROPS_TOLD_EVERY_US: u64 = 10_000_000;

/// How capture ended: the failures of its tracks.
#[derive(Debug, Default)]
pub struct Ended {
    /// Why tracks ended that were not stopped.
    pub failures: Vec<(Track, Failure)>,
    /// A fault of this program.
    pub fault: Option<PushError>,
}

/// Moves what a capture session makes into a publisher's spools, and tells the recording what happened to the devices.
pub struct Feed {
    session: Session,
    video: Option<TrackHandle>,
    audio: Option<TrackHandle>,
    remark: Box<dyn FnMut(String) + Send>,
    /// The name of each track's device, as far as it is known.
    names: [Option<String>; 2],
    interruptions: [Interruptions; 2],
    /// The track whose device a person has switched off.
    is_off: Option<Track>,
    drops_told: u64,
    drops_told_at_us: u64,
}

impl Feed {
    /// Between a session and its publisher. `remark` is called with what a person should know, one line each.
    #[must_use]
    pub fn new(session: Session, publisher: &Publisher, remark: impl FnMut(String) + Send + 'static) -> Self {
        let (video, audio) = (publisher.track(Track::Video), publisher.track(Track::Audio));
        let names = [session.camera_name().map(str::to_owned), session.microphone_name().map(str::to_owned)];
        let remark = Box::new(remark);
        Self {
            session,
            video,
            audio,
            remark,
            names,
            interruptions: Default::default(),
            is_off: None,
            drops_told: 0,
            drops_told_at_us: 0,
        }
    }

    /// With devices that are open already, and so do not tell their names; the camera may be switched off.
    #[must_use]
    pub fn on_devices(
        mut self,
        camera: Option<String>,
        microphone: Option<String>,
        camera_is_off: bool,
    ) -> Self {
        self.names = [camera, microphone];
        if camera_is_off {
            self.switched_off(Track::Video);
        }
        self
    }

    /// Runs until capture has ended and its last unit is in the spool. Blocks its thread.
    #[must_use]
    pub fn run(mut self) -> Ended {
        let mut ended = Ended::default();
        loop {
            let began_us = self.session.now_us();
            let next = self.session.next_event(PATIENCE);
            self.tell_sleep(began_us);
            match next {
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
                let entry = self.interruptions[index(track)].lost(self.session.now_us(), &error);
                self.enter(track, entry);
                Ok(())
            }
            CaptureEvent::DeviceRestored { track, away_us } => {
                let entry = self.interruptions[index(track)].restored(self.session.now_us(), away_us);
                self.enter(track, entry);
                Ok(())
            }
            CaptureEvent::Resynchronised { shift_us } => {
                self.enter(Track::Audio, ledger::resynchronised(self.session.now_us(), shift_us));
                Ok(())
            }
            CaptureEvent::DeviceSwitched { track, name } => {
                self.switched(track, name);
                Ok(())
            }
            CaptureEvent::SwitchedOff { track } => {
                self.switched_off(track);
                Ok(())
            }
            CaptureEvent::Ended { track, failure, .. } => {
                if let Some(failure) = failure {
                    (self.remark)(format!("{track}: {failure}"));
                    ended.failures.push((track, failure));
                }
                if track == Track::Audio
                    && let Some(drift) = self.session.controls().stats().clock_drift
                {
                    self.enter(track, ledger::clock_drift(self.session.now_us(), &drift));
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

    fn switched_off(&mut self, track: Track) {
        if self.is_off.replace(track).is_none() {
            self.tell(track, EventKind::Muted, "switched off");
        }
    }

    /// A device that is opened anew, as after a change of its size, is no other one, and the first one takes nobody's place.
    fn switched(&mut self, track: Track, name: String) {
        if self.is_off.take_if(|off| *off == track).is_some() {
            self.tell(track, EventKind::Unmuted, "switched on");
        }
        let before = self.names[index(track)].replace(name.clone());
        if before.is_some_and(|before| before != name) {
            self.tell(track, EventKind::DeviceSwitched, &name);
        }
    }

    /// Tells the recording and the person.
    fn tell(&mut self, track: Track, kind: EventKind, detail: &str) {
        self.enter(track, Entry::plain(kind, self.session.now_us(), detail.to_owned()));
    }

    fn enter(&mut self, track: Track, entry: Entry) {
        if let Some(remark) = entry.remark {
            (self.remark)(format!("{track}: {remark}"));
        }
        if let Some(handle) = self.handle(track) {
            handle.event(entry.kind, entry.at_us.saturating_mul(9) / 100, &entry.detail);
        }
    }

    /// A sleep is told on every track: each of them has its gap.
    fn tell_sleep(&mut self, began_us: u64) {
        let Some(entries) = ledger::sleep(began_us, self.session.now_us(), PATIENCE) else { return };
        for track in Track::ALL.into_iter().filter(|track| self.handle(*track).is_some()).collect::<Vec<_>>()
        {
            entries.iter().for_each(|entry| self.enter(track, entry.clone()));
        }
    }

    fn tell_drops(&mut self) {
        let now_us = self.session.now_us();
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

const fn index(track: Track) -> usize {
    match track {
        Track::Video => 0,
        Track::Audio => 1,
    }
}
