//! A session survives its connections: resume, takeover, other publishers, repetitions, gaps, and the end said again.
#![allow(clippy::unwrap_used)]

mod harness;

use harness::{TestServer, hello, hello_with, new_session, units};
use protocol::api::SessionStatus;
use protocol::codec::{CodecParameters, Params};
use protocol::control::{Event, EventKind, PublisherMessage, ServerMessage};
use protocol::error::ErrorCode;
use protocol::unit::{Lane, Unit};
use protocol::{Track, UnitRange, UnitRanges};
use testkit::units::params;

fn ranges(ranges: &[(u64, u64)]) -> UnitRanges {
    ranges.iter().map(|&(first, last)| UnitRange::new(first, last)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_comes_back_goes_on_where_it_was() {
    let server = TestServer::start(&[]).await;
    let hello = hello(new_session(), Track::Audio);
    let units = units(Track::Audio, 60);
    let (mut first, _) = server.publish(&hello).await;
    first.units(&units[..25]).await;
    first.leave().await;
    let state = server.session_when(hello.session, |state| state.status == SessionStatus::Interrupted).await;
    assert!(!state.audio.unwrap().connected);

    let (mut second, welcome) = server.publish(&hello).await;
    assert_eq!(welcome.durable, ranges(&[(0, 24)]), "also what was no whole part is kept");
    second.units(&units[20..]).await;
    assert_eq!(second.finish(60, UnitRanges::new()).await, (60, 60));
    let state = server.session_when(hello.session, |state| state.status == SessionStatus::Completed).await;
    assert_eq!(state.audio.unwrap().durable_units, 60);
    second.leave().await;

    // The publisher has missed the answer, and asks again; also when the session has left memory.
    for _ in 0..2 {
        let (mut again, welcome) = server.publish(&hello).await;
        assert_eq!(welcome.durable, ranges(&[(0, 59)]));
        assert_eq!(again.finish(60, UnitRanges::new()).await, (60, 60));
        again.leave().await;
    }
    let (mut again, _) = server.publish(&hello).await;
    again.units(&harness::units(Track::Audio, 61)[60..]).await;
    assert_eq!(again.error().await.0.code, ErrorCode::SessionEnded);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_connection_takes_the_place_of_an_older_one_and_a_stranger_does_not() {
    let server = TestServer::start(&[]).await;
    let hello = hello(new_session(), Track::Video);
    let units = units(Track::Video, 40);
    let (mut first, _) = server.publish(&hello).await;
    first.units(&units[..10]).await;
    first.acked(9).await;

    let mut stranger = server.connect(Track::Video).await;
    let other = hello_with(hello.session, Track::Video, vec![params(Track::Video)], [8; 16]);
    stranger.say(&PublisherMessage::Hello(other)).await;
    let (error, code) = stranger.error().await;
    assert_eq!((error.code, code), (ErrorCode::SessionTaken, 4409));

    let (mut second, welcome) = server.publish(&hello).await;
    assert!(welcome.durable.count() >= 9);
    let (error, code) = first.error().await;
    assert_eq!((error.code, code), (ErrorCode::Superseded, 4412));
    second.units(&units).await;
    assert_eq!(second.finish(40, UnitRanges::new()).await, (40, 40));
    // The other track proves itself by the same key.
    let mut stranger = server.connect(Track::Audio).await;
    let other = hello_with(hello.session, Track::Audio, vec![params(Track::Audio)], [9; 16]);
    stranger.say(&PublisherMessage::Hello(other)).await;
    assert_eq!(stranger.error().await.0.code, ErrorCode::SessionTaken);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_units_may_come_first_and_gaps_heal() {
    let server = TestServer::start(&[]).await;
    let (units, params) = harness::encoded::video(180);
    let hello = hello_with(new_session(), Track::Video, vec![params], [7; 16]);
    let (mut publisher, _) = server.publish(&hello).await;
    publisher.units(&units[..60]).await;
    publisher.units(&units[120..150]).await;
    publisher.acked(90).await;
    let state = server.session(hello.session).await;
    assert_eq!(state.video.unwrap().gaps, ranges(&[(60, 119)]));
    let back: Vec<Unit> =
        units[60..120].iter().cloned().map(|unit| Unit { lane: Lane::Backfill, ..unit }).collect();
    // Both lanes in turn, and everything twice.
    for (live, back) in units[150..].chunks(5).zip(back.chunks(10)) {
        publisher.units(live).await;
        publisher.units(back).await;
        publisher.units(back).await;
    }
    assert_eq!(publisher.finish(180, UnitRanges::new()).await, (180, 180));
    assert_eq!(publisher.durable, ranges(&[(0, 179)]));
    let file = server.folder.path().join("recording.mp4");
    let recording = server.get(&format!("/api/sessions/{}/recording.mp4", hello.session)).await;
    std::fs::write(&file, &recording.body).unwrap();
    testkit::ffmpeg::decode_silently(&file).unwrap();
    assert_eq!(testkit::ffmpeg::packets(&file).unwrap().len(), 180);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_units_do_not_keep_a_track_from_its_end() {
    let server = TestServer::start(&[]).await;
    let hello = hello(new_session(), Track::Audio);
    let units = units(Track::Audio, 100);
    let (mut publisher, _) = server.publish(&hello).await;
    publisher.units(&units[..40]).await;
    publisher.units(&units[70..]).await;
    assert_eq!(publisher.finish(100, ranges(&[(40, 69)])).await, (100, 70));
    let state = server.session_when(hello.session, |state| state.status == SessionStatus::Completed).await;
    let audio = state.audio.unwrap();
    assert_eq!((audio.gaps, audio.lost), (ranges(&[(40, 69)]), ranges(&[(40, 69)])));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_track_that_was_late_joins_a_session_that_seemed_complete() {
    let server = TestServer::start(&[]).await;
    let session = new_session();
    let (mut video, _) = server.publish(&hello(session, Track::Video)).await;
    video.units(&units(Track::Video, 30)).await;
    video.finish(30, UnitRanges::new()).await;
    video.leave().await;
    server.session_when(session, |state| state.status == SessionStatus::Completed).await;
    let (mut audio, _) = server.publish(&hello(session, Track::Audio)).await;
    assert_eq!(server.session(session).await.status, SessionStatus::Active);
    audio.units(&units(Track::Audio, 50)).await;
    audio.finish(50, UnitRanges::new()).await;
    let state = server.session_when(session, |state| state.status == SessionStatus::Completed).await;
    assert_eq!((state.video.unwrap().durable_units, state.audio.unwrap().durable_units), (30, 50));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_and_events_are_kept_with_the_track() {
    let server = TestServer::start(&["--segment-ms", "60000"]).await;
    let hello = hello(new_session(), Track::Audio);
    let units = units(Track::Audio, 60);
    let (mut publisher, _) = server.publish(&hello).await;
    let event = |number, detail: &str| Event {
        number,
        at_90k: 90,
        kind: EventKind::DeviceSwitched,
        detail: detail.to_owned(),
    };
    publisher.units(&units[..30]).await;
    publisher.say(&PublisherMessage::Event(event(1, "second"))).await;
    publisher.say(&PublisherMessage::Event(event(0, "first"))).await;
    publisher.say(&PublisherMessage::Event(event(1, "second"))).await;
    let stereo = CodecParameters::Opus { channels: 2, pre_skip_48k: 312 };
    let change = Params { from_unit: 30, parameters: stereo.clone() };
    publisher.say(&PublisherMessage::Params(change.clone())).await;
    publisher.units(&units[30..]).await;
    publisher.finish(60, UnitRanges::new()).await;
    publisher.leave().await;
    let state = server.session_when(hello.session, |state| state.status == SessionStatus::Completed).await;
    let audio = state.audio.unwrap();
    assert_eq!(audio.codec, stereo);
    assert_eq!(audio.events, [event(0, "first"), event(1, "second")]);
    // Other parameters are another segment.
    let folder = server.folder.path().join(format!("sessions/{}/audio", hello.session));
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);

    let folder = server.stop().await;
    let server = TestServer::start_in(folder, &[]).await;
    assert_eq!(server.session(hello.session).await.audio.unwrap().events.len(), 2);
    let (mut again, _) = server
        .publish(&hello_with(hello.session, Track::Audio, vec![params(Track::Audio), change], [7; 16]))
        .await;
    assert_eq!(again.finish(60, UnitRanges::new()).await, (60, 60));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_has_just_ended_is_listed_as_completed() {
    let server = TestServer::start(&[]).await;
    for round in 0..20 {
        let session = new_session();
        let (mut publisher, _) = server.publish(&hello(session, Track::Audio)).await;
        publisher.units(&units(Track::Audio, 15)).await;
        publisher.finish(15, UnitRanges::new()).await;
        publisher.leave().await;
        // While it is stored so, and let go from memory.
        for look in 0..20 {
            let page: protocol::api::SessionList = server.get("/api/sessions?limit=1").await.json();
            let newest = &page.sessions[0];
            assert_eq!(
                (newest.id, newest.status),
                (session, SessionStatus::Completed),
                "round {round}, look {look}"
            );
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_newest_first_abandoned_in_time_and_deleted_on_request() {
    let server = TestServer::start(&["--abandon-after-s", "1"]).await;
    let mut sessions: Vec<_> = (0..3).map(|_| new_session()).collect();
    sessions.sort();
    for &session in &sessions {
        let (mut publisher, _) = server.publish(&hello(session, Track::Audio)).await;
        publisher.units(&units(Track::Audio, 15)).await;
        publisher.acked(15).await;
        publisher.leave().await;
    }
    let (mut active, _) = server.publish(&hello(sessions[2], Track::Audio)).await;
    let page = server.get("/api/sessions?limit=2").await;
    let page: protocol::api::SessionList = serde_json::from_slice(&page.body).unwrap();
    let ids: Vec<_> = page.sessions.iter().map(|session| session.id).collect();
    assert_eq!((ids, page.next_before), (vec![sessions[2], sessions[1]], Some(sessions[1])));
    let page = server.get(&format!("/api/sessions?before={}", sessions[1])).await;
    let page: protocol::api::SessionList = serde_json::from_slice(&page.body).unwrap();
    assert_eq!((page.sessions.len(), page.sessions[0].id, page.next_before), (1, sessions[0], None));

    server.session_when(sessions[0], |state| state.status == SessionStatus::Abandoned).await;
    // A publisher that comes back all the same continues it.
    let (mut late, welcome) = server.publish(&hello(sessions[0], Track::Audio)).await;
    assert_eq!(welcome.durable.count(), 15);
    late.units(&units(Track::Audio, 30)).await;
    assert_eq!(late.finish(30, UnitRanges::new()).await, (30, 30));
    late.leave().await;

    let path = |index: usize| format!("/api/sessions/{}", sessions[index]);
    let refused = server.request("DELETE", &path(2), &[]).await;
    assert_eq!((refused.status, refused.code()), (409, ErrorCode::BadRequest));
    assert_eq!(server.request("DELETE", &path(0), &[]).await.status, 204);
    assert_eq!(server.get(&path(0)).await.status, 404);
    assert_eq!(server.request("DELETE", &path(0), &[]).await.status, 404);
    assert!(!server.folder.path().join(format!("sessions/{}", sessions[0])).exists());
    let mut gone = server.connect(Track::Audio).await;
    gone.say(&PublisherMessage::Hello(hello(sessions[0], Track::Audio))).await;
    assert_eq!(gone.error().await.0.code, ErrorCode::SessionEnded);
    active.units(&units(Track::Audio, 30)).await;
    assert!(matches!(active.next().await, ServerMessage::Ack { .. }));
    server.stop().await;
}
