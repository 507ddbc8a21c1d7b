//! What is complete is certified, and nothing else is.
#![allow(clippy::unwrap_used)]

mod harness;

use harness::{TestServer, encoded, hello, new_session, soon, units};
use protocol::api::{ServerKey, SessionStatus};
use protocol::certificate::{Certificate, ReadCertificate};
use protocol::control::{Finish, PublisherMessage};
use protocol::digest::unit_digest;
use protocol::error::ErrorCode;
use protocol::{Hex, SessionId, Track, UnitRange, UnitRanges};
use signing::{is_genuine, verify};
use testkit::units::device_key;
use tokio_tungstenite::tungstenite::Message;

async fn certificate(server: &TestServer, session: SessionId) -> ReadCertificate {
    let answer = server.get(&format!("/api/sessions/{session}/certificate")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    Certificate::read(std::str::from_utf8(&answer.body).unwrap()).unwrap()
}

async fn has_no_certificate(server: &TestServer, session: SessionId, why: &str) {
    let answer = server.get(&format!("/api/sessions/{session}/certificate")).await;
    assert_eq!((answer.status, answer.code()), (404, ErrorCode::NotFound));
    assert!(String::from_utf8_lossy(&answer.body).contains(why), "{answer:?}");
}

fn middle() -> UnitRanges {
    std::iter::once(UnitRange::new(40, 69)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_complete_session_has_a_signed_certificate_that_outlives_a_restart_and_not_a_deletion() {
    let server = TestServer::start(&[]).await;
    let session = new_session();
    let video = units(Track::Video, 100);
    let (mut publisher, _) = server.publish(&hello(session, Track::Video)).await;
    publisher.units(&video[..40]).await;
    publisher.units(&video[70..]).await;
    publisher.acked(70).await;
    has_no_certificate(&server, session, "not complete").await;
    has_no_certificate(&server, new_session(), "no such session").await;
    assert_eq!(publisher.finish(100, middle()).await, (100, 70));
    publisher.leave().await;

    let read = certificate(&server, session).await;
    let key: ServerKey = serde_json::from_slice(&server.get("/api/server-key").await.body).unwrap();
    assert_eq!(read.signed.key, key.server_key);
    assert!(is_genuine(&read.signed));
    let statement = &read.statement;
    assert_eq!((statement.session, statement.started_unix_ms), (session, 1_700_000_000_000));
    let [track] = &statement.tracks[..] else { panic!("{statement:?}") };
    assert_eq!((track.track, track.units, track.durable_units), (Track::Video, 100, 70));
    assert_eq!((&track.gaps, &track.lost), (&middle(), &middle()));
    assert_eq!((track.start_90k, track.end_90k), (Some(0), Some(300_000)));
    assert!(is_genuine(&track.device));
    assert_eq!(track.device.key, device_key().public());
    let (_, digests) = &read.tracks[0];
    for unit in &video {
        let expected = (!middle().contains(unit.number)).then(|| unit_digest(Track::Video, unit));
        assert_eq!(digests.get(unit.number), expected);
    }

    let server = TestServer::start_in(server.stop().await, &[]).await;
    assert_eq!(certificate(&server, session).await.signed, read.signed);
    let again: ServerKey = serde_json::from_slice(&server.get("/api/server-key").await.body).unwrap();
    assert_eq!(again, key);
    let path = format!("/api/sessions/{session}");
    assert_eq!(server.request("DELETE", &path, &[]).await.status, 204);
    has_no_certificate(&server, session, "no such session").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_digest_is_refused_and_never_completes_the_session() {
    let server = TestServer::start(&[]).await;
    let session = new_session();
    let hello = hello(session, Track::Audio);
    let (mut publisher, _) = server.publish(&hello).await;
    publisher.units(&units(Track::Audio, 50)).await;
    let right = publisher.signed_finish(50, UnitRanges::new());
    let unsigned = Finish { digest: Hex([7; 32]), ..right };
    let text = unsigned.statement(session, Track::Audio, hello.started_unix_ms).to_json();
    let wrong = Finish { signature: device_key().sign(&text), ..unsigned };
    assert!(verify(&wrong.device_key, &text, &wrong.signature));
    publisher.say(&PublisherMessage::Finish(wrong)).await;
    let (error, code) = publisher.error().await;
    assert_eq!((error.code, code, error.retryable), (ErrorCode::DigestMismatch, 4427, false));
    assert_eq!(publisher.durable.count(), 50, "what is durable stays so");
    drop(publisher);
    let state = server.session_when(session, |state| state.status == SessionStatus::Interrupted).await;
    assert!(state.audio.unwrap().finished);
    has_no_certificate(&server, session, "not complete").await;

    // After a restart it is still not complete, and the right digest completes it.
    let server = TestServer::start_in(server.stop().await, &[]).await;
    assert_eq!(server.session(session).await.status, SessionStatus::Interrupted);
    let (mut publisher, _) = server.publish(&hello).await;
    assert_eq!(publisher.finish(50, UnitRanges::new()).await, (50, 50));
    certificate(&server, session).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finish_that_names_durable_units_as_lost_waits_for_one_that_does_not() {
    let server = TestServer::start(&[]).await;
    let session = new_session();
    let (mut publisher, _) = server.publish(&hello(session, Track::Audio)).await;
    publisher.units(&units(Track::Audio, 100)).await;
    publisher.acked(100).await;
    let hasty = publisher.signed_finish(100, middle());
    publisher.say(&PublisherMessage::Finish(hasty)).await;
    server.session_when(session, |state| state.audio.as_ref().unwrap().finished).await;
    has_no_certificate(&server, session, "not complete").await;
    assert_eq!(publisher.finish(100, UnitRanges::new()).await, (100, 100));
    assert_eq!(certificate(&server, session).await.statement.tracks[0].lost, UnitRanges::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_added_to_a_track_that_has_ended() {
    let server = TestServer::start(&[]).await;
    for lost_comes_after_all in [false, true] {
        let video = units(Track::Video, 101);
        let (mut publisher, _) = server.publish(&hello(new_session(), Track::Video)).await;
        publisher.units(&video[..40]).await;
        publisher.units(&video[70..100]).await;
        assert_eq!(publisher.finish(100, middle()).await, (100, 70));
        let late = if lost_comes_after_all { &video[50..51] } else { &video[100..] };
        publisher.send(Message::binary(encoded(late))).await;
        assert_eq!(soon(publisher.error()).await.0.code, ErrorCode::SessionEnded);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_track_that_comes_late_takes_the_certificate_back_until_it_is_complete() {
    let server = TestServer::start(&[]).await;
    let session = new_session();
    let (mut video, _) = server.publish(&hello(session, Track::Video)).await;
    video.units(&units(Track::Video, 30)).await;
    video.finish(30, UnitRanges::new()).await;
    assert_eq!(certificate(&server, session).await.statement.tracks.len(), 1);
    let (mut audio, _) = server.publish(&hello(session, Track::Audio)).await;
    has_no_certificate(&server, session, "not complete").await;
    audio.units(&units(Track::Audio, 50)).await;
    audio.finish(50, UnitRanges::new()).await;
    assert_eq!(certificate(&server, session).await.statement.tracks.len(), 2);
}
