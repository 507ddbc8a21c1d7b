//! Changes as statements. SQLite's integers are signed: numbers above 2⁶³ come back as they went in, by their bits.

use protocol::certificate::Signed;
use protocol::codec::Params;
use protocol::digest::UnitDigest;
use protocol::{SessionId, Track};
use serde::Serialize;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::rooms;
use crate::database::{Change, DatabaseError, PartRow, SegmentRow, SessionInfo};
use crate::ingest::StoredTrack;

pub(super) async fn apply(db: &mut SqliteConnection, changes: &[Change]) -> Result<(), DatabaseError> {
    let mut at = 0;
    while let Some(change) = changes.get(at) {
        at += 1;
        match change {
            Change::Opened { info, track, params, reopens, unix_ms } => {
                opened(db, info, *track, *reopens, *unix_ms).await?;
                for params in params {
                    put_params(db, info.id, *track, params).await?;
                }
            }
            Change::Params(id, track, params) => put_params(db, *id, *track, params).await?,
            Change::Event(id, track, event) => {
                sqlx::query(
                    "INSERT INTO event (session_id, track, number, event) VALUES (?, ?, ?, ?)
                     ON CONFLICT DO UPDATE SET event = excluded.event",
                )
                .bind(&id.as_bytes()[..])
                .bind(track.name())
                .bind(event.number)
                .bind(json(event)?)
                .execute(&mut *db)
                .await?;
            }
            Change::Finish(id, track, finish) => {
                sqlx::query("UPDATE track SET finish = ?, is_proven = 0 WHERE session_id = ? AND track = ?")
                    .bind(json(finish)?)
                    .bind(&id.as_bytes()[..])
                    .bind(track.name())
                    .execute(&mut *db)
                    .await?;
                put_certificate(db, *id, None).await?;
            }
            Change::Proven(id, track, finish) => {
                let sql = "UPDATE track SET is_proven = 1 WHERE session_id = ? AND track = ? AND finish = ?";
                sqlx::query(sql)
                    .bind(&id.as_bytes()[..])
                    .bind(track.name())
                    .bind(json(finish)?)
                    .execute(&mut *db)
                    .await?;
            }
            Change::Segment(segment) => put_segment(db, segment).await?,
            Change::Part { row, digests } => {
                // Parts in a row share one statement.
                let mut rows = vec![(row, digests)];
                while let Some(Change::Part { row, digests }) = changes.get(at) {
                    rows.push((row, digests));
                    at += 1;
                }
                for rows in rows.chunks(PARTS_PER_STATEMENT) {
                    put_parts(db, rows).await?;
                }
            }
            Change::Status { id, status, last_activity_unix_ms, tracks, certificate } => {
                let updated =
                    sqlx::query("UPDATE session SET status = ?, last_activity_unix_ms = ? WHERE id = ?")
                        .bind(status.name())
                        .bind(*last_activity_unix_ms as i64)
                        .bind(&id.as_bytes()[..])
                        .execute(&mut *db)
                        .await?;
                // A session that was deleted meanwhile has no certificate either.
                if updated.rows_affected() > 0 {
                    put_certificate(db, *id, certificate.as_ref()).await?;
                }
                for (track, stored) in tracks {
                    put_totals(db, *id, *track, stored).await?;
                }
            }
            Change::Forget(rows) => forget(db, rows).await?,
            Change::Ended(id, unix_ms) => rooms::put_ended(db, *id, *unix_ms).await?,
            Change::KeepRoom(name, unix_ms) => rooms::keep_room(db, name, *unix_ms).await?,
            Change::ForgetRoom(name) => rooms::forget_room(db, name).await?,
            Change::Ban(ban) => rooms::put_ban(db, ban).await?,
            Change::LiftBan(room, viewer) => rooms::lift_ban(db, room, viewer).await?,
            Change::BanToken(ban) => rooms::ban_token(db, ban).await?,
            Change::LiftTokenBan(token, room) => rooms::lift_token_ban(db, *token, room.as_ref()).await?,
            Change::Audit(entry) => rooms::put(db, entry).await?,
        }
    }
    Ok(())
}

