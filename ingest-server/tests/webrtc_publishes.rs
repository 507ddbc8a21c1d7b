//! Publishers by WHIP, with peers of the project's own and real sockets, pictures and sound.
#![allow(clippy::unwrap_used)]

mod harness;

use std::time::{Duration, Instant};

use harness::encoded::{audio, video};
use harness::{TestServer, soon};
use media::h264::to_annexb;
use protocol::api::{Session, SessionList, SessionStatus};
use protocol::certificate::Certificate;
use protocol::codec::CodecParameters;
use protocol::control::EventKind;
use protocol::{Track, UnitRange};
use testkit::webrtc::{Endpoint, News, Offer, Peer};

fn endpoint(server: &TestServer) -> Endpoint {
    Endpoint::new(server.address().parse().unwrap())
}

async fn only_session(server: &TestServer) -> Session {
    soon(async {
        loop {
            let list = server.get("/api/sessions").await;
            let list: SessionList = serde_json::from_slice(&list.body).unwrap();
            if let Some(session) = list.sessions.into_iter().next() {
                return session;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

/// Real pictures in the form in which WebRTC carries them.
fn pictures(count: u64) -> Vec<(Vec<u8>, u64)> {
    let (units, params) = video(count);
    let CodecParameters::H264 { avcc, .. } = params.parameters else { panic!("pictures") };
    units.iter().map(|unit| (to_annexb(&unit.payload, &avcc.0, unit.key).unwrap(), unit.pts_90k)).collect()
}

/// Lives on for a moment, so that what was sent goes out.
async fn breathe(peer: &mut Peer) {
    let until = Instant::now() + Duration::from_millis(4);
    while peer.news_until(Some(until)).await.unwrap().is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_browser_publishes_is_watched_live_recorded_and_honestly_certified() {
    let server = TestServer::start(&["--segment-ms", "1000"]).await;
    let mut publisher = Peer::publish(&endpoint(&server), "studio").await.unwrap();
    assert!(publisher.answer.location.as_ref().unwrap().starts_with("/whip/sessions/"));
    let pictures = pictures(150);
    let (sound, _) = audio(250);
    let mut viewer = None;
    for (number, (picture, pts_90k)) in pictures.iter().enumerate() {
        publisher.send(Track::Video, picture, 7_000_000 + pts_90k).await.unwrap();
        for packet in &sound[number * 5 / 3..(number + 1) * 5 / 3] {
            publisher.send(Track::Audio, &packet.payload, 50_000 + packet.pts_90k).await.unwrap();
        }
        breathe(&mut publisher).await;
        if number == 100 {
            let mut joined = Peer::watch(&endpoint(&server), "studio").await.unwrap();
            let picture =
                soon(joined.wait_for(|news| matches!(news, News::Unit(unit) if unit.track == Track::Video)));
            assert!(matches!(picture.await.unwrap(), News::Unit(_)));
            viewer = Some(joined);
        }
    }
    let session = only_session(&server).await;
    assert_eq!((session.room.as_str(), session.status), ("studio", SessionStatus::Active));
    // Everything is there before the publisher leaves.
    server
        .session_when(session.id, |state| {
            let units =
                |track: &Option<protocol::api::TrackState>| track.as_ref().map_or(0, |track| track.units);
            (units(&state.video), units(&state.audio)) == (150, 250)
        })
        .await;
    assert_eq!(publisher.delete(&endpoint(&server)).await.unwrap(), 200);
    let state = server.session_when(session.id, |state| state.status == SessionStatus::Completed).await;
    for track in [state.video.unwrap(), state.audio.unwrap()] {
        assert!(track.finished && track.gaps.is_empty() && track.events.is_empty(), "{track:?}");
        assert_eq!(track.units, track.durable_units);
        assert!(track.duration_ms.abs_diff(5_000) < 100, "{track:?}");
    }
    while soon(viewer.as_mut().unwrap().next()).await.unwrap() != News::Closed {}

    let recording = server.get(&format!("/api/sessions/{}/recording.mp4", session.id)).await;
    let file = server.folder.path().join("whole.mp4");
    std::fs::write(&file, &recording.body).unwrap();
    testkit::ffmpeg::decode_silently(&file).unwrap();
    assert_eq!(testkit::ffmpeg::packets(&file).unwrap().len(), 400);

    let certificate = server.get(&format!("/api/sessions/{}/certificate", session.id)).await;
    let read = Certificate::read(std::str::from_utf8(&certificate.body).unwrap()).unwrap();
    for track in &read.statement.tracks {
        assert_eq!(
            track.unwitnessed.as_slice(),
            [UnitRange::new(0, track.units - 1)],
            "no device vouches for it"
        );
        assert_eq!(track.device.key, read.signed.key, "the server signs for the device");
    }
    server.stop().await;
}

/// A session's id, with the key of its publisher.
fn named(key: u8) -> String {
    format!("01890a5d-ac96-774b-bcce-b302099a8057 {}", format!("{key:02x}").repeat(16))
}

/// Sends these pictures, with the sound that belongs to them.
async fn send(publisher: &mut Peer, pictures: &[(Vec<u8>, u64)]) {
    let (sound, _) = audio(pictures.len() as u64 * 5 / 3);
    for (number, (picture, pts_90k)) in pictures.iter().enumerate() {
        publisher.send(Track::Video, picture, 7_000_000 + pts_90k).await.unwrap();
        for packet in &sound[number * 5 / 3..(number + 1) * 5 / 3] {
            publisher.send(Track::Audio, &packet.payload, 50_000 + packet.pts_90k).await.unwrap();
        }
        breathe(publisher).await;
    }
}

async fn until_units(server: &TestServer, session: &Session, video: u64, audio: u64) {
    let units = |track: &Option<protocol::api::TrackState>| track.as_ref().map_or(0, |track| track.units);
    server
        .session_when(session.id, |state| (units(&state.video), units(&state.audio)) == (video, audio))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_comes_back_goes_on_with_its_session() {
    let server = TestServer::start(&["--idle-s", "1"]).await;
    let mine = |server: &TestServer| endpoint(server).with_session(&named(1));
    let mut publisher = Peer::publish(&mine(&server), "studio").await.unwrap();
    send(&mut publisher, &pictures(60)).await;
    let session = only_session(&server).await;
    until_units(&server, &session, 60, 100).await;
    let mut viewer = Peer::watch(&endpoint(&server), "studio").await.unwrap();

    // Its network is gone, and nobody has said goodbye.
    drop(publisher);
    server.session_when(session.id, |state| state.status == SessionStatus::Interrupted).await;
    let mut publisher = Peer::publish(&mine(&server), "studio").await.unwrap();
    send(&mut publisher, &pictures(30)).await;
    until_units(&server, &session, 90, 150).await;

    // It is back before anybody has missed it.
    let mut again = Peer::publish(&mine(&server), "studio").await.unwrap();
    send(&mut again, &pictures(30)).await;
    until_units(&server, &session, 120, 200).await;
    while soon(publisher.next()).await.unwrap() != News::Closed {}
    assert_eq!(server.session(session.id).await.status, SessionStatus::Active, "the newer one publishes");
    // Who watches has not noticed more than a pause.
    let watched =
        soon(viewer.wait_for(|news| matches!(news, News::Unit(unit) if unit.track == Track::Video)));
    watched.await.unwrap();

    // The server is away for a while.
    let folder = server.stop().await;
    let server = TestServer::start_in(folder, &["--idle-s", "1"]).await;
    assert_eq!(server.session(session.id).await.status, SessionStatus::Interrupted);
    let mut publisher = Peer::publish(&mine(&server), "studio").await.unwrap();
    // Of sound there is nothing more; the session ends all the same.
    for (picture, pts_90k) in pictures(30) {
        publisher.send(Track::Video, &picture, pts_90k).await.unwrap();
        breathe(&mut publisher).await;
    }
    until_units(&server, &session, 150, 200).await;
    assert_eq!(publisher.delete(&mine(&server)).await.unwrap(), 200);
    let state = server.session_when(session.id, |state| state.status == SessionStatus::Completed).await;
    for (track, pauses) in [(state.video.unwrap(), 3), (state.audio.unwrap(), 2)] {
        assert!(track.finished && track.gaps.is_empty(), "{track:?}");
        assert_eq!(track.units, track.durable_units);
        let kinds: Vec<_> = track.events.iter().map(|event| event.kind).collect();
        assert_eq!(kinds, [EventKind::Interrupted, EventKind::Resumed].repeat(pauses), "{track:?}");
        for event in &track.events {
            assert!(event.detail.starts_with("reason=connection_lost"), "{event:?}");
        }
        assert!(track.events.is_sorted_by_key(|event| event.at_90k), "{track:?}");
    }
    let list: SessionList = serde_json::from_slice(&server.get("/api/sessions").await.body).unwrap();
    assert_eq!(list.sessions.len(), 1);
    let recording = server.get(&format!("/api/sessions/{}/recording.mp4", session.id)).await;
    let file = server.folder.path().join("whole.mp4");
    std::fs::write(&file, &recording.body).unwrap();
    testkit::ffmpeg::decode_silently(&file).unwrap();
    assert_eq!(testkit::ffmpeg::packets(&file).unwrap().len(), 350);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_its_publishers_alone_and_ends_when_that_says_so() {
    let server = TestServer::start(&[]).await;
    let mine = endpoint(&server).with_session(&named(1));
    let mut publisher = Peer::publish(&mine, "studio").await.unwrap();
    send(&mut publisher, &pictures(6)).await;
    let session = only_session(&server).await;
    until_units(&server, &session, 6, 10).await;
    let offer = Offer::new(false).await.unwrap();
    for (name, room, code) in [
        (named(2), "studio", "session_taken"),
        (named(1), "stage", "invalid_message"),
        ("garbage".to_owned(), "studio", "bad_request"),
    ] {
        let answer = endpoint(&server).with_session(&name).offer(&format!("/whip/{room}"), &offer.text).await;
        let answer = answer.unwrap();
        assert!(answer.status >= 400 && answer.body.contains(code), "{code}: {answer:?}");
    }
    // The connection's own end says nothing of the session's; the word that does comes behind it.
    publisher.close().await.unwrap();
    assert_eq!(server.session(session.id).await.status, SessionStatus::Active);
    assert_eq!(publisher.delete(&mine).await.unwrap(), 200);
    server.session_when(session.id, |state| state.status == SessionStatus::Completed).await;
    let answer = mine.offer("/whip/studio", &offer.text).await.unwrap();
    assert!(answer.status >= 400 && answer.body.contains("session_ended"), "{answer:?}");
    // Who names none begins another one.
    let mut publisher = Peer::publish(&endpoint(&server), "studio").await.unwrap();
    send(&mut publisher, &pictures(6)).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_vanishes_leaves_a_complete_recording() {
    let server = TestServer::start(&["--idle-s", "1"]).await;
    let mut publisher = Peer::publish(&endpoint(&server), "studio").await.unwrap();
    for (picture, pts_90k) in pictures(30) {
        publisher.send(Track::Video, &picture, pts_90k).await.unwrap();
        breathe(&mut publisher).await;
    }
    let session = only_session(&server).await;
    server
        .session_when(session.id, |state| state.video.as_ref().is_some_and(|video| video.units == 30))
        .await;
    drop(publisher);
    let state = server.session_when(session.id, |state| state.status == SessionStatus::Completed).await;
    assert_eq!(state.video.unwrap().durable_units, 30);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_is_asked_for_key_pictures_and_its_session_ends_with_the_server() {
    let server = TestServer::start(&[]).await;
    let mut publisher = Peer::publish(&endpoint(&server), "studio").await.unwrap();
    // It sends nothing that could be decoded, and is asked for what could.
    soon(publisher.wait_for(|news| *news == News::KeyRequest)).await.unwrap();
    let pictures = pictures(30);
    for (picture, pts_90k) in &pictures {
        publisher.send(Track::Video, picture, *pts_90k).await.unwrap();
        breathe(&mut publisher).await;
    }
    let session = only_session(&server).await;
    // There shall be one every two seconds.
    soon(publisher.wait_for(|news| *news == News::KeyRequest)).await.unwrap();
    server
        .session_when(session.id, |state| state.video.as_ref().is_some_and(|video| video.units == 30))
        .await;
    let folder = server.stop().await;
    let server = TestServer::start_in(folder, &[]).await;
    assert_eq!(server.session(session.id).await.status, SessionStatus::Completed);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_out_of_order_end_the_session_with_what_was_before_them() {
    let server = TestServer::start(&[]).await;
    let mut publisher = Peer::publish(&endpoint(&server), "studio").await.unwrap();
    let pictures = pictures(20);
    for (picture, pts_90k) in &pictures[..18] {
        publisher.send(Track::Video, picture, *pts_90k).await.unwrap();
        breathe(&mut publisher).await;
    }
    publisher.send(Track::Video, &pictures[19].0, pictures[19].1).await.unwrap();
    publisher.send(Track::Video, &pictures[18].0, pictures[18].1).await.unwrap();
    while soon(publisher.next()).await.unwrap() != News::Closed {}
    let session = only_session(&server).await;
    let state = server.session_when(session.id, |state| state.status == SessionStatus::Completed).await;
    assert_eq!(state.video.unwrap().units, 19);
    server.stop().await;
}
