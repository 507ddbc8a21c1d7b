//! From readings to a target.

use std::time::Duration;

use super::history::History;
use super::{Reading, Settings, Target, WhenSlow};

/// How often a reading is taken.
pub const READ_EVERY: Duration = Duration::from_millis(100);

/// The longest time between two IDR pictures, and a little: each of them makes the lane lag for a while on a path that
/// carries just enough.
const GOP: Duration = Duration::from_millis(2_200);
/// A lag that never falls below this over a whole GOP stands: the path carries less than is made.
const STANDING_LAG: Duration = Duration::from_millis(100);
/// A lag that no IDR picture explains.
const GROSS_LAG: Duration = Duration::from_millis(500);
/// Sound that is late by more, over a whole GOP, is in the picture's way.
const STANDING_AUDIO_DELAY: Duration = Duration::from_millis(200);
/// What arrived is judged over this time.
const DELIVERY_SPAN: Duration = Duration::from_millis(1_200);

/// The share of what arrives that is made after it was too much.
const BACK_OFF: f64 = 0.9;
/// One step leaves at least this share of the bit rate: a path that stood still for a second is not a slow one.
const STEP: f64 = 0.4;
/// A lag is to be gone after about this time, and at most this much is taken from the bit rate for that.
const DRAIN: Duration = Duration::from_secs(4);
const DRAIN_SHARE: f64 = 0.4;
/// After a step down the next one waits until the encoder and the path have answered.
const SETTLE: Duration = Duration::from_millis(1_500);
/// On a connection's first step nothing has to be answered yet, and it must be soon: a picture that began with twice
/// what the path carries stays late for seconds by what it lagged until then.
const FIRST_SETTLE: Duration = Duration::from_millis(1_000);

/// The bit rate climbs by this share of the full one in a second,
const CLIMB: f64 = 0.10;
/// and by this share of what the path was last known to carry while it is between these shares of that.
const CAREFUL_CLIMB: f64 = 0.02;
const NEAR_FROM: f64 = 0.9;
const NEAR_TO: f64 = 1.25;
/// The wait before a climb beyond what the path was last known to carry. It doubles with each climb that fails, and is
/// the first again after one that succeeds.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(40);

/// After an outage so much of what the path was last known to carry is made: what was left behind needs the rest.
const RETURN_SHARE: f64 = 0.65;
/// And only so much while the sound still sends what was left behind of it: the sooner that is done, the sooner is the
/// sound in time.
const YIELDING_SHARE: f64 = 0.25;
/// For at least so long, as the sound's connection may open a little later than the picture's,
const SHORTEST_YIELD: Duration = Duration::from_secs(1);
/// and for no longer: a long outage leaves minutes of sound behind.
const LONGEST_YIELD: Duration = Duration::from_secs(4);

/// The live picture pauses when nothing helps for so long.
const PAUSE_AFTER: Duration = Duration::from_secs(4);
/// It is no longer hopeless when nothing was in the way for so long.
const CALM_AFTER: Duration = Duration::from_secs(2);
/// How long it pauses, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// A picture or a sound that is late by more than this at the lowest bit rate makes the picture pause.
const PAUSING_LAG: Duration = Duration::from_millis(700);
const PAUSING_AUDIO_DELAY: Duration = Duration::from_millis(400);
/// When the sound stays late without the picture, others fill the path; for so long its delay is not held against the
/// picture.
const EXONERATED_FOR: Duration = Duration::from_secs(60);

/// Says what the encoder should make.
///
/// Invariants: the target never exceeds the full bit rate and never falls below the floor; between two steps down lie
/// at least 1.5 s; in `keep-quality` the target's bit rate is always the full one.
#[derive(Debug)]
pub struct Controller {
    settings: Settings,
    bitrate_bps: f64,
    thinning: u32,
    history: History,
    limit: Limit,
    /// No step down before.
    settled_at: Duration,
    read_at: Option<Duration>,
    /// After an outage the picture makes way for the sound: since when, once there is a connection.
    yields: Option<Option<Duration>>,
    /// Of the newest reading on this connection by which more had arrived than by the one before.
    heard: Option<Heard>,
    pause: Pause,
}