/// Bounds a statement's text and its bound values; SQLite takes 32,766 of these.
const PARTS_PER_STATEMENT: usize = 100;

async fn opened(
    db: &mut SqliteConnection,
    info: &SessionInfo,
    track: Track,
    reopens: bool,
    unix_ms: u64,
) -> Result<(), DatabaseError> {
    sqlx::query(
        "INSERT INTO session (id, room, resume_key_sha256, device_name, device_platform, device_app,
                              started_unix_ms, last_activity_unix_ms, status)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'active')
         ON CONFLICT DO UPDATE SET status = CASE WHEN ? THEN 'active' ELSE status END,
                                   last_activity_unix_ms = excluded.last_activity_unix_ms",
    )
    .bind(&info.id.as_bytes()[..])
    .bind(info.room.as_str())
    .bind(&info.resume_key_sha256[..])
    .bind(&info.device.name)
    .bind(&info.device.platform)
    .bind(&info.device.app)
    .bind(info.started_unix_ms as i64)
    .bind(unix_ms as i64)
    .bind(reopens)
    .execute(&mut *db)
    .await?;
    if reopens {
        put_certificate(db, info.id, None).await?;
    }
    sqlx::query("INSERT INTO track (session_id, track) VALUES (?, ?) ON CONFLICT DO NOTHING")
        .bind(&info.id.as_bytes()[..])
        .bind(track.name())
        .execute(&mut *db)
        .await?;
    Ok(())
}

async fn put_params(
    db: &mut SqliteConnection,
    id: SessionId,
    track: Track,
    params: &Params,
) -> Result<(), DatabaseError> {
    sqlx::query(
        "INSERT INTO params (session_id, track, from_unit, parameters) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET parameters = excluded.parameters",
    )
    .bind(&id.as_bytes()[..])
    .bind(track.name())
    .bind(params.from_unit as i64)
    .bind(json(&params.parameters)?)
    .execute(&mut *db)
    .await?;
    Ok(())
}

async fn put_segment(db: &mut SqliteConnection, segment: &SegmentRow) -> Result<(), DatabaseError> {
    sqlx::query(
        "INSERT INTO segment (session_id, track, first_unit, init_bytes, parameters) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET init_bytes = excluded.init_bytes, parameters = excluded.parameters",
    )
    .bind(&segment.key.session.as_bytes()[..])
    .bind(segment.key.track.name())
    .bind(segment.key.first_unit as i64)
    .bind(segment.init_bytes as i64)
    .bind(json(&segment.parameters)?)
    .execute(&mut *db)
    .await?;
    Ok(())
}

async fn put_parts(
    db: &mut SqliteConnection,
    rows: &[(&PartRow, &Vec<UnitDigest>)],
) -> Result<(), DatabaseError> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "INSERT OR REPLACE INTO part (session_id, track, first_unit, unit_count, segment_first_unit, offset_bytes,
         length_bytes, payload_bytes, pts_90k, duration_90k, key, crc32, capture_us, stored_unix_ms, digests) ",
    );
    query.push_values(rows, |mut values, (row, digests)| {
        values
            .push_bind(row.segment.session.as_bytes().to_vec())
            .push_bind(row.segment.track.name())
            .push_bind(row.first_unit as i64)
            .push_bind(row.unit_count)
            .push_bind(row.segment.first_unit as i64)
            .push_bind(row.offset_bytes as i64)
            .push_bind(row.length_bytes as i64)
            .push_bind(row.payload_bytes as i64)
            .push_bind(row.pts_90k as i64)
            .push_bind(row.duration_90k as i64)
            .push_bind(row.key)
            .push_bind(row.crc32)
            .push_bind(row.capture_us as i64)
            .push_bind(row.stored_unix_ms as i64)
            .push_bind(digests.iter().flat_map(|digest| digest.0).collect::<Vec<u8>>());
    });
    query.build().execute(&mut *db).await?;
    Ok(())
}

