//! Which token may ask for what: every route, with every role, for the token's own room and for another one.
#![allow(clippy::unwrap_used)]

mod harness;

use harness::viewer::join;
use harness::{TestServer, hello, new_session, units};
use protocol::Track;
use protocol::control::PublisherMessage;
use protocol::error::ErrorCode;
use protocol::room::{IssuedToken, Rights, RoomList};
use tokio::net::TcpStream;

const TOKEN: [&str; 2] = ["--streaming-access-token", "correct-horse"];

async fn issue(server: &TestServer, with: &str, body: &str) -> Result<IssuedToken, (u16, ErrorCode)> {
    let answer = server.send("POST", &format!("/api/tokens?token={with}"), &[], body).await;
    if answer.status == 201 { Ok(answer.json()) } else { Err((answer.status, answer.code())) }
}

async fn token(server: &TestServer, role: &str, room: &str) -> String {
    let body = format!(r#"{{"role":"{role}","room":{room},"lasts_s":600}}"#);
    issue(server, "correct-horse", &body).await.unwrap().token
}

async fn publishes(server: &TestServer, token: &str, session: protocol::SessionId) -> Result<(), ErrorCode> {
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let url = format!("ws://{}/ws/audio?token={token}", server.address());
    let (socket, _) = harness::soon(tokio_tungstenite::client_async(url, stream)).await.unwrap();
    let mut publisher = harness::Publisher::over(socket);
    publisher.say(&PublisherMessage::Hello(hello(session, Track::Audio))).await;
    match publisher.next().await {
        protocol::control::ServerMessage::Welcome(_) => {
            publisher.units(&units(Track::Audio, 5)).await;
            publisher.acked(5).await;
            Ok(())
        }
        protocol::control::ServerMessage::Error(error) => Err(error.code),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_asks_for_what_it_needs() {
    let server = TestServer::start(&TOKEN).await;
    let (all, own, other) = ("null", "\"studio\"", "\"stage\"");
    let needs_view = |session: &str| {
        vec![
            ("GET", "/api/rooms/studio".to_owned()),
            ("GET", "/api/sessions?room=studio".to_owned()),
            ("GET", format!("/api/sessions/{session}")),
            ("GET", format!("/api/sessions/{session}/recording.mp4")),
        ]
    };
    let needs_administer = |session: &str| {
        vec![
            ("PUT", "/api/rooms/studio".to_owned()),
            ("GET", "/api/rooms/studio/viewers".to_owned()),
            ("DELETE", format!("/api/rooms/studio/viewers/{}", "0".repeat(32))),
            ("POST", format!("/api/rooms/studio/viewers/{}/ban", "0".repeat(32))),
            ("DELETE", format!("/api/rooms/studio/viewers/{}/ban", "0".repeat(32))),
            ("DELETE", "/api/rooms/studio/chat/1".to_owned()),
            ("POST", format!("/api/rooms/studio/tokens/{}/ban", "0".repeat(32))),
            ("DELETE", format!("/api/rooms/studio/tokens/{}/ban", "0".repeat(32))),
            ("POST", format!("/api/sessions/{session}/ban")),
            ("POST", format!("/api/sessions/{session}/end")),
            ("DELETE", format!("/api/sessions/{session}")),
            ("DELETE", "/api/rooms/studio".to_owned()),
        ]
    };
    for (role, room, views, may_publish, administers) in [
        ("view", all, true, false, false),
        ("view", own, true, false, false),
        ("view", other, false, false, false),
        ("publish", all, true, true, false),
        ("publish", own, true, true, false),
        ("publish", other, false, false, false),
        ("administer", other, false, false, false),
        ("administer", own, true, true, true),
        ("administer", all, true, true, true),
    ] {
        let session = new_session();
        publishes(&server, "correct-horse", session).await.unwrap();
        let token = token(&server, role, room).await;
        let allowed = async |method: &str, path: &str| {
            let mark = if path.contains('?') { '&' } else { '?' };
            let answer = server.request(method, &format!("{path}{mark}token={token}"), &[]).await;
            assert!(answer.status != 401 && answer.status < 500, "{method} {path}: {answer:?}");
            assert_eq!(answer.status == 403, answer.status >= 400 && answer.code() == ErrorCode::Forbidden);
            answer.status != 403
        };
        for (method, path) in needs_view(&session.to_string()) {
            assert_eq!(allowed(method, &path).await, views, "{role} {room}: {method} {path}");
        }
        let published = publishes(&server, &token, new_session()).await;
        assert_eq!(published, if may_publish { Ok(()) } else { Err(ErrorCode::Forbidden) }, "{role} {room}");
        let query = format!("?token={token}");
        if views {
            let viewer = server.watch("studio", &query, join(None, None)).await;
            assert_eq!(viewer.rights, Rights { publish: may_publish, administer: administers });
        } else {
            let refused = server.refused_handshake(&format!("/ws/rooms/studio{query}"), &[]).await;
            assert_eq!((refused.0, refused.1.code), (403, ErrorCode::Forbidden));
        }
        for (method, path) in needs_administer(&session.to_string()) {
            assert_eq!(allowed(method, &path).await, administers, "{role} {room}: {method} {path}");
        }
        for path in ["/api/audit", "/api/tokens/banned"] {
            assert_eq!(allowed("GET", path).await, role == "administer", "{role} {room} {path}");
        }
        let revoke = format!("/api/tokens/{}/revoke", "0".repeat(32));
        let may_revoke = role == "administer" && room == all;
        assert_eq!(allowed("POST", &revoke).await, may_revoke, "{role} {room}");
        // Every token is right, and lists what it may see.
        assert!(allowed("GET", "/api/access").await && allowed("GET", "/api/sessions").await);
        let listed: RoomList = server.get(&format!("/api/rooms{query}")).await.json();
        assert!(listed.rooms.iter().all(|room| views || room.name.as_str() != "studio"), "{role} {room}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_away_more_than_it_has_or_for_longer() {
    let server = TestServer::start(&TOKEN).await;
    let publisher =
        issue(&server, "correct-horse", r#"{"role":"publish","room":"studio","lasts_s":60}"#).await.unwrap();
    let invited =
        issue(&server, &publisher.token, r#"{"role":"view","room":"studio","lasts_s":9999}"#).await.unwrap();
    assert_eq!(invited.ends_unix_ms, publisher.ends_unix_ms / 1_000 * 1_000);
    for (with, body, code) in [
        (&publisher.token, r#"{"role":"view","room":"stage"}"#, ErrorCode::Forbidden),
        (&publisher.token, r#"{"role":"view"}"#, ErrorCode::Forbidden),
        (&publisher.token, r#"{"role":"publish","room":"studio"}"#, ErrorCode::Forbidden),
        (&invited.token, r#"{"role":"view","room":"studio"}"#, ErrorCode::Forbidden),
        (&"correct-horse".to_owned(), "", ErrorCode::BadRequest),
        (&"correct-horse".to_owned(), "[]", ErrorCode::BadRequest),
        (&"correct-horse".to_owned(), r#"{"role":"owner"}"#, ErrorCode::BadRequest),
        (&"correct-horse".to_owned(), r#"{"role":"view","lasts_s":0}"#, ErrorCode::BadRequest),
        (&"correct-horse".to_owned(), r#"{"role":"view","extra":1}"#, ErrorCode::BadRequest),
        (&"wrong".to_owned(), r#"{"role":"view"}"#, ErrorCode::Unauthorized),
    ] {
        assert_eq!(issue(&server, with, body).await.unwrap_err().1, code, "{body}");
    }
    let large = format!(r#"{{"role":"view","name":"{}"}}"#, "a".repeat(5_000));
    assert_eq!(issue(&server, "correct-horse", &large).await.unwrap_err(), (413, ErrorCode::TooLarge));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_ends_what_it_opened() {
    let server = TestServer::start(&TOKEN).await;
    let short = issue(&server, "correct-horse", r#"{"role":"view","lasts_s":1}"#).await.unwrap().token;
    let mut viewer = server.watch("studio", &format!("?token={short}"), join(None, None)).await;
    assert_eq!(viewer.end().await.0.code, ErrorCode::Unauthorized);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_outlive_a_restart_and_servers_with_one_secret_share_them() {
    let server = TestServer::start(&TOKEN).await;
    let kept = token(&server, "view", "null").await;
    let folder = server.stop().await;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let key = std::fs::metadata(folder.path().join("token.key")).unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
    }
    let works = async |server: &TestServer, token: &str| {
        server.get(&format!("/api/access?token={token}")).await.status == 204
    };
    let server = TestServer::start_in(folder, &TOKEN).await;
    assert!(works(&server, &kept).await);
    server.stop().await;
    let shared = ["--token-secret", "battery-staple-battery-staple-32"];
    let args: Vec<&str> = TOKEN.into_iter().chain(shared).collect();
    let (one, two) = (TestServer::start(&args).await, TestServer::start(&args).await);
    let token = token(&one, "view", "null").await;
    assert!(works(&two, &token).await && !works(&two, &kept).await);
    one.stop().await;
    two.stop().await;
}
