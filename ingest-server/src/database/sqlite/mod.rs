//! Rows in SQLite: one file, a write-ahead log, every commit synced.

mod read;
mod rooms;
mod write;

use std::path::Path;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _};
use protocol::certificate::Signed;
use protocol::digest::UnitDigests;
use protocol::room::{AuditEntry, TokenBan};
use protocol::{RoomName, SessionId, Track, UnitRange};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, Sqlite, SqlitePool};

use super::{
    AuditPage, Change, Database, DatabaseError, Page, PartRow, PartsVersion, SegmentRow, StoredSession,
};
use crate::rooms::Ban;

/// Connections that read at the same time. Writing has one of its own, since SQLite has one writer.
const READERS: u32 = 4;
/// Distinct statements kept prepared: the inserts of 1 to some dozens of parts differ in their text.
const PREPARED_STATEMENTS: usize = 256;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// A database file.
#[derive(Debug, Clone)]
pub struct SqliteDatabase {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteDatabase {
    /// Opens the file, or makes it, and brings its tables up to date.
    ///
    /// # Errors
    /// [`DatabaseError::Failed`] when it cannot be opened, is not SQLite, or was written by a newer version.
    pub async fn open(file: &Path) -> Result<Self, DatabaseError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            // A statement of several rows keeps a journal of its own; it need not be a file.
            .pragma("temp_store", "MEMORY")
            .statement_cache_capacity(PREPARED_STATEMENTS)
            .busy_timeout(Duration::from_secs(10));
        let pool = |connections: u32| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .min_connections(1)
                .test_before_acquire(false)
        };
        let writer = pool(1).connect_with(options.clone()).await?;
        MIGRATIONS.run(&writer).await.map_err(|error| DatabaseError::Failed(error.into()))?;
        let readers = pool(READERS).connect_with(options).await?;
        Ok(Self { writer, readers })
    }

    /// Opens an existing file for reading only.
    ///
    /// # Errors
    /// [`DatabaseError::Failed`] when there is none or it cannot be read.
    pub async fn open_existing(file: &Path) -> Result<Self, DatabaseError> {
        // A write-ahead log left by a crash is replayed by whoever opens the file, so it is not opened read-only.
        let options = SqliteConnectOptions::new().filename(file).busy_timeout(Duration::from_secs(10));
        let readers = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        Ok(Self { writer: readers.clone(), readers })
    }
}

/// After a failure the next write gets another connection: on a full disk SQLite ends the transaction by itself, and the
/// driver, which counts on being asked to, would begin no other on this one.
fn give_back<T>(
    mut connection: PoolConnection<Sqlite>,
    outcome: Result<T, DatabaseError>,
) -> Result<T, DatabaseError> {
    if outcome.is_err() {
        connection.close_on_drop();
    }
    outcome
}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl Database for SqliteDatabase {
    fn commit<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<(), DatabaseError>> {
        async move {
            let mut connection = self.writer.acquire().await?;
            let outcome = async {
                let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
                write::apply(&mut transaction, changes).await?;
                Ok(transaction.commit().await?)
            };
            let outcome = outcome.await;
            give_back(connection, outcome)
        }
        .boxed()
    }

    fn session(&self, id: SessionId) -> BoxFuture<'_, Result<Option<StoredSession>, DatabaseError>> {
        read::session(&self.readers, id).boxed()
    }

    fn sessions(&self, page: Page) -> BoxFuture<'_, Result<Vec<StoredSession>, DatabaseError>> {
        read::sessions(&self.readers, page).boxed()
    }

    fn ids(&self) -> BoxFuture<'_, Result<Vec<SessionId>, DatabaseError>> {
        read::ids(&self.readers, "SELECT id FROM session ORDER BY id").boxed()
    }

    fn unfinished(&self) -> BoxFuture<'_, Result<Vec<SessionId>, DatabaseError>> {
        let sql = "SELECT id FROM session WHERE status IN ('active', 'interrupted') ORDER BY id";
        read::ids(&self.readers, sql).boxed()
    }

    fn segments(&self, id: SessionId) -> BoxFuture<'_, Result<Vec<SegmentRow>, DatabaseError>> {
        read::segments(&self.readers, id).boxed()
    }

    fn parts(&self, id: SessionId) -> BoxFuture<'_, Result<Vec<PartRow>, DatabaseError>> {
        read::parts(&self.readers, id).boxed()
    }

    fn parts_in(
        &self,
        id: SessionId,
        track: Track,
        units: UnitRange,
    ) -> BoxFuture<'_, Result<Vec<PartRow>, DatabaseError>> {
        read::parts_in(&self.readers, id, track, units).boxed()
    }

    fn digests(&self, id: SessionId, track: Track) -> BoxFuture<'_, Result<UnitDigests, DatabaseError>> {
        read::digests(&self.readers, id, track).boxed()
    }

    fn certificate(&self, id: SessionId) -> BoxFuture<'_, Result<Option<Signed>, DatabaseError>> {
        read::certificate(&self.readers, id).boxed()
    }

    fn version(&self, id: SessionId) -> BoxFuture<'_, Result<Option<PartsVersion>, DatabaseError>> {
        read::version(&self.readers, id).boxed()
    }

    fn delete(&self, id: SessionId, unix_ms: u64) -> BoxFuture<'_, Result<bool, DatabaseError>> {
        async move {
            let mut connection = self.writer.acquire().await?;
            let outcome = async {
                let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
                let was_there = write::delete(&mut transaction, id, unix_ms).await?;
                transaction.commit().await?;
                Ok(was_there)
            };
            let outcome = outcome.await;
            give_back(connection, outcome)
        }
        .boxed()
    }

    fn is_deleted(&self, id: SessionId) -> BoxFuture<'_, Result<bool, DatabaseError>> {
        read::is_deleted(&self.readers, id).boxed()
    }

    fn is_ended(&self, id: SessionId) -> BoxFuture<'_, Result<bool, DatabaseError>> {
        rooms::is_ended(&self.readers, id).boxed()
    }

    fn room(&self, id: SessionId) -> BoxFuture<'_, Result<Option<RoomName>, DatabaseError>> {
        rooms::room(&self.readers, id).boxed()
    }

    fn kept_rooms(&self) -> BoxFuture<'_, Result<Vec<RoomName>, DatabaseError>> {
        rooms::kept_rooms(&self.readers).boxed()
    }

    fn bans(&self) -> BoxFuture<'_, Result<Vec<Ban>, DatabaseError>> {
        rooms::bans(&self.readers).boxed()
    }

    fn token_bans(&self) -> BoxFuture<'_, Result<Vec<TokenBan>, DatabaseError>> {
        rooms::token_bans(&self.readers).boxed()
    }

    fn audit(&self, page: AuditPage) -> BoxFuture<'_, Result<Vec<AuditEntry>, DatabaseError>> {
        rooms::entries(&self.readers, page).boxed()
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), DatabaseError>> {
        async move {
            sqlx::query("SELECT 1 FROM session LIMIT 1").fetch_optional(&self.readers).await?;
            Ok(())
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async move {
            self.readers.close().await;
            self.writer.close().await;
        }
        .boxed()
    }
}
