//! The picture's bit rate follows what the path carries: less of it, then fewer frames, then no live picture, and
//! nothing is taken from the sound.
//!
//! [`Controller`] is sans-IO: it is shown a [`Reading`] of the video track's connection a few times a second, and says
//! with a [`Target`] what the encoder should make. What it does in which order is one ladder with the bit rate as its
//! only coordinate ([`Target::at`]).
//!
//! # How it decides
//! The connection's window keeps queues on the path short whatever the encoder makes. Making too much therefore shows
//! *here*: the live lane has units that it could not write yet. As in SCReAM (RFC 8298, section 4.1.3) this lag is
//! the signal to make less, at once and in proportion to what arrives; making more comes slowly, in small steps. How
//! much the path carried when it was too much is remembered: near it the rate climbs more slowly still, and each climb
//! that fails makes the wait for the next one longer. The sound's delay counts as the picture's lag does.

mod controller;
mod history;
#[cfg(test)]
mod tests;

pub use controller::{Controller, READ_EVERY};

use std::time::Duration;

/// What gives way when the path carries less than the encoder makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenSlow {
    /// The full quality is recorded. What cannot go live is kept here and follows later; the live picture thins out.
    KeepQuality,
    /// The encoder makes less, so that what is live stays live. The recording has the picture as it was encoded.
    #[default]
    KeepUp,
}

impl WhenSlow {
    /// Both.
    pub const ALL: [Self; 2] = [Self::KeepQuality, Self::KeepUp];

    /// As it is written everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::KeepQuality => "keep-quality",
            Self::KeepUp => "keep-up",
        }
    }
}

/// What the encoder makes while nothing is in the way, and what to do when something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// What gives way.
    pub when_slow: WhenSlow,
    /// The picture's full bit rate, in bit/s.
    pub bitrate_bps: u32,
    /// Its full frame rate, in frames per second.
    pub fps: u32,
}

/// The full bit rate is lowered to this share of itself before frames are left out: below, each picture would be too
/// poor to be of use.
const FULL_FRAME_RATE_DOWN_TO: f64 = 0.25;
/// The lowest share of the full bit rate.
const FLOOR_SHARE: f64 = 0.05;
/// Below this a picture of any size is not worth its bits; a lower full bit rate is its own floor.
const FLOOR_BPS: u32 = 60_000;
/// Fewer frames in a second are no moving picture.
const SLOWEST_FPS: u32 = 5;

impl Settings {
    /// The bit rate that is never gone below, in bit/s.
    #[must_use]
    pub fn floor_bps(&self) -> u32 {
        let share = (f64::from(self.bitrate_bps) * FLOOR_SHARE) as u32;
        share.max(FLOOR_BPS).min(self.bitrate_bps)
    }
}

/// What the encoder should make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The picture's bit rate, in bit/s.
    pub bitrate_bps: u32,
    /// One frame of so many is encoded; 1 for all.
    pub thinning: u32,
    /// The picture does not go live: it is kept here, and follows when the path has room.
    pub is_paused: bool,
    /// The bit rate while nothing is in the way, in bit/s.
    pub full_bps: u32,
}

impl Target {
    /// Everything.
    #[must_use]
    pub const fn full(settings: &Settings) -> Self {
        let bitrate_bps = settings.bitrate_bps;
        Self { bitrate_bps, thinning: 1, is_paused: false, full_bps: bitrate_bps }
    }

    /// The ladder: down to a quarter of the full bit rate each frame gets less, from there on frames are left out, and
    /// each that remains keeps its share of bits. `before` is how many are left out now: it changes back only when
    /// there is some room, so that it does not change to and fro.
    #[must_use]
    pub fn at(settings: &Settings, bitrate_bps: u32, before: u32) -> Self {
        /// How much more than it needs a frame rate must have before it is gone up to.
        const ROOM: f64 = 1.15;
        let bitrate_bps = bitrate_bps.clamp(settings.floor_bps(), settings.bitrate_bps);
        let needed = f64::from(settings.bitrate_bps) * FULL_FRAME_RATE_DOWN_TO / f64::from(bitrate_bps);
        let most = (settings.fps / SLOWEST_FPS).max(1);
        let thinning = (needed.ceil() as u32).clamp(1, most);
        let with_room = ((needed * ROOM).ceil() as u32).clamp(1, most);
        let thinning = if thinning < before { with_room.min(before) } else { thinning };
        Self { bitrate_bps, thinning, is_paused: false, full_bps: settings.bitrate_bps }
    }

    /// Whether the encoder makes less than it could.
    #[must_use]
    pub const fn is_lowered(&self) -> bool {
        self.bitrate_bps < self.full_bps || self.thinning > 1
    }
}

/// How the video track's connection stands at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reading {
    /// Bytes that the server has read on this connection, as far as pongs tell.
    pub arrived_bytes: u64,
    /// Bytes that the encoder has made since the session's start.
    pub made_bytes: u64,
    /// How far the oldest unit that waits to go live is behind the newest one. None while the live lane waits for a
    /// picture to start at.
    pub live_lag: Option<Duration>,
    /// Whether units wait that were left behind.
    pub has_backlog: bool,
    /// The time that the sound's messages spend in queues.
    pub audio_delay: Duration,
    /// Whether units of the sound that were left behind are being sent.
    pub audio_catches_up: bool,
}
