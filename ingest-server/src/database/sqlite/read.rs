//! Rows back as values.

use protocol::api::SessionStatus;
use protocol::certificate::Signed;
use protocol::codec::Params;
use protocol::control::Device;
use protocol::digest::UnitDigests;
use protocol::{Hex, SessionId, Track, UnitRange};
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqlitePool};

use crate::database::{DatabaseError, Page, PartRow, PartsVersion, SegmentRow, SessionInfo, StoredSession};
use crate::ingest::StoredTrack;
use crate::store::SegmentKey;

const SESSION: &str = "SELECT id, room, resume_key_sha256, device_name, device_platform, device_app,
    started_unix_ms, last_activity_unix_ms, status FROM session ";

/// How totals come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Totals {
    /// From the parts: exact.
    Parts,
    /// From the track's row.
    AsOfStatus,
}

pub(super) async fn session(
    pool: &SqlitePool,
    id: SessionId,
) -> Result<Option<StoredSession>, DatabaseError> {
    let mut query = QueryBuilder::<Sqlite>::new(SESSION);
    query.push("WHERE id = ").push_bind(id.as_bytes().to_vec());
    let Some(row) = query.build().fetch_optional(pool).await? else { return Ok(None) };
    with_tracks(pool, &row, Totals::Parts).await.map(Some)
}

pub(super) async fn sessions(pool: &SqlitePool, page: Page) -> Result<Vec<StoredSession>, DatabaseError> {
    let mut query = QueryBuilder::<Sqlite>::new(SESSION);
    query.push("WHERE 1 ");
    if let Some(before) = page.before {
        query.push("AND id < ").push_bind(before.as_bytes().to_vec());
    }
    if let Some(status) = page.status {
        query.push(" AND status = ").push_bind(status.name());
    }
    if let Some(room) = page.room {
        query.push(" AND room = ").push_bind(String::from(room));
    }
    query.push(" ORDER BY id DESC LIMIT ").push_bind(page.limit);
    let mut sessions = Vec::new();
    for row in query.build().fetch_all(pool).await? {
        sessions.push(with_tracks(pool, &row, Totals::AsOfStatus).await?);
    }
    Ok(sessions)
}

async fn with_tracks(
    pool: &SqlitePool,
    row: &SqliteRow,
    totals: Totals,
) -> Result<StoredSession, DatabaseError> {
    let id = id_of(row.try_get("id")?)?;
    let key: Vec<u8> = row.try_get("resume_key_sha256")?;
    let info = SessionInfo {
        id,
        room: row.try_get::<String, _>("room")?.try_into().map_err(|_| DatabaseError::Broken("room"))?,
        resume_key_sha256: key.try_into().map_err(|_| DatabaseError::Broken("resume key"))?,
        device: Device {
            name: row.try_get("device_name")?,
            platform: row.try_get("device_platform")?,
            app: row.try_get("device_app")?,
        },
        started_unix_ms: number(row, "started_unix_ms")?,
    };
    let mut session = StoredSession {
        info,
        status: from_name(row.try_get("status")?)?,
        last_activity_unix_ms: number(row, "last_activity_unix_ms")?,
        tracks: Vec::new(),
    };
    let rows = sqlx::query("SELECT * FROM track WHERE session_id = ? ORDER BY track DESC")
        .bind(&id.as_bytes()[..])
        .fetch_all(pool)
        .await?;
    for row in rows {
        let track = track_of(&row)?;
        let mut stored = StoredTrack::default();
        if let Some(finish) = row.try_get::<Option<String>, _>("finish")? {
            stored.finish = Some(json(&finish)?);
            stored.is_proven = row.try_get("is_proven")?;
        }
        if totals == Totals::Parts {
            count_parts(pool, id, track, &mut stored).await?;
        } else if let Some(durable) = row.try_get::<Option<String>, _>("durable")? {
            stored.durable = json(&durable)?;
            stored.durable_bytes = number(&row, "durable_bytes")?;
            stored.start_90k = row.try_get::<Option<i64>, _>("start_90k")?.map(|pts| pts as u64);
            stored.end_90k = row.try_get::<Option<i64>, _>("end_90k")?.map(|pts| pts as u64);
        }
        stored.params = params(pool, id, track).await?;
        stored.events = events(pool, id, track).await?;
        session.tracks.push((track, stored));
    }
    Ok(session)
}