/// What is known of how much the path carries.
#[derive(Debug, Clone, Copy)]
struct Limit {
    /// What it carried when it was too little, in bit/s.
    ceiling_bps: Option<f64>,
    /// No step beyond the ceiling before.
    climbs_at: Duration,
    wait: Duration,
}

impl Limit {
    const UNKNOWN: Self = Self { ceiling_bps: None, climbs_at: Duration::ZERO, wait: FIRST_WAIT };
}

/// How much had arrived, and what was made and known then.
#[derive(Debug, Clone, Copy)]
struct Heard {
    arrived_bytes: u64,
    bitrate_bps: f64,
    limit: Limit,
}

/// The live picture's pauses.
#[derive(Debug)]
struct Pause {
    /// While it pauses: until when, and how late the sound was at its begin.
    running: Option<(Duration, Duration)>,
    /// Since when nothing helps.
    hopeless_since: Option<Duration>,
    /// How long the next one takes.
    length: Duration,
    /// Since when it is not hopeless.
    calm_since: Option<Duration>,
    exonerated_until: Duration,
}

impl Controller {
    /// A controller that begins with everything.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            bitrate_bps: f64::from(settings.bitrate_bps),
            thinning: 1,
            history: History::over(GOP),
            limit: Limit::UNKNOWN,
            settled_at: Duration::ZERO,
            read_at: None,
            yields: None,
            heard: None,
            pause: Pause::default(),
        }
    }

    /// Takes other settings. A bit rate that was lowered stays so, as far as they allow.
    pub fn set(&mut self, settings: Settings) {
        let was_full = self.bitrate_bps >= f64::from(self.settings.bitrate_bps);
        self.settings = settings;
        let full_bps = f64::from(settings.bitrate_bps);
        if was_full || settings.when_slow == WhenSlow::KeepQuality {
            (self.bitrate_bps, self.thinning, self.yields) = (full_bps, 1, None);
        }
        self.bitrate_bps = self.bitrate_bps.clamp(f64::from(settings.floor_bps()), full_bps);
        self.heard = None;
    }

    /// What the encoder should make now.
    #[must_use]
    pub fn target(&self) -> Target {
        let yielding_bps = self.yields.and(self.limit.ceiling_bps).map_or(f64::INFINITY, |ceiling_bps| {
            (YIELDING_SHARE * ceiling_bps).max(f64::from(self.settings.floor_bps()))
        });
        let bitrate_bps = self.bitrate_bps.min(yielding_bps).round() as u32;
        Target {
            is_paused: self.pause.running.is_some(),
            ..Target::at(&self.settings, bitrate_bps, self.thinning)
        }
    }

    /// The connection is gone, or begins: what was read says nothing about the next one. A silence at its end measured
    /// nothing: what was concluded from it is taken back. Where the path's limit is known, less than that is made: the
    /// next connection has to carry what was left behind, too.
    pub fn disconnected(&mut self) {
        if let Some(heard) = self.heard.take().filter(|_| self.settings.when_slow == WhenSlow::KeepUp) {
            if self.bitrate_bps < heard.bitrate_bps {
                (self.bitrate_bps, self.limit) = (heard.bitrate_bps, heard.limit);
            }
            if let Some(ceiling_bps) = self.limit.ceiling_bps {
                let floor_bps = f64::from(self.settings.floor_bps());
                self.bitrate_bps = self.bitrate_bps.min((RETURN_SHARE * ceiling_bps).max(floor_bps));
                self.yields = Some(None);
            }
            self.thinning = self.target().thinning;
        }
        self.history.clear();
        self.read_at = None;
        self.yields = self.yields.map(|_| None);
        self.pause = Pause::default();
    }

    /// When the next reading is due.
    #[must_use]
    pub fn due_at(&self) -> Option<Duration> {
        self.read_at.map(|at| at + READ_EVERY)
    }

    /// Takes a reading; one that comes before it is due changes nothing.
    pub fn read(&mut self, now: Duration, reading: Reading) {
        let since = match self.read_at {
            Some(at) if now < at + READ_EVERY => return,
            // A machine that was held still for longer knows nothing of that time.
            Some(at) => now.saturating_sub(at).min(2 * READ_EVERY),
            None => {
                self.settled_at = now + FIRST_SETTLE;
                self.limit.climbs_at = self.limit.climbs_at.max(now + FIRST_WAIT);
                Duration::ZERO
            }
        };
        self.read_at = Some(now);
        self.history.take(now, reading);
        let is_late = self.audio_is_late(now);
        if self.pause_or_go_on(now, &reading) || self.yields_now(now, reading.audio_catches_up) {
            return;
        }
        if self.settings.when_slow == WhenSlow::KeepUp {
            match reading.live_lag {
                Some(lag) if lag > GROSS_LAG || self.lags(now) || is_late => self.back_off(now, lag),
                // Nothing is known while the lane waits for its start.
                Some(_) => self.climb(now, since, &reading),
                None if is_late => self.back_off(now, Duration::ZERO),
                None => {}
            }
        }
        self.thinning = self.target().thinning;
        let Reading { arrived_bytes, .. } = reading;
        if self.heard.is_none_or(|heard| arrived_bytes > heard.arrived_bytes) {
            self.heard = Some(Heard { arrived_bytes, bitrate_bps: self.bitrate_bps, limit: self.limit });
        }
    }

    /// Whether the picture makes way for the sound still. What it is not asked to make tells nothing about the path.
    fn yields_now(&mut self, now: Duration, audio_catches_up: bool) -> bool {
        let Some(since) = &mut self.yields else { return false };
        let since = *since.get_or_insert(now);
        let is_over = now >= since + LONGEST_YIELD || !audio_catches_up && now >= since + SHORTEST_YIELD;
        if is_over {
            self.yields = None;
            self.history.clear();
            self.settled_at = now + FIRST_SETTLE;
        }
        self.thinning = self.target().thinning;
        true
    }

    fn lags(&self, now: Duration) -> bool {
        let lag = |reading: &Reading| reading.live_lag.unwrap_or_default();
        self.history.standing(now, READ_EVERY, lag) > STANDING_LAG
    }

    fn audio_is_late(&self, now: Duration) -> bool {
        now >= self.pause.exonerated_until
            && self.history.standing(now, READ_EVERY, |reading| reading.audio_delay) > STANDING_AUDIO_DELAY
    }

    fn back_off(&mut self, now: Duration, lag: Duration) {
        let carried_bps = self.history.rate_bps(DELIVERY_SPAN, |reading| reading.arrived_bytes);
        let drain = (lag.as_secs_f64() / DRAIN.as_secs_f64()).min(DRAIN_SHARE);
        let fitting_bps = BACK_OFF * carried_bps * (1.0 - drain);
        let floor_bps = f64::from(self.settings.floor_bps());
        // Where as little is made already, what still waits is on its way.
        if now < self.settled_at || self.bitrate_bps <= fitting_bps.max(floor_bps) {
            return;
        }
        self.settled_at = now + SETTLE;
        let lower_bps = fitting_bps.max(STEP * self.bitrate_bps).max(floor_bps);
        let is_beyond = self.limit.ceiling_bps.is_some_and(|ceiling| self.bitrate_bps > ceiling);
        let wait = if is_beyond { (2 * self.limit.wait).min(LONGEST_WAIT) } else { FIRST_WAIT };
        self.limit = Limit { ceiling_bps: Some(carried_bps.max(lower_bps)), climbs_at: now + wait, wait };
        self.bitrate_bps = lower_bps;
    }

    fn climb(&mut self, now: Duration, since: Duration, reading: &Reading) {
        let full_bps = f64::from(self.settings.bitrate_bps);
        if now < self.settled_at || self.bitrate_bps >= full_bps || reading.live_lag > Some(STANDING_LAG) {
            return;
        }
        let carried_bps = self.history.rate_bps(DELIVERY_SPAN, |reading| reading.arrived_bytes);
        // What was left behind has the rest of the path until it is there.
        if reading.has_backlog && self.bitrate_bps > 0.8 * carried_bps {
            return;
        }
        let near = self.limit.ceiling_bps.map(|ceiling| (NEAR_FROM * ceiling, NEAR_TO * ceiling));
        let (slope_bps, limit_bps) = match near {
            // Back to what is known to fit.
            Some((from, _)) if self.bitrate_bps < from => (CLIMB * full_bps, from),
            Some((from, _)) if now < self.limit.climbs_at => (0.0, from.max(self.bitrate_bps)),
            Some((_, to)) if self.bitrate_bps < to => (CAREFUL_CLIMB * to / NEAR_TO, full_bps),
            Some(_) => {
                self.limit = Limit::UNKNOWN;
                (CLIMB * full_bps, full_bps)
            }
            None => (CLIMB * full_bps, full_bps),
        };
        // An encoder with little to do proves nothing about the path.
        let made_bps = self.history.rate_bps(GOP, |reading| reading.made_bytes);
        let slope_bps = if made_bps < 0.7 * self.bitrate_bps {
            slope_bps.min(CAREFUL_CLIMB * full_bps)
        } else {
            slope_bps
        };
        let higher_bps = self.bitrate_bps + slope_bps * since.as_secs_f64();
        self.bitrate_bps = higher_bps.min(limit_bps.max(self.bitrate_bps)).min(full_bps);
    }

    /// Whether the live picture pauses.
    fn pause_or_go_on(&mut self, now: Duration, reading: &Reading) -> bool {
        if let Some((until, audio_delay)) = self.pause.running {
            if now < until {
                return true;
            }
            self.pause.end(now, reading.audio_delay > audio_delay / 2);
            self.history.clear();
            self.settled_at = now + SETTLE;
            // Nothing is known of a path that was not used.
            self.limit = Limit::UNKNOWN;
            return false;
        }
        let is_lowest = self.settings.when_slow == WhenSlow::KeepQuality
            || self.bitrate_bps <= f64::from(self.settings.floor_bps());
        let audio_is_late = now >= self.pause.exonerated_until && reading.audio_delay > PAUSING_AUDIO_DELAY;
        // In `keep-quality` the live lane starts anew by itself, and again and again.
        let lags = self.settings.when_slow == WhenSlow::KeepUp
            && reading.live_lag.is_none_or(|lag| lag > PAUSING_LAG);
        self.pause.judge(now, is_lowest && (audio_is_late || lags), reading.audio_delay)
    }
}

