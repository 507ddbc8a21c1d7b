//! A store whose appends a test decides on; everything else it leaves to a local folder.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use ingest_server::store::{Append, LocalStore, SegmentKey, Store, StoreError, StoredSegment};
use protocol::SessionId;

/// What becomes of appends.
pub trait Appends: fmt::Debug + Send + Sync {
    fn append<'a>(
        &'a self,
        store: &'a LocalStore,
        appends: Vec<Append>,
    ) -> BoxFuture<'a, Vec<Result<(), StoreError>>>;
}

#[derive(Debug)]
pub struct TestStore<A> {
    pub store: LocalStore,
    pub appends: A,
}

impl<A: Appends> Store for TestStore<A> {
    fn append(&self, appends: Vec<Append>) -> BoxFuture<'_, Vec<Result<(), StoreError>>> {
        self.appends.append(&self.store, appends)
    }

    fn read(
        &self,
        key: SegmentKey,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, StoreError>> {
        self.store.read(key, ranges)
    }

    fn sessions(&self) -> BoxFuture<'_, Result<Vec<SessionId>, StoreError>> {
        self.store.sessions()
    }

    fn segments(&self, session: SessionId) -> BoxFuture<'_, Result<Vec<StoredSegment>, StoreError>> {
        self.store.segments(session)
    }

    fn cut(&self, key: SegmentKey, bytes: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.cut(key, bytes)
    }

    fn delete(&self, session: SessionId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.delete(session)
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.probe()
    }
}