/// Parts in a row are one group: within it, the first unit less the units before it is constant.
async fn count_parts(
    pool: &SqlitePool,
    id: SessionId,
    track: Track,
    stored: &mut StoredTrack,
) -> Result<(), DatabaseError> {
    let rows = sqlx::query(
        "SELECT MIN(first_unit) AS first_unit, MAX(first_unit + unit_count) AS next_unit,
                SUM(payload_bytes) AS payload_bytes, MIN(pts_90k) AS start_90k, MAX(pts_90k) AS last_pts_90k,
                MAX(pts_90k + duration_90k) AS end_90k, MAX(stored_unix_ms) AS stored_unix_ms
         FROM (SELECT *, first_unit + unit_count - SUM(unit_count) OVER (ORDER BY first_unit) AS run
               FROM part WHERE session_id = ? AND track = ?)
         GROUP BY run ORDER BY first_unit",
    )
    .bind(&id.as_bytes()[..])
    .bind(track.name())
    .fetch_all(pool)
    .await?;
    for row in rows {
        let units = (number(&row, "first_unit")?, number(&row, "next_unit")?.wrapping_sub(1));
        let units = UnitRange::try_from(units).map_err(|_| DatabaseError::Broken("part"))?;
        let (start_90k, end_90k) = (number(&row, "start_90k")?, number(&row, "end_90k")?);
        stored.insert(units, number(&row, "payload_bytes")?, start_90k, end_90k);
        stored.last_pts_90k = stored.last_pts_90k.max(Some(number(&row, "last_pts_90k")?));
    }
    Ok(())
}

async fn params(pool: &SqlitePool, id: SessionId, track: Track) -> Result<Vec<Params>, DatabaseError> {
    sqlx::query(
        "SELECT from_unit, parameters FROM params WHERE session_id = ? AND track = ? ORDER BY from_unit",
    )
    .bind(&id.as_bytes()[..])
    .bind(track.name())
    .fetch_all(pool)
    .await?
    .iter()
    .map(|row| {
        let parameters = json(row.try_get("parameters")?)?;
        Ok(Params { from_unit: number(row, "from_unit")?, parameters })
    })
    .collect()
}

async fn events(
    pool: &SqlitePool,
    id: SessionId,
    track: Track,
) -> Result<Vec<protocol::control::Event>, DatabaseError> {
    sqlx::query("SELECT event FROM event WHERE session_id = ? AND track = ? ORDER BY number")
        .bind(&id.as_bytes()[..])
        .bind(track.name())
        .fetch_all(pool)
        .await?
        .iter()
        .map(|row| json(row.try_get("event")?))
        .collect()
}

pub(super) async fn ids(pool: &SqlitePool, statement: &'static str) -> Result<Vec<SessionId>, DatabaseError> {
    let rows = sqlx::query(statement).fetch_all(pool).await?;
    rows.iter().map(|row| id_of(row.try_get("id")?)).collect()
}

pub(super) async fn segments(pool: &SqlitePool, id: SessionId) -> Result<Vec<SegmentRow>, DatabaseError> {
    sqlx::query("SELECT * FROM segment WHERE session_id = ? ORDER BY track DESC, first_unit")
        .bind(&id.as_bytes()[..])
        .fetch_all(pool)
        .await?
        .iter()
        .map(|row| {
            let key =
                SegmentKey { session: id, track: track_of(row)?, first_unit: number(row, "first_unit")? };
            let parameters = json(row.try_get("parameters")?)?;
            Ok(SegmentRow { key, init_bytes: number(row, "init_bytes")?, parameters })
        })
        .collect()
}

pub(super) async fn parts(pool: &SqlitePool, id: SessionId) -> Result<Vec<PartRow>, DatabaseError> {
    sqlx::query("SELECT * FROM part WHERE session_id = ? ORDER BY track DESC, first_unit")
        .bind(&id.as_bytes()[..])
        .fetch_all(pool)
        .await?
        .iter()
        .map(|row| part(id, row))
        .collect()
}

pub(super) async fn parts_in(
    pool: &SqlitePool,
    id: SessionId,
    track: Track,
    units: UnitRange,
) -> Result<Vec<PartRow>, DatabaseError> {
    let rows = sqlx::query(
        "SELECT * FROM part WHERE session_id = ? AND track = ? AND first_unit BETWEEN ? AND ? ORDER BY first_unit",
    )
    .bind(&id.as_bytes()[..])
    .bind(track.name())
    .bind(units.first.cast_signed())
    .bind(units.last.cast_signed())
    .fetch_all(pool)
    .await?;
    rows.iter().map(|row| part(id, row)).collect()
}

