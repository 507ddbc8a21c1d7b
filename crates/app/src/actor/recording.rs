//! The session that runs, from tap until the server has everything.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{mem, thread};

use capture::{AudioEncoding, Controls, Encoding, Stats, VideoEncoding};
use protocol::control::EventKind;
use protocol::{RoomName, SessionId, Track};
use publisher::spool::disk;
use publisher::status::{Phase, Status, TrackStatus};
use publisher::track::Identity;
use publisher::{Config, Publisher, Storage, rate};
use session::{Ended, Feed, answer_keyframe_requests, follow_network, publishing_device};
use tokio::sync::watch;

use super::Actor;
use crate::api::{Problem, ProblemCode, Quality, Session, SessionPhase, WhenFull, WhenSlow};
use crate::rates::{Rates, Totals};
use crate::view::{self, TrackFacts};

/// A device that hangs must not keep a session from ending: after this its track ends without it.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// A session that is open. Dropping it gives up what is not on the server.
pub(super) struct Recording {
    id: SessionId,
    room: RoomName,
    server: String,
    recording_url: String,
    started_unix_ms: u64,
    /// How long it lasted, once it is stopped.
    lasted: Option<Duration>,
    publisher: Publisher,
    status: watch::Receiver<Status>,
    phases: [Option<Phase>; 2],
    controls: Controls,
    quality: Quality,
    /// What is done when as much waits here as may.
    when_full: WhenFull,
    video: Rates,
    audio: Rates,
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.controls.stop();
    }
}

/// Returns when a track of the recording is in another phase; never without a recording.
pub(super) async fn phase_change(recording: &mut Option<Recording>) {
    let Some(recording) = recording else { return std::future::pending().await };
    loop {
        if recording.status.changed().await.is_err() {
            return std::future::pending().await;
        }
        let status = recording.status.borrow_and_update();
        let phase = |track| status.track(track).map(|status| status.phase.clone());
        let phases = [phase(Track::Video), phase(Track::Audio)];
        if phases != recording.phases {
            recording.phases = phases;
            return;
        }
    }
}

impl Recording {
    /// The session's own time, as its units count it.
    fn now(&self) -> Duration {
        Duration::from_micros(self.controls.now_us())
    }

    fn elapsed(&self) -> Duration {
        self.lasted.unwrap_or_else(|| self.now())
    }

    /// Looks at what the encoders have made.
    pub(super) fn look(&mut self) {
        let (now, stats) = (self.now(), self.controls.stats());
        let (video, audio) = totals(&stats);
        self.video.see(now, video);
        self.audio.see(now, audio);
    }

    /// As it is shown, now.
    pub(super) fn shown(&self) -> Session {
        let report = self.publisher.report();
        let stats = self.controls.stats();
        let quality = &self.quality;
        let track = |track: Track| {
            let report = report.tracks.iter().find(|report| report.track == track)?;
            let (rates, full_bitrate_bps, dropped, clock) = match track {
                Track::Video => {
                    let dropped = stats.frames_dropped + stats.frames_skipped;
                    (&self.video, quality.video_bitrate_bps, dropped, None)
                }
                Track::Audio => {
                    (&self.audio, quality.audio_bitrate_bps, stats.sound_dropped, stats.clock_drift)
                }
            };
            // Once it is stopped nothing is made any more, however the last two seconds were.
            let figures = if self.lasted.is_none() { rates.figures() } else { Default::default() };
            Some(view::track(&report.status, &TrackFacts { figures, full_bitrate_bps, dropped, clock }))
        };
        Session {
            id: self.id,
            room: self.room.clone(),
            server: self.server.clone(),
            recording_url: self.recording_url.clone(),
            started_unix_ms: self.started_unix_ms,
            elapsed_ms: u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX),
            phase: if self.lasted.is_none() { SessionPhase::Running } else { SessionPhase::Finishing },
            viewers: self.status.borrow().viewers,
            storage: self.storage(),
            video: track(Track::Video),
            audio: track(Track::Audio),
        }
    }

    /// Its summary, once it has ended in this way.
    fn summary(&self, phase: SessionPhase) -> Session {
        Session { phase, ..self.shown() }
    }

    fn with_tracks<T>(&self, judge: impl FnOnce(&[(Track, &TrackStatus)]) -> T) -> T {
        let report = self.publisher.report();
        let tracks: Vec<(Track, &TrackStatus)> =
            report.tracks.iter().map(|report| (report.track, &report.status)).collect();
        judge(&tracks)
    }

    /// Why this device cannot keep what waits. Once it is stopped nothing more comes.
    fn storage(&self) -> Option<Problem> {
        let runs = self.lasted.is_none();
        runs.then(|| self.with_tracks(|tracks| view::storage(tracks, self.when_full))).flatten()
    }

    fn tell(&self, track: Track, kind: EventKind, detail: &str) {
        let at_us = self.controls.now_us();
        if let Some(handle) = self.publisher.track(track) {
            handle.event(kind, at_us.saturating_mul(9) / 100, detail);
        }
    }

    /// No unit comes any more.
    fn finish_tracks(&self) {
        for handle in Track::ALL.into_iter().filter_map(|track| self.publisher.track(track)) {
            handle.finish();
        }
    }
}

