//! A token can be kept out of a room, or revoked: at once, on every way in, and after a restart.
#![allow(clippy::unwrap_used)]

mod harness;

use harness::viewer::join;
use harness::{Publisher, TestServer, config, hello, new_session, soon, units};
use ingest_server::revoke_token;
use protocol::control::{PublisherMessage, ServerMessage};
use protocol::error::ErrorCode;
use protocol::room::{AuditAction, AuditList, IssuedToken, TokenBanList, ViewerList};
use protocol::{SessionId, Track};
use testkit::webrtc::{Endpoint, News, Offer, Peer};
use tokio::net::TcpStream;

const TOKEN: [&str; 2] = ["--streaming-access-token", "correct-horse"];
const SHARED: (&str, &str) = ("authorization", "Bearer correct-horse");

async fn issue(server: &TestServer, role: &str, room: &str) -> IssuedToken {
    let body = format!(r#"{{"role":"{role}","room":{room}}}"#);
    server.send("POST", "/api/tokens", &[SHARED], &body).await.json()
}

/// Publishes sound, and says when it does not come so far.
async fn publishes(
    server: &TestServer,
    token: &str,
    session: SessionId,
) -> Result<Publisher<TcpStream>, ErrorCode> {
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let url = format!("ws://{}/ws/audio?token={token}", server.address());
    let (socket, _) =
        soon(tokio_tungstenite::client_async(url, stream)).await.map_err(|_| ErrorCode::Unauthorized)?;
    let mut publisher = Publisher::over(socket);
    publisher.say(&PublisherMessage::Hello(hello(session, Track::Audio))).await;
    match publisher.next().await {
        ServerMessage::Welcome(_) => {
            publisher.units(&units(Track::Audio, 5)).await;
            publisher.acked(5).await;
            Ok(publisher)
        }
        ServerMessage::Error(error) => Err(error.code),
        other => panic!("{other:?}"),
    }
}

async fn whip(server: &TestServer, token: &str) -> u16 {
    let offer = Offer::new(false).await.unwrap();
    let endpoint = Endpoint::new(server.address().parse().unwrap()).with_token(token);
    endpoint.offer("/whip/studio", &offer.text).await.unwrap().status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_banned_publisher_cannot_publish_again_by_its_token() {
    let server = TestServer::start(&TOKEN).await;
    let [mallory, anna] = [issue(&server, "publish", "null").await, issue(&server, "publish", "null").await];
    let session = new_session();
    let mut publisher = publishes(&server, &mallory.token, session).await.unwrap();
    let ban = format!("/api/sessions/{session}/ban");
    let refused = server.send("POST", &format!("{ban}?token={}", anna.token), &[], "").await;
    assert_eq!((refused.status, refused.code()), (403, ErrorCode::Forbidden));
    assert_eq!(server.send("POST", &ban, &[SHARED], "").await.status, 204);
    assert_eq!(publisher.error().await.0.code, ErrorCode::SessionEnded);

    let outcome = async |server: &TestServer, token: &str| {
        (publishes(server, token, new_session()).await.err(), whip(server, token).await)
    };
    assert_eq!(outcome(&server, &mallory.token).await, (Some(ErrorCode::Removed), 403));
    assert_eq!(outcome(&server, &anna.token).await, (None, 201));
    let elsewhere = server.get(&format!("/api/rooms/stage?token={}", mallory.token)).await;
    assert_eq!(elsewhere.code(), ErrorCode::NotFound, "other rooms are open to it");
    let here = server.get(&format!("/api/rooms/studio?token={}", mallory.token)).await;
    assert_eq!(here.code(), ErrorCode::Removed);
    let folder = server.stop().await;

    let server = TestServer::start_in(folder, &TOKEN).await;
    assert_eq!(outcome(&server, &mallory.token).await, (Some(ErrorCode::Removed), 403));
    let lift = format!("/api/rooms/studio/tokens/{}/ban", mallory.id);
    assert_eq!(server.request("DELETE", &lift, &[SHARED]).await.status, 204);
    assert_eq!(server.request("DELETE", &lift, &[SHARED]).await.status, 404);
    assert_eq!(outcome(&server, &mallory.token).await, (None, 201));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_is_banned_while_it_publishes_stops() {
    let server = TestServer::start(&TOKEN).await;
    let mallory = issue(&server, "publish", "\"studio\"").await;
    let endpoint = Endpoint::new(server.address().parse().unwrap()).with_token(&mallory.token);
    let mut publisher = Peer::publish(&endpoint, "studio").await.unwrap();
    let ban = format!("/api/rooms/studio/tokens/{}/ban", mallory.id);
    assert_eq!(server.send("POST", &ban, &[SHARED], "").await.status, 204);
    while soon(publisher.next()).await.unwrap() != News::Closed {}
    assert_eq!(whip(&server, &mallory.token).await, 403);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_own_token_cannot_be_banned_and_the_answer_says_what_to_do() {
    let server = TestServer::start(&TOKEN).await;
    let session = new_session();
    let _publisher = publishes(&server, "correct-horse", session).await.unwrap();
    let answer = server.send("POST", &format!("/api/sessions/{session}/ban"), &[SHARED], "").await;
    assert_eq!((answer.status, answer.code()), (400, ErrorCode::BadRequest));
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(text.contains("tokens with a role"), "{text}");
    assert!(publishes(&server, "correct-horse", new_session()).await.is_ok());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_link_lets_nobody_in_and_sends_away_who_came_by_it() {
    let server = TestServer::start(&TOKEN).await;
    let [link, other] =
        [issue(&server, "view", "\"studio\"").await, issue(&server, "view", "\"studio\"").await];
    let by = |token: &str| format!("?token={token}");
    let mut mallory = server.watch("studio", &by(&link.token), join(Some("Mallory"), None)).await;
    let mut anna = server.watch("studio", &by(&other.token), join(Some("Anna"), None)).await;
    let list: ViewerList = server.request("GET", "/api/rooms/studio/viewers", &[SHARED]).await.json();
    let came = list.viewers.iter().find(|viewer| viewer.viewer == mallory.id).unwrap().token;
    assert_eq!(came, Some(link.id), "whose link it is can be seen");

    let revoke = format!("/api/tokens/{}/revoke", link.id);
    let refused = server.request("POST", &format!("{revoke}{}", by(&other.token)), &[]).await;
    assert_eq!((refused.status, refused.code()), (403, ErrorCode::Forbidden));
    assert_eq!(server.request("POST", &revoke, &[SHARED]).await.status, 204);
    assert_eq!(mallory.end().await.0.code, ErrorCode::Unauthorized);
    anna.count(1).await;
    let refused = async |server: &TestServer, token: &str| {
        let answer = server.get(&format!("/api/rooms/studio{}", by(token))).await;
        (answer.status == 401).then(|| answer.code())
    };
    for token in [&link.token, &mallory.token] {
        assert_eq!(refused(&server, token).await, Some(ErrorCode::Unauthorized));
    }
    assert_eq!(refused(&server, &other.token).await, None);

    let folder = server.stop().await;
    let server = TestServer::start_in(folder, &TOKEN).await;
    for token in [&link.token, &mallory.token] {
        assert_eq!(refused(&server, token).await, Some(ErrorCode::Unauthorized));
    }
    let list: TokenBanList = server.request("GET", "/api/tokens/banned", &[SHARED]).await.json();
    assert_eq!(
        list.bans.iter().map(|ban| (ban.token, ban.room.clone())).collect::<Vec<_>>(),
        [(link.id, None)]
    );
    let audit: AuditList = server.request("GET", "/api/audit", &[SHARED]).await.json();
    let entry = audit.entries.iter().find(|entry| entry.action == AuditAction::TokenBanned).unwrap();
    assert_eq!(entry.target, Some(link.id.to_string()));

    // By the command, while the server runs.
    let mut anna = server.watch("studio", &by(&other.token), join(None, Some(&anna.token))).await;
    let config = config(server.folder.path(), &TOKEN);
    assert_eq!(revoke_token(&config, &other.token).await.unwrap(), other.id);
    assert_eq!(anna.end().await.0.code, ErrorCode::Unauthorized);
    assert_eq!(refused(&server, &other.token).await, Some(ErrorCode::Unauthorized));
    assert!(revoke_token(&config, "garbage").await.is_err());
    server.stop().await;
}
