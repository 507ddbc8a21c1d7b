//! Viewers by WHEP, with peers of the project's own and real sockets.
#![allow(clippy::unwrap_used)]

mod harness;

use harness::webrtc::{endpoint, follows, publish, receives};
use harness::{TestServer, new_session, soon, units};
use protocol::control::ServerMessage;
use protocol::{Track, UnitRanges};
use testkit::units::GOP;
use testkit::webrtc::{News, Peer};

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_receives_every_unit_byte_for_byte_from_the_key_picture_before_it_came() {
    let server = TestServer::start(&[]).await;
    let session = new_session();
    let [mut video, mut audio] = publish(&server, session).await;
    let (pictures, sound) = (units(Track::Video, 2 * GOP as usize), units(Track::Audio, 50));
    video.units(&pictures[..30]).await;
    video.acked(30).await;
    // One by the session's id, one by the room's name.
    let mut viewer = Peer::watch(&endpoint(&server), &session.to_string()).await.unwrap();
    let mut second = Peer::watch(&endpoint(&server), "studio").await.unwrap();
    for viewer in [&mut viewer, &mut second] {
        let received = receives(viewer, Track::Video, &pictures[..30]).await;
        assert_eq!(received[0].playout_delay_max, Some(std::time::Duration::ZERO));
    }
    follows(&mut viewer, (&mut video, &pictures[30..]), (&mut audio, &sound)).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_stays_while_the_publisher_reconnects_and_leaves_when_the_session_ends() {
    let server = TestServer::start(&[]).await;
    let session = new_session();
    let [mut video, audio] = publish(&server, session).await;
    let pictures = units(Track::Video, 40);
    video.units(&pictures[..20]).await;
    let mut viewer = Peer::watch(&endpoint(&server), &session.to_string()).await.unwrap();
    receives(&mut viewer, Track::Video, &pictures[..20]).await;
    video.acked(20).await;
    video.leave().await;
    let [mut video, mut audio] = {
        audio.leave().await;
        publish(&server, session).await
    };
    video.units(&pictures[20..]).await;
    receives(&mut viewer, Track::Video, &pictures[20..]).await;
    video.finish(40, UnitRanges::new()).await;
    audio.finish(0, UnitRanges::new()).await;
    video.leave().await;
    audio.leave().await;
    while soon(viewer.next()).await.unwrap() != News::Closed {}
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_when_there_is_no_picture_has_the_publisher_asked_for_one() {
    let server = TestServer::start(&[]).await;
    let session = new_session();
    let [mut video, _audio] = publish(&server, session).await;
    let mut viewer = Peer::watch(&endpoint(&server), "studio").await.unwrap();
    let asked = soon(async {
        loop {
            if matches!(video.next().await, ServerMessage::KeyframeRequest {}) {
                return true;
            }
        }
    });
    assert!(asked.await);
    let pictures = units(Track::Video, 3);
    video.units(&pictures).await;
    receives(&mut viewer, Track::Video, &pictures).await;
    // And again when the viewer itself asks.
    let moment = std::time::Duration::from_millis(50);
    let asked = async {
        loop {
            viewer.request_key().unwrap();
            viewer.news_until(Some(std::time::Instant::now() + moment)).await.unwrap();
            if let Ok(ServerMessage::KeyframeRequest {}) = tokio::time::timeout(moment, video.next()).await {
                return;
            }
        }
    };
    soon(asked).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_leaves_by_delete_and_candidates_need_the_entity_tag() {
    let server = TestServer::start(&[]).await;
    let session = new_session();
    let _publishers = publish(&server, session).await;
    let endpoint = endpoint(&server);
    let mut viewer = Peer::watch(&endpoint, "studio").await.unwrap();
    let (location, etag) = (viewer.answer.location.clone().unwrap(), viewer.answer.etag.clone().unwrap());
    assert!(location.starts_with("/whep/sessions/") && etag.starts_with('"'), "{location} {etag}");
    let fragment = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 UDP 2130706431 192.0.2.1 5000 typ host\r\n";
    let kind = ("content-type", "application/trickle-ice-sdpfrag");
    for (headers, body, status) in [
        (vec![kind, ("if-match", &*etag)], fragment, 204),
        (vec![kind], fragment, 428),
        (vec![kind, ("if-match", "\"other\"")], fragment, 412),
        (vec![kind, ("if-match", "*")], fragment, 422),
        (vec![kind, ("if-match", &*etag)], "a=ice-ufrag:else\r\n", 422),
        (vec![kind, ("if-match", &*etag)], "{}", 400),
        (vec![("content-type", "application/sdp"), ("if-match", &*etag)], fragment, 415),
        (vec![("if-match", &*etag)], fragment, 415),
    ] {
        let answer = endpoint.request("PATCH", &location, &headers, body).await.unwrap();
        assert_eq!(answer.status, status, "{headers:?} {body:?}: {}", answer.body);
    }
    let other = location.replace("whep", "whip");
    assert_eq!(
        endpoint.request("DELETE", &other, &[], "").await.unwrap().status,
        404,
        "a viewer is no publisher"
    );
    for wrong in ["/whep/sessions/1", "/whep/sessions/00000000-0000-4000-8000-000000000000"] {
        assert_eq!(endpoint.request("DELETE", wrong, &[], "").await.unwrap().status, 404, "{wrong}");
    }
    assert_eq!(viewer.delete(&endpoint).await.unwrap(), 200);
    while soon(viewer.next()).await.unwrap() != News::Closed {}
    assert_eq!(viewer.delete(&endpoint).await.unwrap(), 404);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_takes_nothing_neither_delays_the_publisher_nor_others() {
    let server = TestServer::start(&[]).await;
    let session = new_session();
    let [mut video, _audio] = publish(&server, session).await;
    let pictures = units(Track::Video, 300);
    video.units(&pictures[..1]).await;
    let mut stalled = Vec::new();
    for _ in 0..5 {
        stalled.push(Peer::watch(&endpoint(&server), "studio").await.unwrap());
    }
    let mut viewer = Peer::watch(&endpoint(&server), "studio").await.unwrap();
    receives(&mut viewer, Track::Video, &pictures[..1]).await;
    for ten in pictures[1..].chunks(10) {
        video.units(ten).await;
        receives(&mut viewer, Track::Video, ten).await;
    }
    video.acked(300).await;
    server.stop().await;
}
