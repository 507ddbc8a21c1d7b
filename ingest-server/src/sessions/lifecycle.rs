//! A session's status from what is the case. Pure.

use std::time::Duration;

use protocol::api::SessionStatus;

/// What is the case in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Whether any track has a connection.
    pub is_connected: bool,
    /// Whether there is a track, and every track that said hello is complete.
    pub is_complete: bool,
    /// Whether somebody has ended it who moderates its room.
    pub is_ended: bool,
}

/// Where a session is in its life.
///
/// Invariant: the status follows from the last facts and from how long nobody has been connected.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    abandon_after: Duration,
    /// Since when nobody is connected.
    away_since: Option<Duration>,
    status: SessionStatus,
}

impl Lifecycle {
    /// A session that was found in this status; a new one is active.
    #[must_use]
    pub const fn new(now: Duration, abandon_after: Duration, status: SessionStatus) -> Self {
        Self { abandon_after, away_since: Some(now), status }
    }

    /// Takes in what is the case now and says the new status if it changed.
    ///
    /// A complete session stays completed while connections linger. An abandoned one that is connected again is
    /// active again.
    pub fn observe(&mut self, now: Duration, facts: Facts) -> Option<SessionStatus> {
        if facts.is_connected {
            self.away_since = None;
        } else if self.away_since.is_none() {
            self.away_since = Some(now);
        }
        let status = match (facts, self.away_since) {
            (Facts { is_complete: true, .. }, _) => SessionStatus::Completed,
            (Facts { is_ended: true, .. }, _) => SessionStatus::Abandoned,
            (_, None) => SessionStatus::Active,
            (_, Some(since)) if now >= since + self.abandon_after => SessionStatus::Abandoned,
            (_, Some(_)) => SessionStatus::Interrupted,
        };
        let changed = (status != self.status).then_some(status);
        self.status = status;
        changed
    }

    /// The status as of the last facts.
    #[must_use]
    pub const fn status(&self) -> SessionStatus {
        self.status
    }
}

#[cfg(test)]
mod tests {
    use SessionStatus::{Abandoned, Active, Completed, Interrupted};

    use super::*;

    #[test]
    fn a_session_goes_through_its_life() {
        let at = Duration::from_secs;
        let facts = |is_connected, is_complete| Facts { is_connected, is_complete, is_ended: false };
        let mut life = Lifecycle::new(at(0), at(300), Active);
        for (second, facts, changed, status) in [
            (0, facts(true, false), None, Active),
            (9, facts(true, false), None, Active),
            (10, facts(false, false), Some(Interrupted), Interrupted),
            (309, facts(false, false), None, Interrupted),
            (310, facts(false, false), Some(Abandoned), Abandoned),
            (900, facts(false, false), None, Abandoned),
            (901, facts(true, false), Some(Active), Active),
            (902, facts(true, true), Some(Completed), Completed),
            (903, facts(false, true), None, Completed),
            (9_999, facts(false, true), None, Completed),
            (10_000, facts(true, false), Some(Active), Active),
            (10_001, Facts { is_ended: true, ..facts(true, false) }, Some(Abandoned), Abandoned),
            (10_002, Facts { is_ended: true, ..facts(false, true) }, Some(Completed), Completed),
        ] {
            assert_eq!(life.observe(at(second), facts), changed, "at {second} s");
            assert_eq!(life.status(), status, "at {second} s");
        }
    }
}
