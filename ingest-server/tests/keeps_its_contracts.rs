//! The contracts of store and database: every implementation must pass these.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use ingest_server::Ban;
use ingest_server::database::{
    AuditPage, Change, Database, Page, PartRow, PartsVersion, SegmentRow, SessionInfo, SqliteDatabase,
};
use ingest_server::store::{Append, LocalStore, SegmentKey, Store, StoreError, StoredSegment};
use protocol::api::SessionStatus;
use protocol::certificate::Signed;
use protocol::control::{Device, Event, EventKind, Finish};
use protocol::room::{AuditAction, AuditEntry, Role, ViewerId};
use protocol::{Hex, RoomName, SessionId, Track, UnitRange, UnitRanges};
use testkit::units::params;

const SESSION: SessionId = SessionId::from_bytes([1; 16]);

fn key(track: Track, first_unit: u64) -> SegmentKey {
    SegmentKey { session: SESSION, track, first_unit }
}

fn append(key: SegmentKey, offset: u64, bytes: &'static [&'static str]) -> Append {
    Append { key, offset, bytes: bytes.iter().map(|text| Bytes::from_static(text.as_bytes())).collect() }
}

async fn store_contract(store: &dyn Store) {
    let (video, audio) = (key(Track::Video, 0), key(Track::Audio, 90));
    assert_eq!(store.sessions().await.unwrap(), []);
    assert_eq!(store.segments(SESSION).await.unwrap(), []);

    // Several segments at once, each of several pieces.
    let outcomes = store.append(vec![append(video, 0, &["init", "part"]), append(audio, 0, &["a"])]).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let outcomes = store.append(vec![append(video, 8, &["more"])]).await;
    assert!(outcomes[0].is_ok());
    let read = store.read(video, vec![8..12, 0..4, 3..9, 5..5]).await.unwrap();
    assert_eq!(read, ["more", "init", "tpartm", ""]);
    assert!(matches!(store.read(video, vec![0..4, 8..13]).await, Err(StoreError::Missing { .. })));
    assert!(matches!(
        store.read(key(Track::Video, 5), vec![0..1, 1..2]).await,
        Err(StoreError::Missing { .. })
    ));
    assert_eq!(store.sessions().await.unwrap(), [SESSION]);
    let listed = [StoredSegment { key: video, bytes: 12 }, StoredSegment { key: audio, bytes: 1 }];
    assert_eq!(store.segments(SESSION).await.unwrap(), listed);

    // An append says where it belongs: what is behind was never promised, what is missing is an error.
    assert!(store.append(vec![append(video, 8, &["other tail"])]).await[0].is_ok());
    assert_eq!(store.read(video, vec![0..18, 0..0]).await.unwrap()[0], "initpartother tail");
    assert!(store.append(vec![append(video, 50, &["far"])]).await[0].is_err());
    assert_eq!(store.segments(SESSION).await.unwrap()[0].bytes, 18);
    assert!(store.append(vec![append(key(Track::Video, 7), 4, &["no start"])]).await[0].is_err());
    assert!(store.append(vec![append(audio, 0, &["anew"])]).await[0].is_ok());
    assert_eq!(store.read(audio, vec![0..4, 0..0]).await.unwrap()[0], "anew");

    // As many at once as many sessions make; one that cannot be appended does not keep the others.
    let many: Vec<SegmentKey> = (100..120).map(|first_unit| key(Track::Audio, first_unit)).collect();
    let mut appends: Vec<Append> = many.iter().map(|&key| append(key, 0, &["one", "two"])).collect();
    appends.insert(7, append(video, 50, &["far"]));
    let outcomes = store.append(appends).await;
    assert_eq!(
        outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(),
        (0..21).map(|at| at != 7).collect::<Vec<_>>()
    );
    for key in many {
        assert_eq!(store.read(key, vec![0..6, 0..0]).await.unwrap()[0], "onetwo");
        store.cut(key, 0).await.unwrap();
    }

    store.cut(video, 4).await.unwrap();
    store.cut(audio, 0).await.unwrap();
    assert_eq!(store.segments(SESSION).await.unwrap(), [StoredSegment { key: video, bytes: 4 }]);
    store.probe().await.unwrap();
    store.delete(SESSION).await.unwrap();
    store.delete(SESSION).await.unwrap();
    assert_eq!(store.sessions().await.unwrap(), []);
    assert_eq!(store.append(vec![]).await.len(), 0);
}

