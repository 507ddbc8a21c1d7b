//! Rooms, bans and the audit log.

use protocol::room::{AuditAction, AuditEntry, Role, TokenBan, TokenId, ViewerId};
use protocol::{RoomName, SessionId};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection, SqlitePool};

use crate::database::{AuditPage, DatabaseError};
use crate::rooms::Ban;

/// Entries of the audit log that are kept.
const KEPT_ENTRIES: i64 = 100_000;

pub(super) async fn put(db: &mut SqliteConnection, entry: &AuditEntry) -> Result<(), DatabaseError> {
    let sql = "INSERT INTO audit (at_unix_ms, role, name, action, room, target) VALUES (?, ?, ?, ?, ?, ?)";
    let put = sqlx::query(sql)
        .bind(entry.at_unix_ms as i64)
        .bind(entry.role.name())
        .bind(&entry.name)
        .bind(entry.action.name())
        .bind(entry.room.as_ref().map(RoomName::as_str))
        .bind(&entry.target)
        .execute(&mut *db)
        .await?;
    sqlx::query("DELETE FROM audit WHERE number <= ?")
        .bind(put.last_insert_rowid() - KEPT_ENTRIES)
        .execute(&mut *db)
        .await?;
    Ok(())
}

pub(super) async fn put_ban(db: &mut SqliteConnection, ban: &Ban) -> Result<(), DatabaseError> {
    sqlx::query("INSERT OR REPLACE INTO ban (room, viewer, until_unix_ms) VALUES (?, ?, ?)")
        .bind(ban.room.as_str())
        .bind(ban.viewer.as_str())
        .bind(ban.until_unix_ms.map(|until| until as i64))
        .execute(db)
        .await?;
    Ok(())
}

pub(super) async fn lift_ban(
    db: &mut SqliteConnection,
    room: &RoomName,
    viewer: &ViewerId,
) -> Result<(), DatabaseError> {
    let sql = "DELETE FROM ban WHERE room = ? AND viewer = ?";
    sqlx::query(sql).bind(room.as_str()).bind(viewer.as_str()).execute(db).await?;
    Ok(())
}

pub(super) async fn ban_token(db: &mut SqliteConnection, ban: &TokenBan) -> Result<(), DatabaseError> {
    sqlx::query("INSERT OR REPLACE INTO token_ban (token, room, until_unix_ms) VALUES (?, ?, ?)")
        .bind(ban.token.to_string())
        .bind(ban.room.as_ref().map_or("", RoomName::as_str))
        .bind(ban.until_unix_ms.map(|until| until as i64))
        .execute(db)
        .await?;
    Ok(())
}

pub(super) async fn lift_token_ban(
    db: &mut SqliteConnection,
    token: TokenId,
    room: Option<&RoomName>,
) -> Result<(), DatabaseError> {
    sqlx::query("DELETE FROM token_ban WHERE token = ? AND room = ?")
        .bind(token.to_string())
        .bind(room.map_or("", RoomName::as_str))
        .execute(db)
        .await?;
    Ok(())
}

pub(super) async fn token_bans(pool: &SqlitePool) -> Result<Vec<TokenBan>, DatabaseError> {
    let rows = sqlx::query("SELECT token, room, until_unix_ms FROM token_ban").fetch_all(pool).await?;
    let ban = |row: &SqliteRow| {
        let (token, room): (&str, String) = (row.try_get("token")?, row.try_get("room")?);
        Ok(TokenBan {
            token: token.parse().map_err(|_| DatabaseError::Broken("token's id"))?,
            room: if room.is_empty() { None } else { Some(room_of(room)?) },
            until_unix_ms: row.try_get::<Option<i64>, _>("until_unix_ms")?.map(|until| until as u64),
        })
    };
    rows.iter().map(ban).collect()
}

pub(super) async fn keep_room(
    db: &mut SqliteConnection,
    name: &RoomName,
    unix_ms: u64,
) -> Result<(), DatabaseError> {
    let sql = "INSERT INTO room (name, made_unix_ms) VALUES (?, ?) ON CONFLICT DO NOTHING";
    sqlx::query(sql).bind(name.as_str()).bind(unix_ms as i64).execute(db).await?;
    Ok(())
}