impl Default for Pause {
    fn default() -> Self {
        Self {
            running: None,
            hopeless_since: None,
            length: FIRST_PAUSE,
            calm_since: None,
            exonerated_until: Duration::ZERO,
        }
    }
}

impl Pause {
    /// Begins a pause when it is hopeless for long enough; a moment of hope in between does not count, as each start of
    /// the live lane brings one. Whether a pause has begun.
    fn judge(&mut self, now: Duration, is_hopeless: bool, audio_delay: Duration) -> bool {
        if is_hopeless {
            self.calm_since = None;
            let since = *self.hopeless_since.get_or_insert(now);
            if now >= since + PAUSE_AFTER {
                self.running = Some((now + self.length, audio_delay));
                self.hopeless_since = None;
            }
            return self.running.is_some();
        }
        let calm_since = *self.calm_since.get_or_insert(now);
        if now >= calm_since + CALM_AFTER {
            self.hopeless_since = None;
        }
        // The last pause has helped.
        if now >= calm_since + 2 * PAUSE_AFTER {
            self.length = FIRST_PAUSE;
        }
        false
    }

    fn end(&mut self, now: Duration, is_still_late: bool) {
        let audio_was_late = self.running.take().is_some_and(|(_, delay)| delay > PAUSING_AUDIO_DELAY);
        if audio_was_late && is_still_late {
            self.exonerated_until = now + EXONERATED_FOR;
        }
        self.length = (self.length * 2).min(LONGEST_PAUSE);
        self.calm_since = None;
    }
}
