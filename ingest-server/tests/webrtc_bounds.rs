//! WHEP and WHIP against those who mean harm or err: bodies that are no offers, offers without a sequel, foreign pages.
#![allow(clippy::unwrap_used)]

mod harness;

use harness::{TestServer, hello, new_session, soon};
use protocol::Track;
use protocol::error::ErrorBody;
use testkit::webrtc::{Endpoint, Offer};

fn endpoint(server: &TestServer) -> Endpoint {
    Endpoint::new(server.address().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_offer_is_refused_with_a_reason() {
    let server = TestServer::start(&[]).await;
    let (_video, _) = server.publish(&hello(new_session(), Track::Video)).await;
    let endpoint = endpoint(&server);
    let offer = Offer::new(true).await.unwrap().text;
    let sends = Offer::new(false).await.unwrap().text;
    let sdp = "application/sdp";
    let huge = "a".repeat(64 * 1024 + 1);
    let vp8 = offer.replace("H264/90000", "VP8/90000").replace("opus/48000/2", "G722/8000");
    let many = format!("{offer}{}", "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n".repeat(100));
    for (path, kind, body, status) in [
        ("/whep/studio", sdp, "", 400),
        ("/whep/studio", sdp, "hello", 400),
        ("/whep/studio", sdp, "v=0\r\n", 400),
        ("/whep/studio", sdp, &offer[..offer.len() / 2], 400),
        ("/whep/studio", sdp, &*offer.replace("a=fingerprint", "a=finger"), 400),
        ("/whep/studio", sdp, &*offer.replace("a=ice-pwd", "a=ice"), 400),
        ("/whep/studio", sdp, &*vp8, 400),
        ("/whep/studio", sdp, &*many, 400),
        ("/whep/studio", sdp, &*sends, 400),
        ("/whip/studio", sdp, &*offer, 400),
        ("/whip/studio", sdp, "", 400),
        ("/whep/studio", sdp, &*huge, 413),
        ("/whep/studio", "text/plain", &*offer, 415),
        ("/whep/studio", "", &*offer, 415),
        ("/whip/studio", "application/json", &*sends, 415),
        ("/whep/empty", sdp, &*offer, 404),
        ("/whep/..%2f..", sdp, &*offer, 404),
        ("/whep/00000000-0000-7000-8000-000000000000", sdp, &*offer, 404),
        ("/whip/not%20a%20room", sdp, &*sends, 400),
    ] {
        let headers = [("content-type", kind)];
        let headers = if kind.is_empty() { &[][..] } else { &headers[..] };
        let answer = endpoint.request("POST", path, headers, body).await.unwrap();
        let start: String = body.chars().take(40).collect();
        assert_eq!(answer.status, status, "{path} {kind} {start:?}: {}", answer.body);
        let error: ErrorBody = serde_json::from_str(&answer.body).unwrap();
        assert!(!error.message.is_empty());
    }
    let not_text =
        endpoint.request("POST", "/whep/studio", &[("content-type", sdp)], vec![0xff; 100]).await.unwrap();
    assert_eq!(not_text.status, 400);
    // After all of it a good one is answered.
    assert_eq!(endpoint.offer("/whep/studio", &offer).await.unwrap().status, 201);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offers_without_a_sequel_are_bounded_and_make_room_again() {
    let server = TestServer::start(&["--opening-s", "5", "--max-webrtc", "4"]).await;
    let (_video, _) = server.publish(&hello(new_session(), Track::Video)).await;
    let endpoint = endpoint(&server);
    let offer = Offer::new(true).await.unwrap().text;
    for _ in 0..4 {
        assert_eq!(endpoint.offer("/whep/studio", &offer).await.unwrap().status, 201);
    }
    for path in ["/whep/studio", "/whip/studio"] {
        let full = endpoint.offer(path, &offer).await.unwrap();
        assert_eq!(full.status, 503, "{}", full.body);
    }
    // None of them has come; so there is room again.
    let mut peer = None;
    soon(async {
        while peer.is_none() {
            peer = testkit::webrtc::Peer::watch(&endpoint, "studio").await.ok();
        }
    })
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_peers_are_let_in_as_are_set_and_a_token_is_asked_for() {
    let server = TestServer::start(&[
        "--max-webrtc",
        "1",
        "--streaming-access-token",
        "secret",
        "--listen",
        "127.0.0.1",
    ])
    .await;
    let sends = Offer::new(false).await.unwrap().text;
    assert_eq!(endpoint(&server).offer("/whip/studio", &sends).await.unwrap().status, 401);
    let endpoint = endpoint(&server).with_token("secret");
    assert_eq!(endpoint.offer("/whip/studio", &sends).await.unwrap().status, 201);
    let full = endpoint.offer("/whip/studio", &sends).await.unwrap();
    assert_eq!(full.status, 503, "{}", full.body);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_on_the_list_may_use_it_and_read_what_they_need() {
    let server = TestServer::start(&["--cors-allow-origins", "https://studio.example"]).await;
    let preflight = [
        ("origin", "https://studio.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type"),
    ];
    let answer = server.request("OPTIONS", "/whep/studio", &preflight).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://studio.example"));
    for method in ["post", "patch", "delete"] {
        assert!(answer.header("access-control-allow-methods").unwrap().contains(method), "{method}");
    }
    for header in ["content-type", "if-match", "authorization"] {
        assert!(answer.header("access-control-allow-headers").unwrap().contains(header), "{header}");
    }
    let plain = server.request("OPTIONS", "/whip/studio", &[("origin", "https://studio.example")]).await;
    assert_eq!((plain.status, plain.header("accept-post")), (204, Some("application/sdp")));
    let exposed = plain.header("access-control-expose-headers").unwrap();
    for header in ["location", "etag", "link", "accept-patch"] {
        assert!(exposed.contains(header), "{header}");
    }
    let foreign = server.request("OPTIONS", "/whep/studio", &[("origin", "https://evil.example")]).await;
    assert_eq!(foreign.status, 403);
    assert_eq!(server.request("GET", "/whep/studio", &[]).await.status, 405);
    server.stop().await;
}
