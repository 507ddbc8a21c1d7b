//! A slow disk holds publishers back; it does not fill the memory, and costs nobody the connection.
#![allow(clippy::unwrap_used)]

mod harness;

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt as _};
use harness::store::{Appends, TestStore};
use harness::{LARGE_UNIT_BYTES, TestServer, hello, large_units, new_session, soon};
use ingest_server::store::{Append, LocalStore, Store, StoreError};
use protocol::{Track, UnitRanges};
use tokio::sync::Semaphore;

/// Appends wait until they are let through.
#[derive(Debug)]
struct Gate(Semaphore);

impl Appends for Gate {
    fn append<'a>(
        &'a self,
        store: &'a LocalStore,
        appends: Vec<Append>,
    ) -> BoxFuture<'a, Vec<Result<(), StoreError>>> {
        async move {
            let _permit = self.0.acquire().await.unwrap();
            store.append(appends).await
        }
        .boxed()
    }
}

/// 48 MB of video.
const UNITS: u64 = 240;

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_is_not_read_further_while_its_units_wait_for_the_disk() {
    for budget in [["--memory-budget-mib", "1024"], ["--memory-budget-mib", "8"]] {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(TestStore {
            store: LocalStore::open(folder.path()).unwrap(),
            appends: Gate(Semaphore::new(1)),
        });
        let args = [&budget[..], &["--connection-budget-mib", "8"]].concat();
        let server = TestServer::start_with(folder, &args, Arc::clone(&store) as Arc<dyn Store>).await;
        let hello = hello(new_session(), Track::Video);
        let (mut publisher, _) = server.publish(&hello).await;
        let closed = store.appends.0.acquire().await.unwrap();
        let sending = tokio::spawn(async move {
            publisher.units(&large_units(UNITS as usize)).await;
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
        let bound = (8 << 20) + 2 * 10 * LARGE_UNIT_BYTES as u64 + (4 << 20);
        assert!(taken * LARGE_UNIT_BYTES as u64 <= bound, "{taken} units were taken with {budget:?}");
        assert!(!sending.is_finished());
        drop(closed);
        let mut publisher = soon(sending).await.unwrap();
        assert_eq!(publisher.finish(UNITS, UnitRanges::new()).await, (UNITS, UNITS));
        publisher.leave().await;
        server.stop().await;
    }
}
