//! What the start makes of what a crash left behind. Nothing is repaired: what was acknowledged is there, and what
//! is behind it was never promised.

use std::collections::{HashMap, HashSet};

use protocol::api::SessionStatus;
use protocol::{SessionId, Track, UnitRange, UnitRanges};
use signing::SigningKey;

use crate::certificate::issue;
use crate::database::{Change, Database, DatabaseError, PartRow, StoredSession};
use crate::log;
use crate::store::{SegmentKey, Store, StoreError, StoredSegment};

/// Why the server cannot start on what it found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// The rows cannot be read or written.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The files cannot be listed or cut.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is to be done about one session's files and rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Segments with bytes behind their last row, and where that ends.
    pub cut: Vec<(SegmentKey, u64)>,
    /// How many bytes these are.
    pub cut_bytes: u64,
    /// Segments without rows.
    pub remove: Vec<SegmentKey>,
    /// Rows whose bytes are missing.
    pub lost: Vec<PartRow>,
}

/// Compares a session's rows with its files. Pure.
#[must_use]
pub fn compare(rows: &[PartRow], files: &[StoredSegment]) -> Findings {
    let lengths: HashMap<SegmentKey, u64> = files.iter().map(|file| (file.key, file.bytes)).collect();
    let mut ends: HashMap<SegmentKey, u64> = HashMap::new();
    let mut findings = Findings::default();
    for row in rows {
        if row.end_bytes() > lengths.get(&row.segment).copied().unwrap_or(0) {
            findings.lost.push(*row);
        } else {
            let end = ends.entry(row.segment).or_insert(0);
            *end = row.end_bytes().max(*end);
        }
    }
    let lossy: HashSet<SegmentKey> = findings.lost.iter().map(|row| row.segment).collect();
    for file in files {
        match ends.get(&file.key) {
            // A damaged file is left as it is, for whoever tries to save more from it.
            _ if lossy.contains(&file.key) => {}
            None => {
                findings.remove.push(file.key);
                findings.cut_bytes += file.bytes;
            }
            Some(&end) if end < file.bytes => {
                findings.cut.push((file.key, end));
                findings.cut_bytes += file.bytes - end;
            }
            Some(_) => {}
        }
    }
    findings
}

/// Brings files and rows of unfinished sessions into agreement and marks them as interrupted, or as completed when
/// nothing is missing of them: then with a certificate. Yields those that a publisher may come back to.
///
/// # Errors
/// [`RecoveryError`]; then the server must not start, since it could write over what it does not understand.
pub async fn recover(
    database: &dyn Database,
    store: &dyn Store,
    key: &SigningKey,
) -> Result<Vec<StoredSession>, RecoveryError> {
    remove_unknown(database, store).await?;
    let mut interrupted = Vec::new();
    for id in database.unfinished().await? {
        if let Some(session) = recover_session(database, store, key, id).await?
            && session.status == SessionStatus::Interrupted
        {
            interrupted.push(session);
        }
    }
    Ok(interrupted)
}

/// Removes folders of sessions that have no row: a deletion that was interrupted.
async fn remove_unknown(database: &dyn Database, store: &dyn Store) -> Result<(), RecoveryError> {
    let known: HashSet<SessionId> = database.ids().await?.into_iter().collect();
    for id in store.sessions().await?.into_iter().filter(|id| !known.contains(id)) {
        // Only what the database knows as deleted: a folder that somebody put there is not the server's to remove.
        if database.is_deleted(id).await? {
            store.delete(id).await?;
        }
    }
    Ok(())
}

async fn recover_session(
    database: &dyn Database,
    store: &dyn Store,
    key: &SigningKey,
    id: SessionId,
) -> Result<Option<StoredSession>, RecoveryError> {
    let findings = compare(&database.parts(id).await?, &store.segments(id).await?);
    for &(key, end) in &findings.cut {
        store.cut(key, end).await?;
    }
    for &key in &findings.remove {
        store.cut(key, 0).await?;
    }
    for track in Track::ALL {
        let lost = findings.lost.iter().filter(|row| row.segment.track == track);
        let (mut units, mut parts) = (UnitRanges::new(), 0);
        for row in lost {
            units.insert_range(UnitRange::new(row.first_unit, row.next_unit().max(1) - 1));
            parts += 1;
        }
        if parts > 0 {
            log::lost(id, track, &units, parts);
        }
    }
    let lost_parts = findings.lost.len() as u64;
    if lost_parts > 0 {
        database.commit(&[Change::Forget(findings.lost)]).await?;
    }
    let Some(mut session) = database.session(id).await? else { return Ok(None) };
    let is_complete =
        !session.tracks.is_empty() && session.tracks.iter().all(|(_, stored)| stored.is_complete());
    session.status = if is_complete { SessionStatus::Completed } else { SessionStatus::Interrupted };
    let change = Change::Status {
        id,
        status: session.status,
        last_activity_unix_ms: session.last_activity_unix_ms,
        tracks: session.tracks.clone(),
        certificate: issue(key, &session.info, &session.tracks, session.last_activity_unix_ms),
    };
    database.commit(&[change]).await?;
    log::recovered(&session, findings.cut_bytes, findings.remove.len() as u64, lost_parts);
    Ok(Some(session))
}