#[tokio::test]
async fn a_local_folder_is_a_store() {
    let folder = tempfile::tempdir().unwrap();
    store_contract(&LocalStore::open(folder.path()).unwrap()).await;
}

fn info(id: SessionId) -> SessionInfo {
    SessionInfo {
        id,
        room: "studio".parse().unwrap(),
        resume_key_sha256: [9; 32],
        device: Device { name: "Desk".into(), platform: "linux".into(), app: "test 1".into() },
        started_unix_ms: u64::MAX,
    }
}

fn opened(id: SessionId, track: Track, reopens: bool, unix_ms: u64) -> Change {
    Change::Opened { info: info(id), track, params: vec![params(track)], reopens, unix_ms }
}

fn segment(track: Track, first_unit: u64) -> Change {
    Change::Segment(SegmentRow {
        key: key(track, first_unit),
        init_bytes: 500,
        parameters: params(track).parameters,
    })
}

fn part(track: Track, segment: u64, first_unit: u64, unit_count: u32) -> PartRow {
    PartRow {
        segment: key(track, segment),
        first_unit,
        unit_count,
        offset_bytes: 500 + first_unit * 100,
        length_bytes: 1_000,
        payload_bytes: 900,
        pts_90k: first_unit * 3_000,
        duration_90k: u64::from(unit_count) * 3_000,
        key: true,
        crc32: u32::MAX,
        capture_us: 5,
        stored_unix_ms: 77,
    }
}

fn stored(row: PartRow) -> Change {
    let digests = (0..row.unit_count).map(|at| Hex([(row.first_unit as u32 + at) as u8; 16])).collect();
    Change::Part { row, digests }
}