const fn totals(stats: &Stats) -> (Totals, Totals) {
    let video =
        Totals { units: stats.video_units, bytes: stats.video_bytes, encode_us: stats.video_encode_us };
    let audio =
        Totals { units: stats.audio_units, bytes: stats.audio_bytes, encode_us: stats.audio_encode_us };
    (video, audio)
}

fn encoding(quality: &Quality, video: bool, audio: bool) -> Encoding {
    Encoding {
        video: video.then_some(VideoEncoding { fps: quality.fps, bitrate_bps: quality.video_bitrate_bps }),
        audio: audio
            .then_some(AudioEncoding { channels: quality.channels, bitrate_bps: quality.audio_bitrate_bps }),
    }
}

impl Actor {
    /// Begins a session on the devices as they are. The summary of the one before is dismissed.
    pub(crate) fn start(&mut self) -> Result<(), Problem> {
        if self.recording.is_some() {
            let message =
                "A recording is not finished yet. Wait until everything is on the server, or dismiss it.";
            return Err(Problem::new(ProblemCode::NotNow, message));
        }
        let address = self.address()?;
        let quality = self.choices.quality;
        let wanted = [(Track::Video, self.camera.is_wanted()), (Track::Audio, self.microphone.is_wanted())];
        let encoding = encoding(&quality, wanted[0].1, wanted[1].1);
        let tracks: Vec<Track> =
            wanted.into_iter().filter(|(_, wanted)| *wanted).map(|(track, _)| track).collect();

        let room = self.overrides.room.as_ref().unwrap_or(&self.choices.room).clone();
        let device = publishing_device(None, &format!("longtake app {}", self.version));
        let started_unix_ms = unix_ms();
        let identity = Identity::begin(room.clone(), device, started_unix_ms, Arc::clone(&self.device_key))
            .map_err(|error| Problem::from(&error))?;
        let id = identity.session;
        let mut config = Config::new(address.clone(), identity);
        config.token =
            self.overrides.token.clone().or_else(|| self.token.as_ref().map(|kept| kept.token.clone()));
        config.storage = Storage::Disk(self.spool_settings());
        config.own_authority = self.overrides.own_authority.clone();
        config.rate = Some(self.rate());
        let publisher = Publisher::start(&config, &tracks).map_err(|error| Problem::from(&error))?;
        let session = self.inputs.record(&encoding).map_err(|error| Problem::from(&error))?;

        let controls = session.controls();
        tokio::spawn(answer_keyframe_requests(publisher.tells(), controls.clone()));
        tokio::spawn(follow_network(&publisher, controls.clone()));
        let feed = Feed::new(session, &publisher, |remark| tracing::info!("{remark}"));
        self.run_feed(feed.on_devices(self.camera.name(), self.microphone.name(), !self.camera.is_on()), id)?;
        tracing::info!(session = %id.short(), %room, "recording");
        self.ended = None;
        self.recording = Some(Recording {
            id,
            room,
            server: address.to_string(),
            recording_url: address.http_url(&format!("/api/sessions/{id}/recording.mp4")),
            started_unix_ms,
            lasted: None,
            status: publisher.status(),
            phases: [None, None],
            publisher,
            controls,
            quality,
            when_full: self.choices.when_full,
            video: Rates::default(),
            audio: Rates::default(),
        });
        if !self.microphone.is_on() {
            self.tell_mute();
        }
        Ok(())
    }

