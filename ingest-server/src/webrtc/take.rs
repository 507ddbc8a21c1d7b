//! Which session a WebRTC publisher's media goes to: a new one, or one that it has begun before.

use std::time::Duration;

use protocol::control::Finish;
use protocol::digest::UnitDigests;
use protocol::{Hex, ResumeKey, SessionId, Track, UnitRange, UnitRanges};
use signing::SigningKey;

use crate::clock::Clock;
use crate::sessions::Earlier;

/// A session that a publisher has named, with what is there of it already. Such a publisher may come back.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(crate) session: SessionId,
    pub(crate) resume_key: ResumeKey,
    /// What is there; none of a session that begins.
    pub(crate) earlier: Option<Earlier>,
}

/// What all of a session's tracks have in common.
pub(super) struct Take {
    pub(super) session: SessionId,
    pub(super) resume_key: ResumeKey,
    pub(super) started_unix_ms: u64,
    /// Whether the publisher may come back with it.
    pub(super) may_be_resumed: bool,
    /// The tracks that were there before.
    pub(super) earlier_tracks: Vec<Track>,
    /// When this publisher came, on the server's clock, and how long the session had lasted by then.
    came: Duration,
    lasted: Duration,
}

impl Take {
    /// The session of this claim, or a new one of which nobody else knows the key.
    pub(super) fn new(claim: Option<Claim>, clock: Clock) -> Self {
        let (now, unix_ms) = (clock.now(), clock.unix_ms());
        let random = || *uuid::Uuid::new_v4().as_bytes();
        let may_be_resumed = claim.is_some();
        let claim = claim.unwrap_or_else(|| {
            let mut ten = [0; 10];
            ten.copy_from_slice(&random()[..10]);
            let session = SessionId::v7(unix_ms, ten);
            Claim { session, resume_key: ResumeKey::from_bytes(random()), earlier: None }
        });
        let Claim { session, resume_key, earlier } = claim;
        let begins = Earlier { started_unix_ms: unix_ms, end_90k: 0, tracks: Vec::new() };
        let Earlier { started_unix_ms, end_90k, tracks } = earlier.unwrap_or(begins);
        // A wall clock that was set back must not bring what comes before what is there.
        let by_wall_clock = Duration::from_millis(unix_ms.saturating_sub(started_unix_ms));
        let lasted = by_wall_clock.max(Duration::from_micros(end_90k.saturating_mul(100) / 9));
        Self {
            session,
            resume_key,
            started_unix_ms,
            may_be_resumed,
            earlier_tracks: tracks,
            came: now,
            lasted,
        }
    }

    /// How long the session has lasted.
    pub(super) fn elapsed(&self, now: Duration) -> Duration {
        self.lasted + now.saturating_sub(self.came)
    }

    /// The end of a track of which no device has digests. The server signs it in the device's place, with its own key.
    pub(super) fn unwitnessed_finish(&self, key: &SigningKey, track: Track, units: u64) -> Finish {
        let mut unwitnessed = UnitRanges::new();
        if let Some(last) = units.checked_sub(1) {
            unwitnessed.insert_range(UnitRange::new(0, last));
        }
        let digest = UnitDigests::new().track_digest(track, units, &unwitnessed).unwrap_or(Hex([0; 32]));
        let finish = Finish {
            units,
            lost: UnitRanges::new(),
            unwitnessed,
            digest,
            device_key: key.public(),
            signature: Hex([0; 64]),
        };
        let statement = finish.statement(self.session, track, self.started_unix_ms).to_json();
        Finish { signature: key.sign(&statement), ..finish }
    }
}