pub(super) async fn forget_room(db: &mut SqliteConnection, name: &RoomName) -> Result<(), DatabaseError> {
    sqlx::query("DELETE FROM room WHERE name = ?").bind(name.as_str()).execute(db).await?;
    Ok(())
}

pub(super) async fn put_ended(
    db: &mut SqliteConnection,
    id: SessionId,
    unix_ms: u64,
) -> Result<(), DatabaseError> {
    let sql = "INSERT INTO ended_session (id, ended_unix_ms) VALUES (?, ?) ON CONFLICT DO NOTHING";
    sqlx::query(sql).bind(&id.as_bytes()[..]).bind(unix_ms as i64).execute(db).await?;
    Ok(())
}

pub(super) async fn entries(pool: &SqlitePool, page: AuditPage) -> Result<Vec<AuditEntry>, DatabaseError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM audit WHERE 1");
    if let Some(before) = page.before {
        query.push(" AND number < ").push_bind(before as i64);
    }
    if let Some(room) = page.room {
        query.push(" AND room = ").push_bind(String::from(room));
    }
    query.push(" ORDER BY number DESC LIMIT ").push_bind(page.limit);
    query.build().fetch_all(pool).await?.iter().map(entry).collect()
}

fn entry(row: &SqliteRow) -> Result<AuditEntry, DatabaseError> {
    let (role, action): (&str, &str) = (row.try_get("role")?, row.try_get("action")?);
    let room: Option<String> = row.try_get("room")?;
    Ok(AuditEntry {
        number: row.try_get::<i64, _>("number")? as u64,
        at_unix_ms: row.try_get::<i64, _>("at_unix_ms")? as u64,
        role: Role::ALL
            .into_iter()
            .find(|known| known.name() == role)
            .ok_or(DatabaseError::Broken("role"))?,
        name: row.try_get("name")?,
        action: AuditAction::ALL
            .into_iter()
            .find(|known| known.name() == action)
            .ok_or(DatabaseError::Broken("audit entry"))?,
        room: room.map(room_of).transpose()?,
        target: row.try_get("target")?,
    })
}

pub(super) async fn bans(pool: &SqlitePool) -> Result<Vec<Ban>, DatabaseError> {
    let rows = sqlx::query("SELECT room, viewer, until_unix_ms FROM ban").fetch_all(pool).await?;
    let ban = |row: &SqliteRow| {
        let viewer: String = row.try_get("viewer")?;
        Ok(Ban {
            room: room_of(row.try_get("room")?)?,
            viewer: viewer.try_into().map_err(|_| DatabaseError::Broken("viewer's id"))?,
            until_unix_ms: row.try_get::<Option<i64>, _>("until_unix_ms")?.map(|until| until as u64),
        })
    };
    rows.iter().map(ban).collect()
}

pub(super) async fn kept_rooms(pool: &SqlitePool) -> Result<Vec<RoomName>, DatabaseError> {
    let rows = sqlx::query("SELECT name FROM room ORDER BY name").fetch_all(pool).await?;
    rows.iter().map(|row| room_of(row.try_get("name")?)).collect()
}

pub(super) async fn is_ended(pool: &SqlitePool, id: SessionId) -> Result<bool, DatabaseError> {
    let row = sqlx::query("SELECT 1 FROM ended_session WHERE id = ?")
        .bind(&id.as_bytes()[..])
        .fetch_optional(pool)
        .await?;
    Ok(row.is_some())
}

pub(super) async fn room(pool: &SqlitePool, id: SessionId) -> Result<Option<RoomName>, DatabaseError> {
    let row = sqlx::query("SELECT room FROM session WHERE id = ?")
        .bind(&id.as_bytes()[..])
        .fetch_optional(pool)
        .await?;
    row.map(|row| room_of(row.try_get("room")?)).transpose()
}

fn room_of(name: String) -> Result<RoomName, DatabaseError> {
    name.try_into().map_err(|_| DatabaseError::Broken("room"))
}