    /// Moves units on a thread of its own; its end comes back as a job.
    fn run_feed(&self, feed: Feed, id: SessionId) -> Result<(), Problem> {
        let jobs = self.jobs.clone();
        let body = move || {
            let ended = feed.run();
            if let Some(jobs) = jobs.upgrade() {
                jobs.blocking_send(Box::new(move |actor| actor.capture_ended(id, &ended))).ok();
            }
        };
        let spawned = thread::Builder::new().name("feed".to_owned()).spawn(body);
        let refused = |error| {
            let message =
                format!("The system refuses to start another thread: {error}. Close other programs.");
            Problem::passing(ProblemCode::Internal, message)
        };
        spawned.map(drop).map_err(refused)
    }

    /// Both tracks have ended: they were stopped, or their sources are over, or they failed.
    fn capture_ended(&mut self, id: SessionId, ended: &Ended) {
        for (_, failure) in &ended.failures {
            self.notice(failure.into());
        }
        if let Some(fault) = &ended.fault {
            self.notice(fault.into());
        }
        if let Some(recording) = self.recording.as_mut().filter(|recording| recording.id == id) {
            recording.lasted.get_or_insert(recording.now());
            recording.controls.stop();
            recording.finish_tracks();
        }
    }

    /// Ends the session that runs. What the server does not have yet is still sent.
    pub(crate) fn stop(&mut self) -> Result<(), Problem> {
        let Some(recording) = self.recording.as_mut().filter(|recording| recording.lasted.is_none()) else {
            return Err(Problem::new(ProblemCode::NotNow, "Nothing is being recorded."));
        };
        recording.lasted = Some(recording.now());
        recording.controls.stop();
        let (id, jobs) = (recording.id, self.jobs.clone());
        tokio::spawn(async move {
            tokio::time::sleep(STOP_PATIENCE).await;
            if let Some(jobs) = jobs.upgrade() {
                jobs.send(Box::new(move |actor| actor.capture_ended(id, &Ended::default()))).await.ok();
            }
        });
        Ok(())
    }

    /// Ends a session that may not wait for more on this device's disk.
    pub(super) fn stop_if_full(&mut self) {
        let is_full = |recording: &Recording| {
            recording.lasted.is_none()
                && recording.with_tracks(|tracks| tracks.iter().any(|(_, status)| status.spool.must_stop))
        };
        if self.recording.as_ref().is_some_and(is_full) {
            let message = "The room for recordings on this device is full, and so the recording was stopped. What is \
                           recorded is sent when the server is reached.";
            self.notice(Problem::new(ProblemCode::DeviceStorage, message));
            // It runs, and so it can be stopped.
            self.stop().ok();
        }
    }

    /// Forgets the summary of the last session; ends one that is still finishing: what is left is sent later.
    pub(crate) fn dismiss(&mut self) -> Result<(), Problem> {
        match self.recording.take_if(|recording| recording.lasted.is_some()) {
            Some(recording) => {
                let phase = recording.with_tracks(view::given_up);
                self.closes_when_complete = false;
                self.ended = Some(recording.summary(phase));
            }
            None if self.recording.is_some() => {
                return Err(Problem::new(ProblemCode::NotNow, "Stop the recording first."));
            }
            None => self.ended = None,
        }
        Ok(())
    }

    /// Connects at once where something has stopped or delayed that.
    pub(crate) fn reconnect(&self) -> Result<(), Problem> {
        match &self.recording {
            Some(recording) => {
                recording.publisher.reconnect();
                Ok(())
            }
            None => Err(Problem::new(ProblemCode::NotNow, "Nothing is being sent.")),
        }
    }

