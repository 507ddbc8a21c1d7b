//! Whether the units of a track are those of its publisher's digest. Beside the group commits, which must not wait.

use protocol::certificate::excluded;
use protocol::control::Finish;
use protocol::error::{ErrorBody, ErrorCode};
use protocol::{SessionId, Track};
use tokio::sync::Semaphore;

use super::unavailable;
use crate::database::{Change, Database, DatabaseError};
use crate::log;

/// Proofs at the same time; each holds 16 bytes for every unit of its track.
pub(super) const PROOFS: usize = 2;

/// Compares the digests and makes durable that they agree.
///
/// # Errors
/// [`ErrorCode::DigestMismatch`], or [`ErrorCode::StorageUnavailable`] when the database does not answer.
pub(super) async fn prove(
    database: &dyn Database,
    slots: &Semaphore,
    id: SessionId,
    track: Track,
    finish: &Finish,
) -> Result<(), ErrorBody> {
    // A closed semaphore would only mean that nobody waits any more.
    let _slot = slots.acquire().await.ok();
    let failed = |error: DatabaseError| {
        log::storage_fails(&error.to_string());
        unavailable()
    };
    let digests = database.digests(id, track).await.map_err(failed)?;
    let excluded = excluded(&finish.lost, &finish.unwitnessed);
    let digest = digests.track_digest(track, finish.units, &excluded);
    if digest != Some(finish.digest) {
        log::digest_mismatch(id, track, finish, digest);
        let message = "what the server holds is not what this device made, by their digests; the session is kept as it is, \
                       and not certified";
        return Err(ErrorBody::new(ErrorCode::DigestMismatch, message));
    }
    database.commit(&[Change::Proven(id, track, finish.clone())]).await.map_err(failed)
}
