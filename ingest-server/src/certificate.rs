//! What the server states of a session that is complete. Pure.

use protocol::Track;
use protocol::certificate::{STATEMENT_VERSION, Signed, Statement, TrackStatement};
use signing::SigningKey;

use crate::database::SessionInfo;
use crate::ingest::StoredTrack;

/// The certificate of a session with these tracks; `None` while one of them is not complete.
///
/// `ended_unix_ms` is when it was complete, by the server's clock.
#[must_use]
pub fn issue(
    key: &SigningKey,
    info: &SessionInfo,
    tracks: &[(Track, StoredTrack)],
    ended_unix_ms: u64,
) -> Option<Signed> {
    if tracks.is_empty() {
        return None;
    }
    let tracks = tracks.iter().map(|(track, stored)| track_statement(info, *track, stored));
    let statement = Statement {
        version: STATEMENT_VERSION,
        session: info.id,
        room: info.room.clone(),
        device: info.device.clone(),
        started_unix_ms: info.started_unix_ms,
        ended_unix_ms,
        tracks: tracks.collect::<Option<_>>()?,
    };
    let statement = statement.to_json();
    Some(Signed { key: key.public(), signature: key.sign(&statement), statement })
}

fn track_statement(info: &SessionInfo, track: Track, stored: &StoredTrack) -> Option<TrackStatement> {
    let finish = stored.finish.as_ref().filter(|_| stored.is_complete())?;
    Some(TrackStatement {
        track,
        params: stored.params.clone(),
        units: finish.units,
        durable_units: stored.durable.count(),
        gaps: stored.durable.gaps_below(finish.units),
        lost: finish.lost.clone(),
        unwitnessed: finish.unwitnessed.clone(),
        digest: finish.digest,
        start_90k: stored.start_90k,
        end_90k: stored.end_90k,
        events: stored.events.clone(),
        device: Signed {
            statement: finish.statement(info.id, track, info.started_unix_ms).to_json(),
            key: finish.device_key,
            signature: finish.signature,
        },
    })
}
