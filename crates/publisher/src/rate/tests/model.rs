//! A model of a session's picture: encoder, lanes, window, and a path that the sound shares.

use std::collections::VecDeque;
use std::time::Duration;

use crate::rate::{Controller, READ_EVERY, Reading, Settings, Target};

const STEP: Duration = Duration::from_millis(5);
const GOP: Duration = Duration::from_secs(2);
/// An IDR picture has so many times the bytes of another.
const KEY_WEIGHT: f64 = 8.0;
/// A live lane that is further behind is given up.
const GIVES_UP: Duration = Duration::from_secs(2);
const SMALLEST_WINDOW_BYTES: f64 = 16_384.0;
const AUDIO_BPS: f64 = 40_000.0;
/// How long after an outage the sound sends what was left behind of it. Its bytes are not in the model.
const SOUND_CATCHES_UP: Duration = Duration::from_secs(2);

/// The session at a reading.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) at: Duration,
    pub(super) target: Target,
    pub(super) live_lag: Option<Duration>,
}

/// A picture that was not written whole.
struct Waiting {
    at: Duration,
    bytes: f64,
}

pub(super) struct Model {
    pub(super) controller: Controller,
    /// What others add to the sound's delay.
    pub(super) others_delay: Duration,
    settings: Settings,
    latency: Duration,
    now: Duration,
    frame: u64,
    frame_at: Duration,
    key_at: Option<Duration>,
    made_bytes: f64,
    live: VecDeque<Waiting>,
    /// The live lane waits for an IDR picture.
    waits: bool,
    backlog_bytes: f64,
    /// Bytes in the path's queue.
    queue_bytes: f64,
    /// When how many bytes have arrived.
    arriving: VecDeque<(Duration, f64)>,
    arrived_bytes: f64,
    /// When the path carried anything last.
    carried_at: Duration,
    /// There is no connection, and that is known.
    is_away: bool,
    /// Until then units of the sound that were left behind are being sent.
    pub(super) sound_caught_up_at: Duration,
}

impl Model {
    pub(super) fn new(settings: Settings, latency: Duration) -> Self {
        Self {
            controller: Controller::new(settings),
            others_delay: Duration::ZERO,
            settings,
            latency,
            now: Duration::ZERO,
            frame: 0,
            frame_at: Duration::ZERO,
            key_at: None,
            made_bytes: 0.0,
            live: VecDeque::new(),
            waits: false,
            backlog_bytes: 0.0,
            queue_bytes: 0.0,
            arriving: VecDeque::new(),
            arrived_bytes: 0.0,
            carried_at: Duration::ZERO,
            is_away: false,
            sound_caught_up_at: Duration::ZERO,
        }
    }

    /// The network is gone. For so long nobody notices, then the connection is given up, and after so long again there is
    /// another. Tells what was seen until then.
    pub(super) fn outage(&mut self, unnoticed: Duration, noticed: Duration) -> Vec<Sample> {
        let samples = self.run(unnoticed, 0.0);
        self.controller.disconnected();
        self.is_away = true;
        self.backlog_bytes += std::mem::take(&mut self.queue_bytes);
        self.backlog_bytes += self.arriving.drain(..).map(|(_, bytes)| bytes).sum::<f64>();
        self.give_up();
        let end = self.now + noticed;
        while self.now < end {
            self.now += STEP;
            if self.now >= self.frame_at {
                self.make_frame();
            }
        }
        (self.is_away, self.arrived_bytes) = (false, 0.0);
        self.sound_caught_up_at = self.now + SOUND_CATCHES_UP;
        samples
    }

    /// Runs for so long on a path that carries so much, and tells what was seen at each reading.
    pub(super) fn run(&mut self, length: Duration, path_bps: f64) -> Vec<Sample> {
        let (end, mut samples) = (self.now + length, Vec::new());
        while self.now < end {
            self.now += STEP;
            if self.now >= self.frame_at {
                self.make_frame();
            }
            self.carry(path_bps);
            if self.now.as_millis().is_multiple_of(READ_EVERY.as_millis()) {
                samples.push(self.read(path_bps));
            }
        }
        samples
    }