async fn database_contract(database: &dyn Database) {
    let other = SessionId::from_bytes([2; 16]);
    database.ping().await.unwrap();
    assert_eq!(database.session(SESSION).await.unwrap(), None);
    assert_eq!(database.version(SESSION).await.unwrap(), None);

    // A transaction is all or nothing: a part without its segment takes the session with it.
    let broken = [opened(SESSION, Track::Video, true, 1), stored(part(Track::Video, 0, 0, 10))];
    assert!(database.commit(&broken).await.is_err());
    assert_eq!(database.session(SESSION).await.unwrap(), None);

    let event = Event { number: 3, at_90k: 7, kind: EventKind::Muted, detail: "a".into() };
    let rows = [part(Track::Video, 0, 0, 10), part(Track::Video, 0, 10, 10), part(Track::Video, 30, 30, 10)];
    let mut changes = vec![
        opened(SESSION, Track::Video, true, 1),
        opened(SESSION, Track::Audio, true, 2),
        segment(Track::Video, 0),
        segment(Track::Video, 30),
        Change::Event(SESSION, Track::Video, event.clone()),
        Change::Event(SESSION, Track::Video, Event { detail: "b".into(), ..event.clone() }),
    ];
    changes.extend(rows.map(stored));
    database.commit(&changes).await.unwrap();
    // Again, as after an attempt whose outcome was not known.
    database.commit(&changes).await.unwrap();

    let stored = database.session(SESSION).await.unwrap().unwrap();
    assert_eq!((&stored.info, stored.status), (&info(SESSION), SessionStatus::Active));
    assert_eq!(stored.last_activity_unix_ms, 2);
    let (track, video) = &stored.tracks[0];
    assert_eq!((*track, stored.tracks[1].0), (Track::Video, Track::Audio));
    let durable: UnitRanges = [UnitRange::new(0, 19), UnitRange::new(30, 39)].into_iter().collect();
    assert_eq!((&video.durable, video.durable_bytes), (&durable, 2_700));
    assert_eq!((video.start_90k, video.last_pts_90k, video.end_90k), (Some(0), Some(90_000), Some(120_000)));
    assert_eq!(video.params, [params(Track::Video)]);
    assert_eq!(video.events, [Event { detail: "b".into(), ..event }]);
    assert_eq!(video.finish, None);
    assert_eq!(database.parts(SESSION).await.unwrap(), rows);
    assert_eq!(database.segments(SESSION).await.unwrap().len(), 2);
    assert_eq!(database.version(SESSION).await.unwrap(), Some(PartsVersion { parts: 3, bytes: 3_000 }));

    // Ends and statuses.
    let lost: UnitRanges = [UnitRange::new(20, 29)].into_iter().collect();
    let nothing = UnitRanges::new();
    let (digest, device_key, signature) = (Hex([4; 32]), Hex([5; 32]), Hex([6; 64]));
    let finish = Finish { units: 40, lost, unwitnessed: nothing, digest, device_key, signature };
    let certificate = Signed { statement: "{}".into(), key: Hex([7; 32]), signature: Hex([8; 64]) };
    let status = |id, status, tracks| {
        let certificate = (status == SessionStatus::Completed).then(|| certificate.clone());
        Change::Status { id, status, last_activity_unix_ms: 50, tracks, certificate }
    };
    let digests = database.digests(SESSION, Track::Video).await.unwrap();
    assert_eq!((digests.numbers(), digests.get(31)), (durable.clone(), Some(Hex([31; 16]))));
    assert_eq!(database.digests(SESSION, Track::Audio).await.unwrap().numbers(), UnitRanges::new());
    database.commit(&[Change::Finish(SESSION, Track::Video, finish.clone())]).await.unwrap();
    let is_proven = async || database.session(SESSION).await.unwrap().unwrap().tracks[0].1.is_complete();
    assert!(!is_proven().await);
    let another = Finish { digest: Hex([9; 32]), ..finish.clone() };
    database.commit(&[Change::Proven(SESSION, Track::Video, another.clone())]).await.unwrap();
    assert!(!is_proven().await, "the track has another finish");
    database.commit(&[Change::Proven(SESSION, Track::Video, finish.clone())]).await.unwrap();
    assert!(is_proven().await);
    database.commit(&[Change::Finish(SESSION, Track::Video, another)]).await.unwrap();
    assert!(!is_proven().await, "what was proven was another finish");
    let proven = Change::Proven(SESSION, Track::Video, finish.clone());
    database.commit(&[Change::Finish(SESSION, Track::Video, finish.clone()), proven]).await.unwrap();
    let stored = database.session(SESSION).await.unwrap().unwrap();
    assert_eq!(stored.tracks[0].1.finish, Some(finish));
    assert!(stored.tracks[0].1.is_complete());
    assert_eq!(database.certificate(SESSION).await.unwrap(), None);
    let changes = [
        opened(other, Track::Audio, true, 9),
        status(SESSION, SessionStatus::Completed, stored.tracks.clone()),
        status(SessionId::from_bytes([3; 16]), SessionStatus::Completed, vec![]),
    ];
    database.commit(&changes).await.unwrap();
    assert_eq!(database.certificate(SESSION).await.unwrap().as_ref(), Some(&certificate));
    assert_eq!(database.certificate(SessionId::from_bytes([3; 16])).await.unwrap(), None);
    assert_eq!(database.ids().await.unwrap(), [SESSION, other]);
    assert_eq!(database.unfinished().await.unwrap(), [other]);
    let page = Page { before: None, status: None, room: None, limit: 10 };
    let listed = database.sessions(page.clone()).await.unwrap();
    assert_eq!(listed.iter().map(|session| session.info.id).collect::<Vec<_>>(), [other, SESSION]);
    assert_eq!(listed[1].tracks[0].1.durable, durable, "totals as of the status");
    let one =
        database.sessions(Page { status: Some(SessionStatus::Completed), ..page.clone() }).await.unwrap();
    assert_eq!(one.len(), 1);
    for (room, count) in [("studio", 2), ("stage", 0)] {
        let page = Page { room: room.parse().ok(), ..page.clone() };
        assert_eq!(database.sessions(page).await.unwrap().len(), count, "{room}");
    }
    assert_eq!(
        database.sessions(Page { before: Some(other), ..page.clone() }).await.unwrap()[0].info.id,
        SESSION
    );
    assert_eq!(database.sessions(Page { limit: 1, ..page }).await.unwrap()[0].info.id, other);

    // A hello for a complete track leaves the status alone; one for another reopens the session.
    database.commit(&[opened(SESSION, Track::Video, false, 60)]).await.unwrap();
    assert_eq!(database.session(SESSION).await.unwrap().unwrap().status, SessionStatus::Completed);
    assert!(database.certificate(SESSION).await.unwrap().is_some());
    database.commit(&[opened(SESSION, Track::Video, true, 61)]).await.unwrap();
    assert_eq!(database.session(SESSION).await.unwrap().unwrap().status, SessionStatus::Active);
    assert_eq!(database.certificate(SESSION).await.unwrap(), None);

    rooms_contract(database).await;

    // Parts that are gone, and the segment that held nothing else.
    database.commit(&[Change::Forget(vec![rows[2]])]).await.unwrap();
    assert_eq!(database.parts(SESSION).await.unwrap(), rows[..2]);
    assert_eq!(database.segments(SESSION).await.unwrap().len(), 1);

    database.commit(&[status(SESSION, SessionStatus::Completed, vec![])]).await.unwrap();
    assert!(database.delete(SESSION, 5).await.unwrap());
    assert_eq!(database.certificate(SESSION).await.unwrap(), None);
    assert!(!database.delete(SESSION, 5).await.unwrap());
    assert!(database.is_deleted(SESSION).await.unwrap() && !database.is_deleted(other).await.unwrap());
    assert_eq!(database.session(SESSION).await.unwrap(), None);
    assert!(database.parts(SESSION).await.unwrap().is_empty());
    database.close().await;
    assert!(database.ping().await.is_err());
}

