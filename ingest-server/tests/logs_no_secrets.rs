//! No token, no resume key, no chat text and no address of a WebRTC peer appears in any log line, whatever is logged by whom.
#![allow(clippy::unwrap_used)]

mod harness;

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use harness::encoded::audio;
use harness::viewer::join;
use harness::{TestServer, hello_with, new_session, units};
use ingest_server::log::discreet;
use protocol::api::SessionList;
use protocol::control::PublisherMessage;
use protocol::room::IssuedToken;
use protocol::{Track, UnitRanges};
use testkit::units::params;
use testkit::webrtc::{Endpoint, News, Peer};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Kept {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

// One test in its own program, since it listens to everything that is logged in it.
#[tokio::test(flavor = "multi_thread")]
async fn at_trace_level_no_token_no_resume_key_and_no_chat_appears() {
    let kept = Kept::default();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(discreet(EnvFilter::new("trace")))
        .with_span_events(FmtSpan::FULL)
        .with_writer(kept.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let token = "token-aXzQ81";
    let secret = "signing-cRt93-signing-cRt93-signing";
    let server = TestServer::start(&["--streaming-access-token", token, "--token-secret", secret]).await;
    let session = new_session();
    let key = [0xd7; 16];
    let key_text = "d7".repeat(16);

    // Right and wrong tokens, in header and query, on sockets and on the API.
    for (path, headers) in [
        ("/ws/video?token=wrong-bYw7", vec![]),
        ("/ws/video", vec![("authorization", "Bearer wrong-bYw7")]),
        ("/ws/video", vec![("authorization", "Basic wrong-bYw7")]),
        ("/ws/video?token=token-aXzQ81", vec![("origin", "https://evil.example")]),
    ] {
        server.refused_handshake(path, &headers).await;
    }
    for path in
        ["/api/sessions?token=token-aXzQ81", "/api/sessions?token=wrong-bYw7", "/api/none?token=token-aXzQ81"]
    {
        server.get(path).await;
    }
    server.request("GET", "/api/sessions", &[("authorization", "Bearer token-aXzQ81")]).await;
    server.request("GET", "/api/sessions", &[("authorization", "Bearer wrong-bYw7")]).await;
    server.raw(b"GET /api/sessions?token=token-aXzQ81 HTTP/9.9\r\n\r\n").await;

    // A session, a stranger's key, and hellos that break behind the key.
    let connect = |path: String| {
        let address = server.address();
        async move {
            let stream = tokio::net::TcpStream::connect(&address).await.unwrap();
            let url = format!("ws://{address}{path}");
            let (socket, _) = harness::soon(tokio_tungstenite::client_async(url, stream)).await.unwrap();
            harness::Publisher::over(socket)
        }
    };
    let path = format!("/ws/audio?token={token}");
    let hello = hello_with(session, Track::Audio, vec![params(Track::Audio)], key);
    let mut publisher = connect(path.clone()).await;
    publisher.say(&PublisherMessage::Hello(hello.clone())).await;
    publisher.welcome().await;
    publisher.units(&units(Track::Audio, 30)).await;
    publisher.finish(30, UnitRanges::new()).await;
    let mut stranger = connect(path.clone()).await;
    let strange = hello_with(session, Track::Audio, vec![params(Track::Audio)], [0xe3; 16]);
    stranger.say(&PublisherMessage::Hello(strange)).await;
    stranger.error().await;
    for (from, to) in [("\"version\":1", "\"version\":7"), ("studio", "../.."), ("\"audio\"", "\"smell\"")] {
        let text = PublisherMessage::Hello(hello.clone()).to_json().replacen(from, to, 1);
        let mut broken = connect(path.clone()).await;
        broken.send(tokio_tungstenite::tungstenite::Message::text(text)).await;
        broken.error().await;
    }
    publisher.leave().await;
    server.get(&format!("/api/sessions/{session}/recording.mp4?token={token}")).await;

    // Tokens with a role, a viewer's token, and what is said.
    let asked = format!("/api/tokens?token={token}");
    let issued: IssuedToken =
        server.send("POST", &asked, &[], r#"{"role":"view","room":"studio","name":"Anna"}"#).await.json();
    let mut viewer =
        server.watch("studio", &format!("?token={}", issued.token), join(Some("Ben"), None)).await;
    viewer.chat("whispered-dWq4").await;
    viewer.next_chat().await;
    let again = join(Some("Ben"), Some(&viewer.token));
    server.watch("studio", &format!("?token={}", viewer.token), again).await;
    let ban = format!("/api/rooms/studio/viewers/{}/ban?token={token}", viewer.id);
    server.send("POST", &ban, &[], "").await;
    viewer.end().await;
    server.get(&format!("/api/rooms?token={}", viewer.token)).await;
    server.get(&format!("/api/rooms?token={}x", issued.token)).await;

    // A browser that publishes, and one that watches; each comes from an address of its own.
    let endpoint = |token: &str| Endpoint::new(server.address().parse().unwrap()).with_token(token);
    let named = format!("{} {}", new_session(), "f5".repeat(16));
    let (sound, _) = audio(30);
    let mut publisher = Peer::publish(&endpoint(token).with_session(&named), "stage").await.unwrap();
    for packet in &sound {
        publisher.send(Track::Audio, &packet.payload, packet.pts_90k).await.unwrap();
    }
    publisher.news_until(Some(Instant::now() + Duration::from_millis(50))).await.unwrap();
    let streamed = harness::soon(async {
        loop {
            let list = server.request(
                "GET",
                "/api/sessions?room=stage",
                &[("authorization", "Bearer token-aXzQ81")],
            );
            let list: SessionList = list.await.json();
            if let Some(session) = list.sessions.into_iter().next() {
                return session.id;
            }
            publisher.news_until(Some(Instant::now() + Duration::from_millis(5))).await.unwrap();
        }
    })
    .await;
    let viewers = server.send("POST", &asked, &[], r#"{"role":"view","room":"stage"}"#).await;
    let viewers: IssuedToken = viewers.json();
    let mut watching = Peer::watch(&endpoint(&viewers.token), &streamed.to_string()).await.unwrap();
    watching.unit().await.unwrap();
    let over_tcp = Peer::watch_over_tcp(&endpoint(&viewers.token), &streamed.to_string()).await.unwrap();
    let addresses = [&publisher, &watching, &over_tcp].map(|peer| peer.local_address().to_string());
    let wrong = endpoint("wrong-bYw7").offer("/whep/stage", "v=0 wrong-bYw7").await.unwrap();
    assert_eq!(wrong.status, 401);
    let garbage =
        endpoint(token).with_session(&named).offer("/whip/stage", "v=0 garbage-eVr2").await.unwrap();
    assert_eq!(garbage.status, 400);
    let revoke = format!("/api/tokens/{}/revoke?token={token}", viewers.id);
    assert_eq!(server.send("POST", &revoke, &[], "").await.status, 204);
    while harness::soon(watching.next()).await.unwrap() != News::Closed {}
    publisher.delete(&endpoint(token)).await.unwrap();
    server.stop().await;

    let log = String::from_utf8_lossy(&kept.0.lock().unwrap()).into_owned();
    assert!(log.contains(&session.short()), "the log was listened to");
    assert!(log.contains("TRACE"), "at trace level");
    assert!(log.contains("viewer banned"), "what was done is logged");
    assert!(log.contains(&streamed.short()), "the browser's session is logged");
    let (issued, viewer) = (issued.token.as_str(), viewer.token.as_str());
    let [first, second, third] = addresses.each_ref().map(String::as_str);
    let browsers = [viewers.token.as_str(), first, second, third, "garbage-eVr2", &"f5".repeat(16)];
    for secret in browsers {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "a secret of a WebRTC peer was logged");
    }
    for secret in
        [token, "wrong-bYw7", &key_text, &"e3".repeat(16), "cRt93", issued, viewer, "whispered-dWq4"]
    {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "a secret was logged");
    }
}