async fn put_totals(
    db: &mut SqliteConnection,
    id: SessionId,
    track: Track,
    stored: &StoredTrack,
) -> Result<(), DatabaseError> {
    sqlx::query(
        "UPDATE track SET durable = ?, durable_bytes = ?, start_90k = ?, end_90k = ?
         WHERE session_id = ? AND track = ?",
    )
    .bind(json(&stored.durable)?)
    .bind(stored.durable_bytes as i64)
    .bind(stored.start_90k.map(|pts| pts as i64))
    .bind(stored.end_90k.map(|pts| pts as i64))
    .bind(&id.as_bytes()[..])
    .bind(track.name())
    .execute(&mut *db)
    .await?;
    Ok(())
}

/// Replaces a session's certificate, or removes it.
async fn put_certificate(
    db: &mut SqliteConnection,
    id: SessionId,
    certificate: Option<&Signed>,
) -> Result<(), DatabaseError> {
    let Some(Signed { statement, key, signature }) = certificate else {
        let sql = "DELETE FROM certificate WHERE session_id = ?";
        sqlx::query(sql).bind(&id.as_bytes()[..]).execute(&mut *db).await?;
        return Ok(());
    };
    sqlx::query(
        "INSERT OR REPLACE INTO certificate (session_id, statement, key, signature) VALUES (?, ?, ?, ?)",
    )
    .bind(&id.as_bytes()[..])
    .bind(statement)
    .bind(key.to_string())
    .bind(signature.to_string())
    .execute(&mut *db)
    .await?;
    Ok(())
}

async fn forget(db: &mut SqliteConnection, rows: &[PartRow]) -> Result<(), DatabaseError> {
    for row in rows {
        sqlx::query("DELETE FROM part WHERE session_id = ? AND track = ? AND first_unit = ?")
            .bind(&row.segment.session.as_bytes()[..])
            .bind(row.segment.track.name())
            .bind(row.first_unit as i64)
            .execute(&mut *db)
            .await?;
        // A segment without parts would stand for a file that is not needed.
        sqlx::query(
            "DELETE FROM segment WHERE session_id = ?1 AND track = ?2 AND first_unit = ?3 AND NOT EXISTS
             (SELECT 1 FROM part WHERE session_id = ?1 AND track = ?2 AND segment_first_unit = ?3)",
        )
        .bind(&row.segment.session.as_bytes()[..])
        .bind(row.segment.track.name())
        .bind(row.segment.first_unit as i64)
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

pub(super) async fn delete(
    db: &mut SqliteConnection,
    id: SessionId,
    unix_ms: u64,
) -> Result<bool, DatabaseError> {
    let id = &id.as_bytes()[..];
    // Without an index on the referring columns, cascades would scan; each table is emptied by its own key.
    for statement in [
        "DELETE FROM certificate WHERE session_id = ?",
        "DELETE FROM part WHERE session_id = ?",
        "DELETE FROM segment WHERE session_id = ?",
        "DELETE FROM event WHERE session_id = ?",
        "DELETE FROM params WHERE session_id = ?",
        "DELETE FROM track WHERE session_id = ?",
    ] {
        sqlx::query(statement).bind(id).execute(&mut *db).await?;
    }
    let removed = sqlx::query("DELETE FROM session WHERE id = ?").bind(id).execute(&mut *db).await?;
    if removed.rows_affected() > 0 {
        sqlx::query("INSERT OR REPLACE INTO deleted_session (id, deleted_unix_ms) VALUES (?, ?)")
            .bind(id)
            .bind(unix_ms as i64)
            .execute(&mut *db)
            .await?;
    }
    Ok(removed.rows_affected() > 0)
}

fn json(value: &impl Serialize) -> Result<String, DatabaseError> {
    serde_json::to_string(value).map_err(|error| DatabaseError::Failed(error.into()))
}
