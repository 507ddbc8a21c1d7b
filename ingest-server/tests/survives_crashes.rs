//! What a crash, a full disk or a damaged one leaves behind, and what the next start makes of it.
#![allow(clippy::unwrap_used)]

mod harness;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::{BoxFuture, FutureExt as _};
use harness::store::{Appends, TestStore};
use harness::{TestServer, hello, new_session, units};
use ingest_server::check::{Note, Problem, Report, check_folder};
use ingest_server::store::{Append, LocalStore, Store, StoreError};
use protocol::api::SessionStatus;
use protocol::control::Hello;
use protocol::error::ErrorCode;
use protocol::{Track, UnitRanges};
use tempfile::TempDir;

/// A stopped server's folder with an interrupted session of 120 video units in two segments.
async fn interrupted() -> (TempDir, Hello, Vec<PathBuf>) {
    let server = TestServer::start(&["--segment-ms", "1000"]).await;
    let hello = hello(new_session(), Track::Video);
    let (mut publisher, _) = server.publish(&hello).await;
    publisher.units(&units(Track::Video, 120)).await;
    publisher.acked(120).await;
    publisher.leave().await;
    let folder = server.stop().await;
    let video = folder.path().join(format!("sessions/{}/video", hello.session));
    let mut files: Vec<_> = std::fs::read_dir(video).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 2);
    (folder, hello, files)
}