    /// Closes a session whose end is decided.
    pub(super) fn conclude(&mut self) {
        let stopped = self.recording.as_ref().filter(|recording| recording.lasted.is_some());
        let Some(phase) = stopped.and_then(|recording| recording.with_tracks(view::outcome)) else { return };
        if let Some(recording) = self.recording.take() {
            let is_complete = phase == SessionPhase::Complete;
            tracing::info!(session = %recording.id.short(), is_complete, "recording ended");
            self.ended = Some(recording.summary(phase));
            // Something lost has to be seen, and so the window stays.
            if mem::take(&mut self.closes_when_complete) && is_complete {
                self.may_close.send_replace(true);
            }
        }
    }

    /// Whether a session runs or is still being sent.
    pub(super) const fn is_recording(&self) -> bool {
        self.recording.is_some()
    }

    /// Whether a session runs.
    pub(super) fn is_running(&self) -> bool {
        self.recording.as_ref().is_some_and(|recording| recording.lasted.is_none())
    }

    /// Tells the recording that the microphone was muted, or is heard again.
    pub(super) fn tell_mute(&self) {
        if let Some(recording) = &self.recording {
            match self.microphone.is_on() {
                true => recording.tell(Track::Audio, EventKind::Unmuted, "heard again"),
                false => recording.tell(Track::Audio, EventKind::Muted, "muted"),
            }
        }
    }

    /// Where units wait, how many may, and what is done with more.
    fn spool_settings(&self) -> disk::Settings {
        let when_full = match self.choices.when_full {
            WhenFull::Stop => disk::WhenFull::Stop,
            WhenFull::DropOldest => disk::WhenFull::Drop,
        };
        let capacity_bytes = self.choices.spool_bytes;
        disk::Settings { capacity_bytes, when_full, ..disk::Settings::new(&self.spool) }
    }

    /// What the encoder of the picture makes, and what it does when the network carries less.
    fn rate(&self) -> rate::Settings {
        let Quality { video_bitrate_bps: bitrate_bps, fps, .. } = self.choices.quality;
        let when_slow = match self.choices.when_slow {
            WhenSlow::KeepQuality => rate::WhenSlow::KeepQuality,
            WhenSlow::KeepUp => rate::WhenSlow::KeepUp,
        };
        rate::Settings { when_slow, bitrate_bps, fps }
    }

    /// Takes the quality that is chosen now over to the session that runs.
    pub(super) fn tell_quality(&mut self) {
        let (quality, rate) = (self.choices.quality, self.rate());
        let Some(recording) = self.recording.as_mut().filter(|recording| recording.lasted.is_none()) else {
            return;
        };
        recording.controls.set_video_fps(quality.fps);
        // The picture's bit rate comes back from there, as far as the network carries it.
        recording.publisher.follow_network(rate);
        recording.controls.set_audio_bitrate_bps(quality.audio_bitrate_bps);
        let before = mem::replace(&mut recording.quality, quality);
        let picture =
            |quality: &Quality| (quality.width, quality.height, quality.fps, quality.video_bitrate_bps);
        if picture(&before) != picture(&quality) {
            let Quality { width, height, fps, video_bitrate_bps, .. } = quality;
            let detail = format!("{width} × {height}, {fps} fps, {} kbit/s", video_bitrate_bps / 1_000);
            recording.tell(Track::Video, EventKind::QualityChanged, &detail);
        }
        if before.audio_bitrate_bps != quality.audio_bitrate_bps {
            let detail = format!("{} kbit/s", quality.audio_bitrate_bps / 1_000);
            recording.tell(Track::Audio, EventKind::QualityChanged, &detail);
        }
    }

    /// Gives the session that is open another access token, and connects with it.
    pub(super) fn tell_token(&self) {
        if let Some(recording) = &self.recording {
            recording.publisher.set_token(self.token.as_ref().map(|kept| kept.token.clone()));
            recording.publisher.reconnect();
        }
    }

    /// The room of the open session, if it goes to this server.
    pub(super) fn session_room(&self, server: &str) -> Option<&RoomName> {
        let recording = self.recording.as_ref().filter(|recording| recording.server == server);
        recording.map(|recording| &recording.room)
    }

    /// The server that the open session goes to, in its full form.
    pub(super) fn session_server(&self) -> Option<&str> {
        self.recording.as_ref().map(|recording| recording.server.as_str())
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