fn part(session: SessionId, row: &SqliteRow) -> Result<PartRow, DatabaseError> {
    let first_unit = number(row, "segment_first_unit")?;
    Ok(PartRow {
        segment: SegmentKey { session, track: track_of(row)?, first_unit },
        first_unit: number(row, "first_unit")?,
        unit_count: row.try_get("unit_count")?,
        offset_bytes: number(row, "offset_bytes")?,
        length_bytes: number(row, "length_bytes")?,
        payload_bytes: number(row, "payload_bytes")?,
        pts_90k: number(row, "pts_90k")?,
        duration_90k: number(row, "duration_90k")?,
        key: row.try_get("key")?,
        crc32: row.try_get("crc32")?,
        capture_us: number(row, "capture_us")?,
        stored_unix_ms: number(row, "stored_unix_ms")?,
    })
}

pub(super) async fn digests(
    pool: &SqlitePool,
    id: SessionId,
    track: Track,
) -> Result<UnitDigests, DatabaseError> {
    let rows = sqlx::query(
        "SELECT first_unit, unit_count, digests FROM part WHERE session_id = ? AND track = ? ORDER BY first_unit",
    )
    .bind(&id.as_bytes()[..])
    .bind(track.name())
    .fetch_all(pool)
    .await?;
    let mut all = UnitDigests::new();
    for row in rows {
        let first_unit = number(&row, "first_unit")?;
        let (digests, rest) = row.try_get::<&[u8], _>("digests")?.as_chunks::<16>();
        if !rest.is_empty() || digests.len() as u64 != number(&row, "unit_count")? {
            return Err(DatabaseError::Broken("list of digests"));
        }
        for (at, digest) in digests.iter().enumerate() {
            all.record(first_unit + at as u64, Hex(*digest));
        }
    }
    Ok(all)
}

pub(super) async fn certificate(pool: &SqlitePool, id: SessionId) -> Result<Option<Signed>, DatabaseError> {
    let row = sqlx::query("SELECT statement, key, signature FROM certificate WHERE session_id = ?")
        .bind(&id.as_bytes()[..])
        .fetch_optional(pool)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let broken = |_| DatabaseError::Broken("certificate");
    Ok(Some(Signed {
        statement: row.try_get("statement")?,
        key: row.try_get::<&str, _>("key")?.parse().map_err(broken)?,
        signature: row.try_get::<&str, _>("signature")?.parse().map_err(broken)?,
    }))
}

pub(super) async fn version(pool: &SqlitePool, id: SessionId) -> Result<Option<PartsVersion>, DatabaseError> {
    let row = sqlx::query(
        "SELECT COUNT(part.first_unit) AS parts, COALESCE(SUM(length_bytes), 0) AS bytes
         FROM session LEFT JOIN part ON part.session_id = session.id
         WHERE session.id = ? GROUP BY session.id",
    )
    .bind(&id.as_bytes()[..])
    .fetch_optional(pool)
    .await?;
    row.map(|row| Ok(PartsVersion { parts: number(&row, "parts")?, bytes: number(&row, "bytes")? }))
        .transpose()
}

pub(super) async fn is_deleted(pool: &SqlitePool, id: SessionId) -> Result<bool, DatabaseError> {
    let row = sqlx::query("SELECT 1 FROM deleted_session WHERE id = ?")
        .bind(&id.as_bytes()[..])
        .fetch_optional(pool)
        .await?;
    Ok(row.is_some())
}

fn number(row: &SqliteRow, column: &str) -> Result<u64, DatabaseError> {
    Ok(row.try_get::<i64, _>(column)? as u64)
}

fn id_of(bytes: Vec<u8>) -> Result<SessionId, DatabaseError> {
    bytes.try_into().map(SessionId::from_bytes).map_err(|_| DatabaseError::Broken("session id"))
}

fn track_of(row: &SqliteRow) -> Result<Track, DatabaseError> {
    let name: &str = row.try_get("track")?;
    Track::ALL.into_iter().find(|track| track.name() == name).ok_or(DatabaseError::Broken("track"))
}

fn from_name(name: &str) -> Result<SessionStatus, DatabaseError> {
    use SessionStatus::{Abandoned, Active, Completed, Interrupted};
    [Active, Interrupted, Completed, Abandoned]
        .into_iter()
        .find(|status| status.name() == name)
        .ok_or(DatabaseError::Broken("status"))
}

fn json<T: DeserializeOwned>(text: &str) -> Result<T, DatabaseError> {
    serde_json::from_str(text).map_err(|_| DatabaseError::Broken("JSON column"))
}