async fn rooms_contract(database: &dyn Database) {
    let (studio, stage): (RoomName, RoomName) = ("studio".parse().unwrap(), "stage".parse().unwrap());
    let viewer = ViewerId::from_bytes([1; 16]);
    assert_eq!(database.room(SESSION).await.unwrap(), Some(studio.clone()));
    assert_eq!(database.room(SessionId::from_bytes([3; 16])).await.unwrap(), None);
    assert!(!database.is_ended(SESSION).await.unwrap());
    let ban = |until_unix_ms| Ban { room: studio.clone(), viewer: viewer.clone(), until_unix_ms };
    let entry = |number, room: &RoomName| AuditEntry {
        number,
        at_unix_ms: u64::MAX,
        role: Role::Publish,
        name: "Anna'); DROP TABLE audit; --".to_owned(),
        action: AuditAction::ViewerBanned,
        room: Some(room.clone()),
        target: None,
    };
    let changes = [
        Change::Ended(SESSION, 5),
        Change::Ended(SESSION, 6),
        Change::KeepRoom(studio.clone(), 7),
        Change::KeepRoom(stage.clone(), 7),
        Change::ForgetRoom(studio.clone()),
        Change::Ban(ban(None)),
        Change::Ban(ban(Some(u64::MAX))),
        Change::Audit(entry(99, &studio)),
        Change::Audit(entry(99, &stage)),
        Change::Audit(entry(99, &studio)),
    ];
    database.commit(&changes).await.unwrap();
    assert!(database.is_ended(SESSION).await.unwrap());
    assert_eq!(database.kept_rooms().await.unwrap(), std::slice::from_ref(&stage));
    assert_eq!(database.bans().await.unwrap(), [ban(Some(u64::MAX))]);
    database.commit(&[Change::LiftBan(studio.clone(), viewer.clone())]).await.unwrap();
    assert_eq!(database.bans().await.unwrap(), []);
    let page = AuditPage { before: None, room: None, limit: 10 };
    let all = [entry(3, &studio), entry(2, &stage), entry(1, &studio)];
    assert_eq!(database.audit(page.clone()).await.unwrap(), all);
    let before = AuditPage { before: Some(3), limit: 1, ..page.clone() };
    assert_eq!(database.audit(before).await.unwrap(), all[1..2]);
    assert_eq!(database.audit(AuditPage { room: Some(stage), ..page }).await.unwrap(), all[1..2]);
}

#[tokio::test]
async fn sqlite_is_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.db");
    database_contract(&SqliteDatabase::open(&file).await.unwrap()).await;
    // What was committed is there when the file is opened again.
    let again = SqliteDatabase::open(&file).await.unwrap();
    assert_eq!(again.ids().await.unwrap(), [SessionId::from_bytes([2; 16])]);
    assert!(SqliteDatabase::open(folder.path()).await.is_err());
}
