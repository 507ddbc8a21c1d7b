//! Who administers a room can end sessions, remove and ban viewers, delete messages and close the room; all of it takes
//! effect at once, survives a restart, and is in the audit log.
#![allow(clippy::unwrap_used)]

mod harness;

use harness::viewer::{Viewer, join};
use harness::{Answer, Publisher, TestServer, hello, new_session, soon, units};
use protocol::Track;
use protocol::api::SessionStatus;
use protocol::control::PublisherMessage;
use protocol::error::ErrorCode;
use protocol::room::{AuditAction, AuditList, IssuedToken, Role, RoomList, RoomMessage, ViewerList};
use testkit::webrtc::{Endpoint, News, Offer, Peer};

const TOKEN: [&str; 2] = ["--streaming-access-token", "correct-horse"];
const SHARED: (&str, &str) = ("authorization", "Bearer correct-horse");

/// Does something as the administrator.
async fn administer(server: &TestServer, method: &str, path: &str, body: &str) -> Answer {
    server.send(method, path, &[SHARED], body).await
}

async fn viewer(server: &TestServer, alias: &str) -> Viewer {
    server.watch("studio", "?token=correct-horse", join(Some(alias), None)).await
}

async fn audit(server: &TestServer) -> Vec<(AuditAction, Option<String>)> {
    let answer = server.request("GET", "/api/audit", &[SHARED]).await;
    let list: AuditList = answer.json();
    assert!(list.entries.iter().all(|entry| entry.role == Role::Administer && entry.name == "shared token"));
    list.entries.into_iter().rev().map(|entry| (entry.action, entry.target)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_banned_viewer_leaves_at_once_and_stays_out_also_after_a_restart() {
    let server = TestServer::start(&TOKEN).await;
    let mut mallory = viewer(&server, "Mallory").await;
    let mut anna = viewer(&server, "Anna").await;
    // What its token lets it do: watch this room, and nothing else.
    let query = format!("?token={}", mallory.token);
    assert_eq!(server.get(&format!("/api/rooms/studio{query}")).await.status, 200);
    assert_eq!(server.get(&format!("/api/rooms/stage{query}")).await.code(), ErrorCode::Forbidden);

    let ban = format!("/api/rooms/studio/viewers/{}/ban", mallory.id);
    let refused = server.send("POST", &format!("{ban}?token={}", anna.token), &[], "").await;
    assert_eq!((refused.status, refused.code()), (403, ErrorCode::Forbidden));
    assert_eq!(administer(&server, "POST", &ban, "").await.status, 204);
    assert_eq!(mallory.end().await, (mallory_removed(), ErrorCode::Removed.close_code()));
    anna.count(1).await;
    for path in ["/api/rooms/studio", "/api/sessions", "/api/access"] {
        let answer = server.get(&format!("{path}{query}")).await;
        assert_eq!((answer.status, answer.code()), (403, ErrorCode::Removed), "{path}");
    }
    assert_eq!(
        server.refused_handshake(&format!("/ws/rooms/studio{query}"), &[]).await.1.code,
        ErrorCode::Removed
    );
    let again = join(Some("Mallory"), Some(&mallory.token));
    let refused = server.refused_viewer("studio", "?token=correct-horse", again.clone()).await;
    assert_eq!(refused.code, ErrorCode::Removed);
    let folder = server.stop().await;

    let server = TestServer::start_in(folder, &TOKEN).await;
    assert_eq!(server.get(&format!("/api/rooms/studio{query}")).await.code(), ErrorCode::Removed);
    let back = server.watch("studio", &format!("?token={}", anna.token), join(None, None)).await;
    assert_eq!(back.id, anna.id, "others are known again");
    assert_eq!(administer(&server, "DELETE", &ban, "").await.status, 204);
    assert_eq!(administer(&server, "DELETE", &ban, "").await.status, 404);
    let back = server.watch("studio", "?token=correct-horse", again).await;
    assert_eq!(back.id, mallory.id);
    // A ban for a time that is over.
    assert_eq!(administer(&server, "POST", &ban, r#"{"lasts_s":0}"#).await.status, 204);
    assert_eq!(server.get(&format!("/api/rooms/studio{query}")).await.status, 200);
    let target = Some(mallory.id.to_string());
    let banned = (AuditAction::ViewerBanned, target.clone());
    let expected = [banned.clone(), (AuditAction::BanLifted, target), banned];
    assert_eq!(audit(&server).await, expected);
    server.stop().await;
}

fn mallory_removed() -> protocol::error::ErrorBody {
    protocol::error::ErrorBody::new(ErrorCode::Removed, "who moderates this room has banned you from it")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_viewer_may_come_back_and_a_deleted_message_is_gone() {
    let server = TestServer::start(&TOKEN).await;
    let mut ben = viewer(&server, "Ben").await;
    let mut anna = viewer(&server, "Anna").await;
    ben.chat("a").await;
    ben.chat("b").await;
    let number = anna.next_chat().await.number;
    assert_eq!(
        administer(&server, "DELETE", &format!("/api/rooms/studio/chat/{number}"), "").await.status,
        204
    );
    anna.until(|message| (*message == RoomMessage::ChatDeleted { number }).then_some(())).await;
    assert_eq!(
        administer(&server, "DELETE", &format!("/api/rooms/studio/chat/{number}"), "").await.status,
        404
    );
    assert_eq!(administer(&server, "DELETE", "/api/rooms/studio/chat/x", "").await.status, 400);

    let listed: ViewerList = administer(&server, "GET", "/api/rooms/studio/viewers", "").await.json();
    let aliases: Vec<_> = listed.viewers.iter().filter_map(|viewer| viewer.alias.as_deref()).collect();
    assert!(aliases.len() == 2 && aliases.contains(&"Anna") && aliases.contains(&"Ben"), "{aliases:?}");
    let remove = format!("/api/rooms/studio/viewers/{}", ben.id);
    assert_eq!(administer(&server, "DELETE", &remove, "").await.status, 204);
    assert_eq!(ben.end().await.0.code, ErrorCode::Removed);
    anna.count(1).await;
    assert_eq!(administer(&server, "DELETE", &remove, "").await.status, 404);
    assert_eq!(administer(&server, "DELETE", "/api/rooms/studio/viewers/x", "").await.status, 400);
    let back = server.watch("studio", "?token=correct-horse", join(None, Some(&ben.token))).await;
    assert_eq!((&back.id, back.chat.len()), (&ben.id, 1));
    let expected = [
        (AuditAction::ChatDeleted, Some(number.to_string())),
        (AuditAction::ViewerRemoved, Some(ben.id.to_string())),
    ];
    assert_eq!(audit(&server).await, expected);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_session_takes_no_more_and_keeps_what_arrived() {
    let server = TestServer::start(&[]).await;
    let mut anna = server.watch("studio", "", join(None, None)).await;
    let hello = hello(new_session(), Track::Audio);
    let (mut publisher, _) = server.publish(&hello).await;
    publisher.units(&units(Track::Audio, 30)).await;
    publisher.acked(30).await;
    anna.until(|message| matches!(message, RoomMessage::Session(_)).then_some(())).await;
    let end = format!("/api/sessions/{}/end", hello.session);
    assert_eq!(server.send("POST", &end, &[], "").await.status, 204);
    let (error, close_code) = publisher.error().await;
    assert_eq!((error.code, close_code), (ErrorCode::SessionEnded, ErrorCode::SessionEnded.close_code()));
    assert!(!error.retryable, "it does not come back by itself");
    anna.until(|message| (*message == RoomMessage::SessionEnded { id: hello.session }).then_some(())).await;
    let session =
        server.session_when(hello.session, |session| session.status == SessionStatus::Abandoned).await;
    assert_eq!(session.audio.unwrap().durable_units, 30);
    let refused = async |server: &TestServer| {
        let mut publisher = server.connect(Track::Audio).await;
        publisher.say(&PublisherMessage::Hello(hello.clone())).await;
        publisher.error().await.0.code
    };
    assert_eq!(refused(&server).await, ErrorCode::SessionEnded);
    let unknown = format!("/api/sessions/{}/end", new_session());
    assert_eq!(server.send("POST", &unknown, &[], "").await.status, 404);
    let folder = server.stop().await;
    let server = TestServer::start_in(folder, &[]).await;
    assert_eq!(refused(&server).await, ErrorCode::SessionEnded);
    let recording = server.get(&format!("/api/sessions/{}/recording.mp4", hello.session)).await;
    assert_eq!(recording.status, 200);
    let entries: AuditList = server.get("/api/audit").await.json();
    let [entry] = &entries.entries[..] else { panic!("{entries:?}") };
    assert_eq!((entry.action, entry.name.as_str()), (AuditAction::SessionEnded, "this machine"));
    assert_eq!((entry.room.as_ref(), &entry.target), (Some(&hello.room), &Some(hello.session.to_string())));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_room_ends_its_sessions_and_sends_everybody_away() {
    let server = TestServer::start(&[]).await;
    let made = server.send("PUT", "/api/rooms/studio", &[], "").await;
    assert_eq!((made.status, server.send("PUT", "/api/rooms/studio", &[], "").await.status), (201, 200));
    let mut anna = server.watch("studio", "", join(Some("Anna"), None)).await;
    let mut elsewhere = server.watch("stage", "", join(Some("Eve"), None)).await;
    anna.chat("hello").await;
    let hello = hello(new_session(), Track::Audio);
    let (mut publisher, _) = server.publish(&hello).await;
    assert_eq!(server.request("DELETE", "/api/rooms/studio", &[]).await.status, 204);
    assert_eq!(publisher.error().await.0.code, ErrorCode::RoomClosed);
    assert_eq!(anna.end().await.0.code, ErrorCode::RoomClosed);
    elsewhere.chat("nothing happened here").await;
    assert_eq!(elsewhere.next_chat().await.number, 1);
    assert_eq!(server.request("DELETE", "/api/rooms/studio", &[]).await.status, 404);
    // It may be opened again, and is another one.
    let again = server.watch("studio", "", join(None, None)).await;
    assert_eq!((again.chat.len(), again.room.sessions.len()), (0, 0));
    let folder = server.stop().await;

    // A room that was made beforehand is there after a restart; one that was closed is not.
    let server = TestServer::start_in(folder, &[]).await;
    server.send("PUT", "/api/rooms/later", &[], "").await;
    let folder = server.stop().await;
    let server = TestServer::start_in(folder, &[]).await;
    let listed: RoomList = server.get("/api/rooms").await.json();
    assert_eq!(listed.rooms.iter().map(|room| room.name.as_str()).collect::<Vec<_>>(), ["later"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_page_changes_nothing() {
    // Without a token a browser's own page could do everything: only the Origin tells a foreign one.
    let server = TestServer::start(&[]).await;
    let hello = hello(new_session(), Track::Audio);
    let (mut publisher, _) = server.publish(&hello).await;
    publisher.units(&units(Track::Audio, 5)).await;
    let mut anna = server.watch("studio", "", join(Some("Anna"), None)).await;
    anna.chat("hello").await;
    anna.next_chat().await;
    let id = &anna.id;
    for origin in ["https://evil.example", "null"] {
        for (method, path, body) in [
            ("POST", format!("/api/sessions/{}/end", hello.session), ""),
            ("DELETE", format!("/api/sessions/{}", hello.session), ""),
            ("PUT", "/api/rooms/stage".to_owned(), ""),
            ("DELETE", "/api/rooms/studio".to_owned(), ""),
            ("DELETE", format!("/api/rooms/studio/viewers/{id}"), ""),
            ("POST", format!("/api/rooms/studio/viewers/{id}/ban"), ""),
            ("DELETE", format!("/api/rooms/studio/viewers/{id}/ban"), ""),
            ("DELETE", "/api/rooms/studio/chat/1".to_owned(), ""),
            ("POST", "/api/tokens".to_owned(), r#"{"role":"administer"}"#),
            ("POST", format!("/api/sessions/{}/ban", hello.session), ""),
            ("POST", format!("/api/rooms/studio/tokens/{}/ban", "0".repeat(32)), ""),
            ("POST", format!("/api/tokens/{}/revoke", "0".repeat(32)), ""),
        ] {
            // As a form would send it, which asks no leave first.
            let headers = [("origin", origin), ("content-type", "text/plain")];
            let answer = server.send(method, &path, &headers, body).await;
            assert_eq!((answer.status, answer.code()), (403, ErrorCode::ForbiddenOrigin), "{method} {path}");
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
        let headers = [("origin", origin)];
        let refused = server.refused_handshake("/ws/rooms/studio", &headers).await;
        assert_eq!(refused.1.code, ErrorCode::ForbiddenOrigin);
    }
    let listed: RoomList = server.get("/api/rooms").await.json();
    assert_eq!((listed.rooms.len(), listed.rooms[0].viewers, listed.rooms[0].sessions.len()), (1, 1, 1));
    let log: AuditList = server.get("/api/audit").await.json();
    assert_eq!(log.entries, []);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_page_neither_watches_nor_publishes_nor_ends_who_does() {
    let server = TestServer::start(&[]).await;
    let endpoint = Endpoint::new(server.address().parse().unwrap());
    let mut publisher = Peer::publish(&endpoint, "studio").await.unwrap();
    let hello = hello(new_session(), Track::Audio);
    let (mut sound, _) = server.publish(&hello).await;
    sound.units(&units(Track::Audio, 5)).await;
    let mut viewer = Peer::watch(&endpoint, &hello.session.to_string()).await.unwrap();
    let offer = Offer::new(true).await.unwrap();
    let fragment = "a=mid:0\r\na=end-of-candidates\r\n";
    for origin in ["https://evil.example", "null"] {
        let mut requests = vec![
            ("POST", format!("/whep/{}", hello.session), "application/sdp", offer.text.as_str()),
            ("POST", "/whep/studio".to_owned(), "text/plain", offer.text.as_str()),
            ("POST", "/whip/studio".to_owned(), "application/sdp", offer.text.as_str()),
        ];
        for peer in [&publisher, &viewer] {
            let resource = peer.answer.location.clone().unwrap();
            requests.push(("PATCH", resource.clone(), "application/trickle-ice-sdpfrag", fragment));
            requests.push(("DELETE", resource, "text/plain", ""));
        }
        for (method, path, kind, body) in requests {
            let headers = [("origin", origin), ("content-type", kind), ("if-match", "*")];
            let answer = server.send(method, &path, &headers, body).await;
            assert_eq!((answer.status, answer.code()), (403, ErrorCode::ForbiddenOrigin), "{method} {path}");
            for header in ["access-control-allow-origin", "location"] {
                assert_eq!(answer.header(header), None, "{method} {path}");
            }
        }
    }
    // Both are there all the same: each is still asked for pictures, or gets sound.
    soon(publisher.wait_for(|news| *news == News::KeyRequest)).await.unwrap();
    sound.units(&units(Track::Audio, 10)).await;
    soon(viewer.wait_for(|news| matches!(news, News::Unit(_)))).await.unwrap();
    for peer in [&publisher, &viewer] {
        assert_eq!(peer.delete(&endpoint).await.unwrap(), 200);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_names_who_and_comes_in_pages() {
    let server = TestServer::start(&TOKEN).await;
    let token = |role: &str, room: &str, name: &str| {
        let body = format!(r#"{{"role":"{role}","room":{room},"name":"{name}"}}"#);
        let server = &server;
        async move {
            let answer = administer(server, "POST", "/api/tokens", &body).await;
            assert_eq!(answer.status, 201, "{answer:?}");
            answer.json::<IssuedToken>().token
        }
    };
    let anna = token("administer", "\"studio\"", "Anna").await;
    token("view", "null", "Ben").await;
    for number in 0..3 {
        // Anna moderates one room only.
        let path = |room: &str| format!("/api/rooms/{room}?token={anna}");
        assert_eq!(
            server.send("PUT", &path("studio"), &[], "").await.status,
            if number == 0 { 201 } else { 200 }
        );
        assert_eq!(server.send("PUT", &path("stage"), &[], "").await.status, 403);
    }
    let names = |list: AuditList| {
        let entries = list.entries.into_iter().map(|entry| (entry.name, entry.action, entry.target));
        (entries.collect::<Vec<_>>(), list.next_before)
    };
    let issued = |name: &str| ("shared token".to_owned(), AuditAction::TokenIssued, Some(name.to_owned()));
    let made = ("Anna".to_owned(), AuditAction::RoomMade, None);
    let ask = async |query: &str| -> AuditList { server.get(&format!("/api/audit{query}")).await.json() };
    let page = names(ask("?token=correct-horse&limit=2").await);
    assert_eq!(page, (vec![made.clone(), issued("Ben")], Some(2)));
    let page = names(ask("?token=correct-horse&limit=2&before=2").await);
    assert_eq!(page, (vec![issued("Anna")], None));
    // What happened in its room, and nothing of others.
    let page = names(ask(&format!("?token={anna}")).await);
    assert_eq!(page, (vec![made, issued("Anna")], None));
    assert_eq!(server.get("/api/audit?token=correct-horse&limit=x").await.status, 400);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_banned_viewer_loses_the_picture_and_every_playlist_and_others_do_not() {
    let server = TestServer::start(&TOKEN).await;
    let anna = viewer(&server, "Anna").await;
    let mut mallory = viewer(&server, "Mallory").await;
    let stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let url = format!("ws://{}/ws/audio?token=correct-horse", server.address());
    let (socket, _) = soon(tokio_tungstenite::client_async(url, stream)).await.unwrap();
    let mut publisher = Publisher::over(socket);
    let hello = hello(new_session(), Track::Audio);
    publisher.say(&PublisherMessage::Hello(hello.clone())).await;
    publisher.welcome().await;
    let endpoint = |token: &str| Endpoint::new(server.address().parse().unwrap()).with_token(token);
    let mut watching = Vec::new();
    for token in [&anna.token, &mallory.token] {
        let peer = soon(Peer::watch(&endpoint(token), &hello.session.to_string())).await.unwrap();
        watching.push(peer);
    }
    let sound = units(Track::Audio, 100);
    publisher.units(&sound[..50]).await;
    for peer in &mut watching {
        soon(peer.unit()).await.unwrap();
    }
    publisher.acked(50).await;
    let playlist = |token: &str| format!("/hls/{}/audio/index.m3u8?token={token}", hello.session);
    assert_eq!(server.get(&playlist(&mallory.token)).await.status, 200);

    let ban = format!("/api/rooms/studio/viewers/{}/ban", mallory.id);
    assert_eq!(administer(&server, "POST", &ban, "").await.status, 204);
    assert_eq!(mallory.end().await.0.code, ErrorCode::Removed);
    let [kept, lost] = &mut watching[..] else { panic!("two watch") };
    soon(lost.wait_for(|news| *news == News::Closed)).await.unwrap();
    assert_eq!(server.get(&playlist(&mallory.token)).await.code(), ErrorCode::Removed);
    assert!(Peer::watch(&endpoint(&mallory.token), "studio").await.is_err());
    publisher.units(&sound[50..]).await;
    soon(kept.unit()).await.unwrap();
    assert_eq!(server.get(&playlist(&anna.token)).await.status, 200);
    server.stop().await;
}
