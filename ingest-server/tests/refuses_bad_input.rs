//! Whatever a peer sends gets its typed error and close code, and the server serves on.
#![allow(clippy::unwrap_used)]

mod harness;

use std::time::Duration;

use bytes::Bytes;
use harness::{Publisher, TestServer, encoded, hello, hello_with, new_session, soon, units};
use protocol::Track;
use protocol::api::Health;
use protocol::codec::{Base64, CodecParameters, Params};
use protocol::control::{Hello, PublisherMessage};
use protocol::error::ErrorCode;
use protocol::limits::{MAX_CONTROL_BYTES, MAX_MESSAGE_BYTES, MAX_UNIT_JUMP};
use protocol::unit::Unit;
use testkit::units::{PPS, SPS, UnitSource, params};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

type Headers<'a> = &'a [(&'a str, &'a str)];

/// A finish of the right form, with a signature of zeros.
fn unsigned_finish(units: u64, lost: &str) -> Message {
    let (key, signature) = ("0".repeat(64), "0".repeat(128));
    Message::text(format!(
        r#"{{"type":"finish","units":{units},"lost":{lost},"unwitnessed":[],"digest":"{key}","device_key":"{key}","signature":"{signature}"}}"#
    ))
}

/// A publisher that behaves finds the server at work.
async fn serves_on(server: &TestServer, case: &str) {
    let (mut publisher, _) = server.publish(&hello(new_session(), Track::Audio)).await;
    publisher.units(&units(Track::Audio, 20)).await;
    assert_eq!(publisher.finish(20, Default::default()).await, (20, 20), "after {case}");
    publisher.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_and_requests_that_are_wrong_get_an_http_error() {
    use ErrorCode::{BadRequest, ForbiddenOrigin, NotFound, Unauthorized};
    let server = TestServer::start(&["--streaming-access-token", "right-token"]).await;
    let right = ("authorization", "Bearer right-token");
    let sockets: [(&str, &str, Headers, u16, ErrorCode); 9] = [
        ("no token", "/ws/video", &[], 401, Unauthorized),
        ("a wrong token", "/ws/video", &[("authorization", "Bearer wrong")], 401, Unauthorized),
        ("a wrong token in the query", "/ws/audio?token=wrong", &[], 401, Unauthorized),
        (
            "a token of another kind",
            "/ws/audio",
            &[("authorization", "Basic right-token")],
            401,
            Unauthorized,
        ),
        ("a foreign page", "/ws/video", &[right, ("origin", "https://evil.example")], 403, ForbiddenOrigin),
        ("a page without a name", "/ws/video", &[right, ("origin", "null")], 403, ForbiddenOrigin),
        ("an unknown track", "/ws/smell", &[right], 404, NotFound),
        (
            "a foreign page's wrong token",
            "/ws/video?token=x",
            &[("origin", "https://evil.example")],
            403,
            ForbiddenOrigin,
        ),
        (
            "a token twice, the first wrong",
            "/ws/video?token=right-token",
            &[("authorization", "Bearer x")],
            401,
            Unauthorized,
        ),
    ];
    for (case, path, headers, status, code) in sockets {
        let (got, error) = server.refused_handshake(path, headers).await;
        assert_eq!((got, error.code), (status, code), "{case}");
    }
    let upgrade = ("connection", "upgrade");
    let websocket = ("upgrade", "websocket");
    let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let requests: [(&str, &str, &str, Headers, u16, ErrorCode); 16] = [
        ("no upgrade", "GET", "/ws/video", &[right], 400, BadRequest),
        (
            "an old WebSocket",
            "GET",
            "/ws/video",
            &[right, upgrade, websocket, key, ("sec-websocket-version", "8")],
            400,
            BadRequest,
        ),
        (
            "a bad key",
            "GET",
            "/ws/video",
            &[right, upgrade, websocket, ("sec-websocket-key", "x"), ("sec-websocket-version", "13")],
            400,
            BadRequest,
        ),
        ("a wrong method on a socket", "POST", "/ws/video", &[right], 405, BadRequest),
        ("a wrong method on a list", "DELETE", "/api/sessions", &[right], 405, BadRequest),
        ("an unknown address", "GET", "/api/nothing", &[right], 404, NotFound),
        ("no token on the check of it", "GET", "/api/access", &[], 401, Unauthorized),
        ("a wrong token on its check", "GET", "/api/access?token=wrong", &[], 401, Unauthorized),
        ("no token on the API", "GET", "/api/sessions", &[], 401, Unauthorized),
        (
            "a foreign page on the API",
            "GET",
            "/api/sessions",
            &[right, ("origin", "https://evil.example")],
            403,
            ForbiddenOrigin,
        ),
        (
            "an unknown session",
            "GET",
            "/api/sessions/01890a5d-ac96-774b-bcce-b302099a8057",
            &[right],
            404,
            NotFound,
        ),
        (
            "an unknown recording",
            "GET",
            "/api/sessions/01890a5d-ac96-774b-bcce-b302099a8057/recording.mp4",
            &[right],
            404,
            NotFound,
        ),
        ("a path as an id", "GET", "/api/sessions/..%2F..%2Fetc%2Fpasswd", &[right], 400, BadRequest),
        (
            "a path as a recording's id",
            "GET",
            "/api/sessions/..%2F../recording.mp4",
            &[right],
            400,
            BadRequest,
        ),
        ("a path as an id to delete", "DELETE", "/api/sessions/%2e%2e", &[right], 400, BadRequest),
        ("a limit that is no number", "GET", "/api/sessions?limit=many", &[right], 400, BadRequest),
    ];
    for (case, method, path, headers, status, code) in requests {
        let answer = server.request(method, path, headers).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{case}");
    }
    let long = format!("GET /health HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "x".repeat(20_000));
    let many = format!("GET /health HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(100));
    let heads: [(&str, &[u8], u16); 4] = [
        ("a long head", long.as_bytes(), 431),
        ("many headers", many.as_bytes(), 431),
        ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", 400),
        ("HTTP of another age", b"GET /health HTTP/9.9\r\n\r\n", 400),
    ];
    for (case, bytes, status) in heads {
        assert_eq!(server.raw(bytes).await.status, status, "{case}");
    }
    // The right token passes by either way.
    for path in ["/api/sessions?token=right-token", "/health", "/ready"] {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
    assert_eq!(server.request("GET", "/api/access", &[right]).await.status, 204);
    let health: Health = serde_json::from_slice(&server.get("/health").await.body).unwrap();
    assert_eq!(health, Health::ok(env!("CARGO_PKG_VERSION")));
    server.stop().await;
}

fn hello_text(change: impl Fn(&mut serde_json::Value)) -> Message {
    let hello = PublisherMessage::Hello(hello(new_session(), Track::Video)).to_json();
    let mut value = serde_json::from_str(&hello).unwrap();
    change(&mut value);
    Message::text(value.to_string())
}

fn hello_of(params: Vec<Params>) -> Message {
    let hello = hello_with(new_session(), Track::Video, params, [7; 16]);
    Message::text(PublisherMessage::Hello(hello).to_json())
}

fn h264(change: impl Fn(&mut u32, &mut u32, &mut Vec<u8>)) -> Message {
    let (mut width, mut height) = (320, 180);
    let mut avcc = vec![1, SPS[1], SPS[2], SPS[3], 0xff, 0xe1, 0, 25];
    avcc.extend_from_slice(&SPS);
    avcc.extend_from_slice(&[1, 0, 5]);
    avcc.extend_from_slice(&PPS);
    change(&mut width, &mut height, &mut avcc);
    let parameters = CodecParameters::H264 { width, height, frame_duration_90k: 3_000, avcc: Base64(avcc) };
    hello_of(vec![Params { from_unit: 0, parameters }])
}

#[tokio::test(flavor = "multi_thread")]
async fn hellos_that_are_wrong_get_a_typed_error() {
    use ErrorCode::{
        InvalidMessage, InvalidParams, TooLarge, TrackMismatch, UnknownMessage, UnsupportedVersion,
    };
    let server = TestServer::start(&[]).await;
    let replaced = |from: &str, to: &str| {
        let text = hello_text(|_| {}).into_text().unwrap().replace(from, to);
        Message::text(text)
    };
    let number = "\"started_unix_ms\":1700000000000";
    let cases: Vec<(&str, Message, ErrorCode)> = vec![
        ("nothing", Message::text(""), InvalidMessage),
        ("no JSON", Message::text("hello?"), InvalidMessage),
        ("JSON without a type", Message::text("{}"), InvalidMessage),
        ("an unknown type", Message::text(r#"{"type":"dance"}"#), UnknownMessage),
        ("units first", Message::binary(encoded(&units(Track::Video, 1))), InvalidMessage),
        ("finish first", unsigned_finish(0, "[]"), InvalidMessage),
        ("another version", hello_text(|hello| hello["version"] = 2.into()), UnsupportedVersion),
        ("the other track", hello_text(|hello| hello["track"] = "audio".into()), TrackMismatch),
        ("an unknown track", hello_text(|hello| hello["track"] = "smell".into()), InvalidMessage),
        ("a path as an id", hello_text(|hello| hello["session"] = "../../etc/passwd".into()), InvalidMessage),
        ("a path as a room", hello_text(|hello| hello["room"] = "../..".into()), InvalidMessage),
        ("a short resume key", hello_text(|hello| hello["resume_key"] = "abc".into()), InvalidMessage),
        ("an unknown field", hello_text(|hello| hello["extra"] = 1.into()), InvalidMessage),
        (
            "a long device name",
            hello_text(|hello| hello["device"]["name"] = "x".repeat(300).into()),
            InvalidMessage,
        ),
        ("no parameters", hello_of(vec![]), InvalidMessage),
        (
            "parameters that descend",
            hello_of(vec![params(Track::Video), params(Track::Video)]),
            InvalidMessage,
        ),
        ("NaN", replaced(number, "\"started_unix_ms\":NaN"), InvalidMessage),
        ("an overflow", replaced(number, "\"started_unix_ms\":1e999"), InvalidMessage),
        (
            "a number of 21 digits",
            replaced(number, "\"started_unix_ms\":100000000000000000000"),
            InvalidMessage,
        ),
        ("a negative number", replaced(number, "\"started_unix_ms\":-1"), InvalidMessage),
        ("the other track's parameters", hello_of(vec![params(Track::Audio)]), InvalidParams),
        ("an avcC that ends early", h264(|_, _, avcc| avcc.truncate(9)), InvalidParams),
        ("an avcC of garbage", h264(|_, _, avcc| avcc.fill(0xff)), InvalidParams),
        ("another picture size", h264(|width, _, _| *width = 640), InvalidParams),
        ("a picture of no height", h264(|_, height, _| *height = 0), InvalidParams),
        ("an endless text", Message::text("x".repeat(MAX_CONTROL_BYTES + 1)), TooLarge),
        ("an endless message", Message::binary(vec![0; MAX_MESSAGE_BYTES + 1]), TooLarge),
    ];
    for (case, message, code) in cases {
        let mut publisher = server.connect(Track::Video).await;
        publisher.send(message).await;
        let (error, close_code) = publisher.error().await;
        assert_eq!((error.code, close_code), (code, code.close_code()), "{case}: {error}");
        drop(publisher);
        serves_on(&server, case).await;
    }
    server.stop().await;
}

/// A welcomed publisher of 40 units.
async fn in_midstream(server: &TestServer, track: Track) -> (Publisher<TcpStream>, Hello, UnitSource) {
    let hello = hello(new_session(), track);
    let (mut publisher, _) = server.publish(&hello).await;
    let mut source = UnitSource::new(track, 1);
    publisher.units(&source.by_ref().take(40).collect::<Vec<_>>()).await;
    (publisher, hello, source)
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_wrong_in_midstream_get_a_typed_error() {
    use ErrorCode::{
        InvalidMessage, InvalidParams, InvalidUnit, TooLarge, UnitOutOfRange, UnknownMessage,
        UnsupportedVersion,
    };
    use Track::{Audio, Video};
    let server = TestServer::start(&[]).await;
    type Change = fn(&mut Unit);
    let unit_cases: [(&str, Track, Change, ErrorCode); 17] = [
        ("a number beyond all numbers", Video, |unit| unit.number = 1 << 40, UnitOutOfRange),
        ("a number that jumps", Video, |unit| unit.number = 41 + MAX_UNIT_JUMP, UnitOutOfRange),
        ("a time beyond all times", Video, |unit| unit.pts_90k = 1 << 48, InvalidUnit),
        ("a capture time beyond all times", Video, |unit| unit.capture_us = u64::MAX, InvalidUnit),
        ("a duration beyond ten seconds", Video, |unit| unit.duration_90k = u32::MAX, InvalidUnit),
        ("a duration of nothing", Video, |unit| unit.duration_90k = 0, InvalidUnit),
        ("a time that goes back", Video, |unit| unit.pts_90k = 3_000, InvalidUnit),
        (
            "an IDR that is not key",
            Video,
            |unit| unit.payload = Bytes::from_static(&[0, 0, 0, 2, 0x65, 1]),
            InvalidUnit,
        ),
        ("a key that is no IDR", Video, |unit| unit.key = true, InvalidUnit),
        ("garbage for H.264", Video, |unit| unit.payload = vec![0xff; 400].into(), InvalidUnit),
        (
            "a NAL unit that ends early",
            Video,
            |unit| unit.payload = Bytes::from_static(&[0, 0, 0, 9, 0x41, 1]),
            InvalidUnit,
        ),
        (
            "a NAL unit of nothing",
            Video,
            |unit| unit.payload = Bytes::from_static(&[0, 0, 0, 0]),
            InvalidUnit,
        ),
        (
            "a parameter set in a unit",
            Video,
            |unit| unit.payload = Bytes::from_static(&[0, 0, 0, 2, 0x67, 1]),
            InvalidUnit,
        ),
        (
            "Annex B",
            Video,
            |unit| unit.payload = Bytes::from_static(&[0, 0, 0, 1, 0x41, 1, 2, 3]),
            InvalidUnit,
        ),
        ("garbage for Opus", Audio, |unit| unit.payload = Bytes::from_static(&[0xff]), InvalidUnit),
        ("another duration than the packet's", Audio, |unit| unit.duration_90k = 900, InvalidUnit),
        ("an Opus packet that is not key", Audio, |unit| unit.key = false, InvalidUnit),
    ];
    for (case, track, change, code) in unit_cases {
        let (mut publisher, _, mut source) = in_midstream(&server, track).await;
        let mut unit = source.next().unwrap();
        change(&mut unit);
        publisher.send(Message::binary(encoded(&[unit]))).await;
        let (error, close_code) = publisher.error().await;
        assert_eq!((error.code, close_code), (code, code.close_code()), "{case}: {error}");
        drop(publisher);
        serves_on(&server, case).await;
    }

    let good = encoded(&units(Video, 41)[40..]);
    let with = |at: usize, value: u8| {
        let mut bytes = good.to_vec();
        bytes[at] = value;
        Message::binary(bytes)
    };
    let again = PublisherMessage::Hello(hello(new_session(), Video)).to_json();
    let event = r#"{"type":"event","number":5000,"at_90k":0,"kind":"muted","detail":""}"#;
    let late = Params { from_unit: 7, ..params(Video) };
    let other = Params { from_unit: 50, ..params(Audio) };
    let messages: Vec<(&str, Vec<Message>, ErrorCode)> = vec![
        ("a second hello", vec![Message::text(again)], InvalidMessage),
        ("an unknown type", vec![Message::text(r#"{"type":"ack","durable":[]}"#)], UnknownMessage),
        ("broken JSON", vec![Message::text("{\"type\":")], InvalidMessage),
        ("a message of nothing", vec![Message::binary(Bytes::new())], InvalidUnit),
        ("half a header", vec![Message::binary(good.slice(..20))], InvalidUnit),
        ("half a payload", vec![Message::binary(good.slice(..good.len() - 1))], InvalidUnit),
        ("bytes behind the unit", vec![Message::binary([&good[..], b"more"].concat())], InvalidUnit),
        ("another header version", vec![with(0, 9)], UnsupportedVersion),
        ("an unknown lane", vec![with(1, 2)], InvalidUnit),
        ("unknown flags", vec![with(2, 0x40)], InvalidUnit),
        ("a payload of 4 GiB", vec![with(4, 0xff)], TooLarge),
        ("too many units", vec![Message::binary(encoded(&units(Video, 65)))], TooLarge),
        ("a finish that counts too few", vec![unsigned_finish(39, "[]")], InvalidMessage),
        ("lost units beyond the last", vec![unsigned_finish(50, "[[49,50]]")], InvalidMessage),
        ("a range that goes back", vec![unsigned_finish(50, "[[5,4]]")], InvalidMessage),
        ("a finish that nobody signed", vec![unsigned_finish(40, "[]")], InvalidMessage),
        ("an event too many", vec![Message::text(event)], TooLarge),
        (
            "parameters that come too late",
            vec![Message::text(PublisherMessage::Params(late).to_json())],
            InvalidParams,
        ),
        (
            "the other track's parameters",
            vec![Message::text(PublisherMessage::Params(other).to_json())],
            InvalidParams,
        ),
    ];
    for (case, messages, code) in messages {
        let (mut publisher, ..) = in_midstream(&server, Video).await;
        for message in messages {
            publisher.send(message).await;
        }
        let (error, close_code) = publisher.error().await;
        assert_eq!((error.code, close_code), (code, code.close_code()), "{case}: {error}");
        assert_eq!(publisher.durable.as_slice().first().map(|range| range.first).unwrap_or(0), 0);
        drop(publisher);
        serves_on(&server, case).await;
    }

    // A unit for which no parameters are known.
    let hello = hello_with(new_session(), Audio, vec![Params { from_unit: 10, ..params(Audio) }], [7; 16]);
    let (mut publisher, _) = server.publish(&hello).await;
    publisher.units(&units(Audio, 1)).await;
    assert_eq!(publisher.error().await.0.code, InvalidParams);

    // Gaps without end.
    let (mut publisher, _) = server.publish(&harness::hello(new_session(), Audio)).await;
    let scattered: Vec<Unit> = UnitSource::new(Audio, 1).step_by(2).take(2_100).collect();
    publisher.units(&scattered).await;
    assert_eq!(publisher.error().await.0.code, UnitOutOfRange);
    serves_on(&server, "gaps without end").await;
    server.stop().await;
}

/// A welcomed connection, spoken to below WebSocket.
async fn raw_socket(server: &TestServer) -> TcpStream {
    let (publisher, _) = server.publish(&hello(new_session(), Track::Video)).await;
    publisher.socket.into_inner()
}

/// The close code in what the server sends until it closes.
async fn raw_close_code(stream: &mut TcpStream) -> u16 {
    let mut bytes = Vec::new();
    let _ = soon(stream.read_to_end(&mut bytes)).await;
    let mut rest = &bytes[..];
    while rest.len() >= 2 {
        let (opcode, length) = (rest[0] & 0x0f, usize::from(rest[1] & 0x7f));
        let (head, length) = match length {
            126 => (4, usize::from(u16::from_be_bytes([rest[2], rest[3]]))),
            length => (2, length),
        };
        if opcode == 8 {
            return u16::from_be_bytes([rest[head], rest[head + 1]]);
        }
        rest = &rest[head + length..];
    }
    panic!("no close frame in {bytes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_websocket_ends_with_a_close() {
    let server = TestServer::start(&[]).await;
    let cases: [(&str, &[u8], ErrorCode); 5] = [
        ("a frame without a mask", &[0x82, 1, 0], ErrorCode::InvalidMessage),
        ("a reserved opcode", &[0x83, 0x80, 0, 0, 0, 0], ErrorCode::InvalidMessage),
        ("reserved bits", &[0xf2, 0x80, 0, 0, 0, 0], ErrorCode::InvalidMessage),
        ("text that is no UTF-8", &[0x81, 0x81, 0, 0, 0, 0, 0xff], ErrorCode::InvalidMessage),
        ("a frame of 2^62 bytes", &[0x82, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4], ErrorCode::TooLarge),
    ];
    for (case, bytes, code) in cases {
        let mut stream = raw_socket(&server).await;
        stream.write_all(bytes).await.unwrap();
        assert_eq!(raw_close_code(&mut stream).await, code.close_code(), "{case}");
        serves_on(&server, case).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_slow_or_silent_is_let_go() {
    let server = TestServer::start(&["--opening-s", "1", "--idle-s", "3"]).await;
    // A request that never ends.
    let mut loris = TcpStream::connect(server.address()).await.unwrap();
    loris.write_all(b"GET /health HTTP/1.1\r\nhost: a\r\nx: ").await.unwrap();
    let mut answer = Vec::new();
    let _ = soon(loris.read_to_end(&mut answer)).await;
    assert!(!String::from_utf8_lossy(&answer).contains("200 OK"));
    // A socket without a hello.
    let mut silent = server.connect(Track::Video).await;
    assert_eq!(silent.error().await.1, ErrorCode::IdleTimeout.close_code());
    // A publisher that falls silent.
    let (mut publisher, welcome) = server.publish(&hello(new_session(), Track::Video)).await;
    assert_eq!(welcome.limits.idle_ms, 3_000);
    publisher.units(&units(Track::Video, 5)).await;
    // A part is closed when nothing follows.
    publisher.acked(5).await;
    let (error, code) = publisher.error().await;
    assert_eq!((error.code, code), (ErrorCode::IdleTimeout, ErrorCode::IdleTimeout.close_code()));
    assert!(error.retryable);
    // One that pings is not silent.
    let (mut pinging, _) = server.publish(&hello(new_session(), Track::Video)).await;
    for _ in 0..10 {
        let _ = tokio::time::timeout(Duration::from_millis(400), pinging.next()).await;
        pinging.send(Message::Ping(Bytes::new())).await;
    }
    pinging.units(&units(Track::Video, 10)).await;
    pinging.acked(10).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_and_sessions_are_bounded() {
    let server =
        TestServer::start(&["--max-sessions", "2", "--max-connections", "4", "--max-connection-rate", "0"])
            .await;
    let (_first, _) = server.publish(&hello(new_session(), Track::Audio)).await;
    let (_second, _) = server.publish(&hello(new_session(), Track::Audio)).await;
    let mut third = server.connect(Track::Audio).await;
    third.say(&PublisherMessage::Hello(hello(new_session(), Track::Audio))).await;
    let (error, code) = third.error().await;
    assert_eq!((error.code, code), (ErrorCode::TooManySessions, 4503));
    assert!(error.retryable);
    drop(third);
    let _held = (server.connect(Track::Audio).await, server.connect(Track::Audio).await);
    let answer = server.get("/health").await;
    assert_eq!((answer.status, answer.code()), (503, ErrorCode::TooManySessions));
    server.stop().await;

    let server = TestServer::start(&["--max-connection-rate", "1"]).await;
    let mut refused = 0;
    for _ in 0..20 {
        refused += u32::from(server.get("/health").await.status == 429);
    }
    assert!(refused > 0, "ten at once and one a second are let in");
    server.stop().await;
}