    fn make_frame(&mut self) {
        self.frame_at += Duration::from_secs(1) / self.settings.fps;
        let target = self.controller.target();
        self.frame += 1;
        if !self.frame.is_multiple_of(u64::from(target.thinning)) {
            return;
        }
        let fps = f64::from(self.settings.fps) / f64::from(target.thinning);
        let frames = fps * GOP.as_secs_f64();
        let mean_bytes = f64::from(target.bitrate_bps) / 8.0 / fps;
        let keeps_waiting = target.is_paused || self.is_away;
        let is_key = (self.waits && !keeps_waiting) || self.key_at.is_none_or(|at| self.now >= at + GOP);
        let bytes = match is_key {
            true => mean_bytes * KEY_WEIGHT * frames / (frames - 1.0 + KEY_WEIGHT),
            false => mean_bytes * frames / (frames - 1.0 + KEY_WEIGHT),
        };
        if is_key {
            self.key_at = Some(self.now);
        }
        self.made_bytes += bytes;
        self.waits &= !is_key || keeps_waiting;
        if keeps_waiting || self.waits {
            self.give_up();
            self.backlog_bytes += bytes;
        } else {
            self.live.push_back(Waiting { at: self.now, bytes });
        }
        if self.lag().is_some_and(|lag| lag > GIVES_UP) {
            self.give_up();
        }
    }

    fn give_up(&mut self) {
        self.backlog_bytes += self.live.drain(..).map(|unit| unit.bytes).sum::<f64>();
        self.waits = true;
    }

    fn lag(&self) -> Option<Duration> {
        (!self.waits).then(|| self.live.front().map_or(Duration::ZERO, |unit| self.now - unit.at))
    }

    fn carry(&mut self, path_bps: f64) {
        let path = path_bps / 8.0;
        let window = (path * (self.latency.as_secs_f64() + 0.1)).max(SMALLEST_WINDOW_BYTES);
        let in_flight: f64 = self.arriving.iter().map(|(_, bytes)| bytes).sum();
        let mut room = window - self.queue_bytes - in_flight;
        while let Some(unit) = self.live.front_mut().filter(|_| room > 0.0) {
            let bytes = unit.bytes.min(room);
            unit.bytes -= bytes;
            room -= bytes;
            self.queue_bytes += bytes;
            if unit.bytes <= 0.0 {
                self.live.pop_front();
            }
        }
        let is_idle = self.queue_bytes + in_flight <= 0.0;
        let backfill = match () {
            () if self.controller.target().is_paused => 0.0,
            () if is_idle || self.queue_bytes < path * 0.2 => (room - window / 4.0).min(window / 4.0),
            () => 0.0,
        };
        let bytes = self.backlog_bytes.min(backfill.max(0.0));
        self.backlog_bytes -= bytes;
        self.queue_bytes += bytes;
        if path > 0.0 {
            self.carried_at = self.now;
        }
        let carried = (path - AUDIO_BPS / 8.0).max(path / 20.0) * STEP.as_secs_f64();
        let bytes = self.queue_bytes.min(carried);
        self.queue_bytes -= bytes;
        self.arriving.push_back((self.now + self.latency, bytes));
        while let Some((_, bytes)) = self.arriving.front().filter(|(at, _)| *at <= self.now) {
            self.arrived_bytes += bytes;
            self.arriving.pop_front();
        }
    }

    fn read(&mut self, path_bps: f64) -> Sample {
        let queueing = match path_bps > 0.0 {
            true => Duration::from_secs_f64(self.queue_bytes * 8.0 / path_bps),
            false => self.now - self.carried_at,
        };
        let live_lag = self.lag();
        let reading = Reading {
            arrived_bytes: self.arrived_bytes as u64,
            made_bytes: self.made_bytes as u64,
            live_lag,
            has_backlog: self.backlog_bytes >= 1.0,
            audio_delay: queueing + self.others_delay,
            audio_catches_up: self.now < self.sound_caught_up_at,
        };
        self.controller.read(self.now, reading);
        Sample { at: self.now, target: self.controller.target(), live_lag }
    }
}
