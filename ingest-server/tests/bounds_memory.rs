//! A slow disk holds publishers back; it does not fill the memory, and costs nobody the connection.
#![allow(clippy::unwrap_used)]

mod harness;

use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::future::{BoxFuture, FutureExt as _};
use harness::{TestServer, hello, new_session, soon};
use ingest_server::store::{Append, LocalStore, SegmentKey, Store, StoreError, StoredSegment};
use protocol::unit::Unit;
use protocol::{SessionId, Track, UnitRanges};
use testkit::units::UnitSource;
use tokio::sync::Semaphore;

/// A store that writes only when it is let.
#[derive(Debug)]
struct GatedStore {
    store: LocalStore,
    gate: Semaphore,
}

impl Store for GatedStore {
    fn append(&self, appends: Vec<Append>) -> BoxFuture<'_, Vec<Result<(), StoreError>>> {
        async move {
            let _permit = self.gate.acquire().await.unwrap();
            self.store.append(appends).await
        }
        .boxed()
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

const UNITS: u64 = 240;
const UNIT_BYTES: usize = 200_000;

/// 48 MB of video.
fn large_units() -> Vec<Unit> {
    let large = |unit: Unit| {
        let mut payload = BytesMut::new();
        payload.put_u32(UNIT_BYTES as u32);
        payload.put_u8(if unit.key { 0x65 } else { 0x41 });
        payload.put_bytes(0xaa, UNIT_BYTES - 1);
        Unit { payload: payload.freeze(), ..unit }
    };
    UnitSource::new(Track::Video, 1).take(UNITS as usize).map(large).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_is_not_read_further_while_its_units_wait_for_the_disk() {
    for budget in [["--memory-budget-mib", "1024"], ["--memory-budget-mib", "8"]] {
        let folder = tempfile::tempdir().unwrap();
        let store =
            Arc::new(GatedStore { store: LocalStore::open(folder.path()).unwrap(), gate: Semaphore::new(1) });
        let args = [&budget[..], &["--connection-budget-mib", "8"]].concat();
        let server = TestServer::start_with(folder, &args, Arc::clone(&store) as Arc<dyn Store>).await;
        let hello = hello(new_session(), Track::Video);
        let (mut publisher, _) = server.publish(&hello).await;
        let closed = store.gate.acquire().await.unwrap();
        let sending = tokio::spawn(async move {
            publisher.units(&large_units()).await;
            publisher
        });
        // The server takes what the budget allows, and then nothing more, however often it is asked.
        let mut taken = 0;
        let mut unchanged = 0;
        soon(async {
            while unchanged < 100 {
                let units = server.session(hello.session).await.video.unwrap().units;
                unchanged = if units == taken && taken > 30 { unchanged + 1 } else { 0 };
                taken = units;
            }
        })
        .await;
        // Beside the budget: the message that reached it, and what the lane holds.
        let bound = (8 << 20) + 2 * 10 * UNIT_BYTES as u64 + (4 << 20);
        assert!(taken * UNIT_BYTES as u64 <= bound, "{taken} units were taken with {budget:?}");
        assert!(!sending.is_finished());
        drop(closed);
        let mut publisher = soon(sending).await.unwrap();
        assert_eq!(publisher.finish(UNITS, UnitRanges::new()).await, (UNITS, UNITS));
        publisher.leave().await;
        server.stop().await;
    }
}
