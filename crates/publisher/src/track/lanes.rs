//! Which unit is written next, and in which lane: the newest first, and what is left behind in the room that remains.

use std::time::Duration;

use protocol::UnitRanges;
use protocol::unit::Lane;

use crate::spool::{Entry, Spool};

/// The live lane starts at a key unit that is no older than this: a viewer sees now.
const FRESH: Duration = Duration::from_millis(500);

/// A key unit is asked for at most this often.
const REQUEST_INTERVAL: Duration = Duration::from_millis(500);

/// A connection's two lanes.
///
/// The live lane carries units in ascending order from a key unit on. When the network carries less than the
/// encoder makes, it falls behind; beyond a limit it is given up and starts anew at a fresh key unit. The backfill
/// lane carries everything else that the server does not have, oldest first and so GOP by GOP. Each unit is written at
/// most once on a connection.
#[derive(Debug)]
pub(super) struct Lanes {
    live: Live,
    /// All units below were written on this connection, or need not be.
    backfill_from: u64,
    written: UnitRanges,
    requested_at: Option<Duration>,
    /// Nothing is written but the sound, on its own connection.
    is_paused: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Live {
    /// No key unit is fresh enough to start at.
    Waiting,
    /// All units from `next` on are live.
    From { next: u64 },
}

/// What the spool's newest unit means for the lanes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Newest {
    /// Its end.
    pub(super) end_90k: u64,
    /// No unit comes after it.
    pub(super) is_last: bool,
}

impl Newest {
    /// How far a unit is behind.
    fn lag(self, pts_90k: u64) -> Duration {
        Duration::from_micros(self.end_90k.saturating_sub(pts_90k).saturating_mul(100) / 9)
    }
}

impl Lanes {
    /// After an interruption of less than `longest` the live lane goes on where it was. After a longer one what was
    /// left behind waits, so that viewers see the present at once.
    pub(super) fn at_welcome(spool: &dyn Spool, newest: Newest, longest: Duration) -> Self {
        let goes_on = spool.entry_from(0).is_none_or(|oldest| newest.lag(oldest.pts_90k) <= longest);
        let live = if goes_on { Live::From { next: 0 } } else { Live::Waiting };
        Self { live, backfill_from: 0, written: UnitRanges::new(), requested_at: None, is_paused: false }
    }

    /// Stops the live lane, or lets it start anew at a fresh key unit.
    pub(super) fn pause(&mut self, is_paused: bool) {
        self.is_paused = is_paused;
        if let Live::From { next } = self.live
            && is_paused
        {
            self.backfill_from = self.backfill_from.min(next);
            self.live = Live::Waiting;
        }
    }

    /// Whether nothing is to be written: what the path carries is the sound's.
    pub(super) const fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// How far the live lane is behind; none while it waits for its start.
    pub(super) fn live_lag(&self, spool: &dyn Spool, newest: Newest) -> Option<Duration> {
        match self.live {
            Live::From { next } => {
                Some(spool.entry_from(next).map_or(Duration::ZERO, |unit| newest.lag(unit.pts_90k)))
            }
            Live::Waiting => None,
        }
    }

    /// The next unit of the live lane. `longest` is how far the lane may fall behind.
    pub(super) fn next_live(
        &mut self,
        spool: &dyn Spool,
        newest: Newest,
        longest: Duration,
    ) -> Option<Entry> {
        if let Live::From { next } = self.live {
            let unit = spool.entry_from(next)?;
            if newest.is_last || newest.lag(unit.pts_90k) <= longest {
                return Some(unit);
            }
            self.backfill_from = self.backfill_from.min(next);
            self.live = Live::Waiting;
        }
        // Nobody watches a track that has ended.
        if newest.is_last || self.is_paused {
            return None;
        }
        let fresh_90k = newest.end_90k.saturating_sub(FRESH.as_millis() as u64 * 90);
        // With nothing left behind the lane goes on where it is, else at a key unit.
        let start = match self.next_backfill(spool) {
            Some(oldest) if oldest.pts_90k >= fresh_90k => oldest,
            _ => self.unwritten_key(spool, fresh_90k)?,
        };
        self.live = Live::From { next: start.number };
        Some(start)
    }

    /// A key unit of this time or later. One that is written was given up together with the lane that it was in.
    fn unwritten_key(&self, spool: &dyn Spool, from_90k: u64) -> Option<Entry> {
        let mut key = spool.key_from_pts(from_90k)?;
        while self.written.contains(key.number) {
            key = spool.key_from(key.number + 1)?;
        }
        Some(key)
    }

    /// The oldest unit that is not the live lane's.
    pub(super) fn next_backfill(&mut self, spool: &dyn Spool) -> Option<Entry> {
        loop {
            let unit = spool.entry_from(self.backfill_from)?;
            if let Live::From { next } = self.live
                && unit.number >= next
            {
                return None;
            }
            if !self.written.contains(unit.number) {
                return Some(unit);
            }
            self.backfill_from = self.written.first_missing_from(unit.number);
        }
    }

    /// A unit is written in that lane.
    pub(super) fn wrote(&mut self, lane: Lane, number: u64) {
        self.written.insert(number);
        match lane {
            Lane::Live => self.live = Live::From { next: number + 1 },
            Lane::Backfill => self.backfill_from = number + 1,
        }
    }

    /// Whether a fresh key unit is needed now, and was not asked for just before.
    pub(super) fn wants_key(&mut self, now: Duration, newest: Newest) -> bool {
        let waits = self.live == Live::Waiting && !newest.is_last && !self.is_paused;
        let asks = waits && self.requested_at.is_none_or(|at| now >= at + REQUEST_INTERVAL);
        if asks {
            self.requested_at = Some(now);
        }
        asks
    }

    /// Whether units wait that were not written on this connection.
    pub(super) fn has_more(&mut self, spool: &dyn Spool) -> bool {
        let live_waits = match self.live {
            Live::From { next } => spool.entry_from(next).is_some(),
            Live::Waiting => false,
        };
        live_waits || self.next_backfill(spool).is_some()
    }
}