async fn check(folder: &Path) -> Report {
    check_folder(folder).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_acknowledged_is_cut_off_and_the_session_goes_on() {
    let (folder, hello, files) = interrupted().await;
    let whole = std::fs::read(&files[1]).unwrap();
    // Half a fragment behind the last row, and a file of which no row ever was committed.
    std::fs::write(&files[1], [&whole[..], &whole[700..2_000]].concat()).unwrap();
    let orphan = files[1].with_file_name("0000000120.mp4");
    std::fs::write(&orphan, &whole[..3_000]).unwrap();
    let report = check(folder.path()).await;
    assert!(report.is_clean(), "{report}");
    assert!(matches!(report.notes[..], [Note::Tail(_, 1_300), Note::Orphan(_)]), "{report}");

    let server = TestServer::start_in(folder, &["--segment-ms", "1000"]).await;
    assert!(!orphan.exists());
    assert_eq!(std::fs::read(&files[1]).unwrap(), whole);
    assert_eq!(server.session(hello.session).await.status, SessionStatus::Interrupted);
    let (mut publisher, welcome) = server.publish(&hello).await;
    assert_eq!(welcome.durable.count(), 120);
    publisher.units(&units(Track::Video, 180)[120..]).await;
    assert_eq!(publisher.finish(180, UnitRanges::new()).await, (180, 180));
    let folder = server.stop().await;
    let report = check(folder.path()).await;
    assert!(report.is_clean() && report.notes.is_empty(), "{report}");
    assert_eq!((report.sessions, report.units), (1, 180));
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_whose_bytes_are_gone_no_longer_count_and_can_be_sent_again() {
    let (folder, hello, files) = interrupted().await;
    let length = std::fs::metadata(&files[0]).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&files[0]).unwrap().set_len(length - 10).unwrap();
    std::fs::remove_file(&files[1]).unwrap();
    let report = check(folder.path()).await;
    assert!(!report.is_clean());
    assert!(report.problems.iter().all(|problem| matches!(problem, Problem::Missing(..))), "{report}");

    let server = TestServer::start_in(folder, &["--segment-ms", "1000"]).await;
    let state = server.session(hello.session).await.video.unwrap();
    assert!(state.durable_units > 0 && state.durable_units < 60, "{}", state.durable_units);
    let (mut publisher, welcome) = server.publish(&hello).await;
    assert_eq!(welcome.durable.count(), state.durable_units);
    publisher.units(&units(Track::Video, 120)).await;
    assert_eq!(publisher.finish(120, UnitRanges::new()).await, (120, 120));
    let folder = server.stop().await;
    let report = check(folder.path()).await;
    assert!(report.is_clean(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_is_found() {
    let (folder, _, files) = interrupted().await;
    let mut bytes = std::fs::read(&files[0]).unwrap();
    let last = bytes.len() - 5;
    bytes[last] ^= 0x10;
    std::fs::write(&files[0], bytes).unwrap();
    let report = check(folder.path()).await;
    assert!(matches!(report.problems[..], [Problem::Checksum(_, first)] if first < 60), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_session_that_a_crash_kept_active_is_completed_at_the_start() {
    let server = TestServer::start(&[]).await;
    let hello = hello(new_session(), Track::Audio);
    let (mut publisher, _) = server.publish(&hello).await;
    publisher.units(&units(Track::Audio, 50)).await;
    publisher.finish(50, UnitRanges::new()).await;
    // The state of a crash: a copy of the folder while the session is open.
    let copy = tempfile::tempdir().unwrap();
    let status = std::process::Command::new("cp")
        .args(["-r", &format!("{}/.", server.folder.path().display()), &copy.path().display().to_string()])
        .status();
    assert!(status.unwrap().success());
    let second = TestServer::start_in(copy, &[]).await;
    assert_eq!(second.session(hello.session).await.status, SessionStatus::Completed);
    assert_eq!(second.session(hello.session).await.audio.unwrap().durable_units, 50);
    second.stop().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_do_not_share_a_folder() {
    let server = TestServer::start(&[]).await;
    let config = harness::config(server.folder.path(), &[]);
    let error = ingest_server::Server::start(config).await.unwrap_err();
    assert!(error.to_string().contains("another server"), "{error}");
    server.stop().await;
}

/// A disk that is full while it is said to be, and fills up in the middle of a write.
#[derive(Debug)]
struct FullDisk(AtomicBool);

impl Appends for FullDisk {
    fn append<'a>(
        &'a self,
        store: &'a LocalStore,
        mut appends: Vec<Append>,
    ) -> BoxFuture<'a, Vec<Result<(), StoreError>>> {
        if !self.0.load(Ordering::SeqCst) {
            return store.append(appends);
        }
        async move {
            for append in &mut appends {
                let half = append.bytes.iter().map(|bytes| bytes.slice(..bytes.len() / 2)).collect();
                append.bytes = half;
            }
            let full = |_| {
                let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
                Err(StoreError::Io { what: "appending".to_owned(), source })
            };
            store.append(appends).await.into_iter().map(full).collect()
        }
        .boxed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_and_nothing_is_lost_when_there_is_room_again() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(TestStore {
        store: LocalStore::open(folder.path()).unwrap(),
        appends: FullDisk(AtomicBool::new(false)),
    });
    let server = TestServer::start_with(folder, &[], Arc::clone(&disk) as Arc<dyn Store>).await;
    let hello = hello(new_session(), Track::Video);
    let all = units(Track::Video, 120);
    let (mut publisher, _) = server.publish(&hello).await;
    publisher.units(&all[..60]).await;
    publisher.acked(60).await;

    disk.appends.0.store(true, Ordering::SeqCst);
    publisher.units(&all[60..90]).await;
    let (error, code) = publisher.error().await;
    assert_eq!((error.code, code), (ErrorCode::StorageUnavailable, 4507));
    assert!(error.retryable);
    assert_eq!(publisher.durable.count(), 60, "nothing is acknowledged that is not stored");
    let (mut publisher, welcome) = server.publish(&hello).await;
    assert_eq!(welcome.durable.count(), 60);
    publisher.units(&all[60..90]).await;
    assert_eq!(publisher.error().await.0.code, ErrorCode::StorageUnavailable);

    disk.appends.0.store(false, Ordering::SeqCst);
    let (mut publisher, welcome) = server.publish(&hello).await;
    assert!(welcome.durable.count() >= 60, "and maybe what was left behind when there was room again");
    publisher.units(&all[60..]).await;
    assert_eq!(publisher.finish(120, UnitRanges::new()).await, (120, 120));
    publisher.leave().await;
    let folder = server.stop().await;
    let report = check(folder.path()).await;
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.units, 120);
}
