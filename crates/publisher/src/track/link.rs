//! What a track's state machine knows about its present connection; gone with it.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use protocol::UnitRanges;
use protocol::control::{Finish, Limits};
use protocol::unit::Unit;

use super::Pace;
use super::lanes::Lanes;
use super::window::Window;
use crate::latency::Latency;

/// An open connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) heard_at: Duration,
    ping_at: Duration,
    ping_interval: Duration,
    pub(super) ping_due: bool,
    pub(super) stage: Stage,
}

/// How far the connection has come.
#[derive(Debug)]
pub(super) enum Stage {
    /// No `welcome` yet.
    /// `params_told` is how many codec parameters the hello held; none before it is written.
    Greeting { params_told: Option<usize>, deadline: Duration },
    /// Units may flow.
    Welcomed(Box<Welcomed>),
}

impl Link {
    pub(super) fn new(now: Duration, pace: &Pace, deadline: Duration) -> Self {
        Self {
            heard_at: now,
            ping_at: now + pace.ping_interval,
            ping_interval: pace.ping_interval,
            ping_due: false,
            stage: Stage::Greeting { params_told: None, deadline },
        }
    }

    pub(super) fn welcome(&mut self, now: Duration, welcomed: Welcomed) {
        // Three pings within the server's idle time survive the loss of one and the lateness of another.
        let idle = Duration::from_millis(u64::from(welcomed.limits.idle_ms)) / 3;
        self.ping_interval = self.ping_interval.min(idle.max(Duration::from_millis(100)));
        self.ping_at = self.ping_at.min(now + self.ping_interval);
        self.stage = Stage::Welcomed(Box::new(welcomed));
    }

    /// Makes a ping due when its time has come.
    pub(super) fn tick(&mut self, now: Duration) {
        if now >= self.ping_at {
            self.ping_due = true;
            self.ping_at = now + self.ping_interval;
        }
    }

    /// When the connection is given up, if nothing is heard until then. After connections that fell silent before
    /// anything was acknowledged it may take longer: on a path that takes seconds for one picture, its pong comes behind
    /// that, and a publisher that always gave up before would never get it through.
    pub(super) fn dead_at(&self, pace: &Pace, silences: u32) -> Duration {
        match &self.stage {
            Stage::Greeting { deadline, .. } => *deadline,
            Stage::Welcomed(welcomed) => {
                let slow = welcomed.window.round_trip() * 4;
                let least = pace.dead_after * 2_u32.pow(silences.min(2));
                self.heard_at + slow.clamp(least, pace.dead_after * 4)
            }
        }
    }

    pub(super) fn next_timeout(&self, pace: &Pace, silences: u32) -> Duration {
        self.ping_at.min(self.dead_at(pace, silences))
    }
}

/// A connection after `welcome`.
#[derive(Debug)]
pub(super) struct Welcomed {
    pub(super) limits: Limits,
    pub(super) lanes: Lanes,
    pub(super) window: Window,
    pub(super) in_flight: InFlight,
    pub(super) params_written: usize,
    pub(super) events_written: usize,
    pub(super) finish_written: Option<Finish>,
    /// The rest of a message that goes in pieces.
    pub(super) unfinished: Bytes,
}

/// Units written on this connection and not acknowledged, in the order of their writing.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    units: VecDeque<Written>,
    bytes: u64,
}

#[derive(Debug)]
struct Written {
    number: u64,
    bytes: u64,
    at: Duration,
}

impl InFlight {
    pub(super) fn add(&mut self, now: Duration, unit: &Unit) {
        let bytes = unit.encoded_bytes() as u64;
        self.units.push_back(Written { number: unit.number, bytes, at: now });
        self.bytes += bytes;
    }

    pub(super) fn acknowledge(&mut self, now: Duration, durable: &UnitRanges, latency: &mut Latency) {
        let bytes = &mut self.bytes;
        self.units.retain(|unit| {
            let waits = !durable.contains(unit.number);
            if !waits {
                *bytes -= unit.bytes;
                latency.record(now.saturating_sub(unit.at));
            }
            waits
        });
    }

    /// Whether as many more bytes stay within the window. One message always does.
    pub(super) fn has_room(&self, more_bytes: usize, window_bytes: u64) -> bool {
        self.units.is_empty() || self.bytes + more_bytes as u64 <= window_bytes
    }

    pub(super) fn units(&self) -> u64 {
        self.units.len() as u64
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }
}
