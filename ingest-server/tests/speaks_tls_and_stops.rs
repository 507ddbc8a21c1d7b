//! TLS from certificate files, and an orderly end.
#![allow(clippy::unwrap_used)]

mod harness;

use std::sync::Arc;

use harness::{Publisher, TestServer, hello, new_session, soon, units};
use protocol::control::PublisherMessage;
use protocol::error::ErrorCode;
use protocol::{Track, UnitRanges};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use testkit::webrtc::{self, Offer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

#[tokio::test(flavor = "multi_thread")]
async fn publishers_and_browsers_speak_tls_when_there_is_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, certified.cert.pem()).unwrap();
    std::fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    let (cert, key) = (cert.to_str().unwrap().to_owned(), key.to_str().unwrap().to_owned());
    let server = TestServer::start_in(folder, &["--tls-cert", &cert, "--tls-key", &key]).await;

    let mut roots = RootCertStore::empty();
    roots.add(certified.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let connect = || async {
        let stream = TcpStream::connect(server.address()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        soon(connector.connect(name, stream)).await.unwrap()
    };

    let mut page = connect().await;
    page.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = soon(page.read_to_end(&mut answer)).await;
    assert!(String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 200"));

    let request = "wss://localhost/ws/audio";
    let (socket, _) =
        soon(Box::pin(tokio_tungstenite::client_async(request, connect().await))).await.unwrap();
    let mut publisher = Publisher::over(socket);
    let session = new_session();
    publisher.say(&PublisherMessage::Hello(hello(session, Track::Audio))).await;
    publisher.welcome().await;
    publisher.units(&units(Track::Audio, 50)).await;
    assert_eq!(publisher.finish(50, UnitRanges::new()).await, (50, 50));
    publisher.leave().await;

    // WebRTC has keys of its own, and comes to the same port over TCP as it does elsewhere.
    let (socket, _) =
        soon(Box::pin(tokio_tungstenite::client_async(request, connect().await))).await.unwrap();
    let mut publisher = Publisher::over(socket);
    publisher.say(&PublisherMessage::Hello(hello(new_session(), Track::Audio))).await;
    publisher.welcome().await;
    let offer = Offer::over_tcp(true).unwrap();
    let mut page = connect().await;
    let head = format!(
        "POST /whep/studio HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/sdp\r\ncontent-length: {}\r\n\r\n",
        offer.text.len()
    );
    page.write_all([head.as_bytes(), offer.text.as_bytes()].concat().as_slice()).await.unwrap();
    let mut answer = Vec::new();
    let _ = soon(page.read_to_end(&mut answer)).await;
    let answer = harness::Answer::parse(&answer);
    let body = String::from_utf8(answer.body).unwrap();
    let mut viewer =
        offer.accept(webrtc::Answer { status: answer.status, location: None, etag: None, body }).unwrap();
    viewer.wait_for(|news| *news == webrtc::News::Connected).await.unwrap();
    let sound = units(Track::Audio, 1);
    publisher.units(&sound).await;
    assert_eq!(viewer.unit().await.unwrap().bytes, sound[0].payload);

    // Who does not speak TLS gets no answer in clear.
    let mut plain = TcpStream::connect(server.address()).await.unwrap();
    plain.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = soon(plain.read_to_end(&mut answer)).await;
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cert.pem");
    std::fs::write(&file, "not a certificate").unwrap();
    let file = file.to_str().unwrap();
    let config = harness::config(folder.path(), &["--tls-cert", file, "--tls-key", file]);
    let error = ingest_server::Server::start(config).await.unwrap_err();
    assert!(error.to_string().contains("cert.pem"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_makes_everything_durable_acknowledges_it_and_says_goodbye() {
    let server = TestServer::start(&[]).await;
    let session = new_session();
    let (mut video, _) = server.publish(&hello(session, Track::Video)).await;
    let (mut audio, _) = server.publish(&hello(session, Track::Audio)).await;
    let mut waiting = server.connect(Track::Audio).await;
    // Not a whole part of either; the server has them when it answers the ping behind them.
    for (publisher, track) in [(&mut video, Track::Video), (&mut audio, Track::Audio)] {
        publisher.units(&units(track, 4)).await;
        let ping = tokio_tungstenite::tungstenite::Message::Ping(bytes::Bytes::from_static(b"there?"));
        publisher.send(ping).await;
        use futures_util::StreamExt as _;
        while !soon(publisher.socket.next()).await.unwrap().unwrap().is_pong() {}
    }
    let stopping = tokio::spawn(server.stop());
    for publisher in [&mut video, &mut audio] {
        let (error, code) = publisher.error().await;
        assert_eq!((error.code, code), (ErrorCode::ShuttingDown, 1001));
        assert!(error.retryable);
        assert_eq!(publisher.durable.count(), 4);
    }
    assert_eq!(waiting.error().await.1, 1001);
    drop((video, audio, waiting));
    let folder = stopping.await.unwrap();

    let server = TestServer::start_in(folder, &[]).await;
    let (_, welcome) = server.publish(&hello(session, Track::Video)).await;
    assert_eq!(welcome.durable.count(), 4);
    let folder = server.stop().await;
    let report = ingest_server::check::check_folder(folder.path()).await.unwrap();
    assert!(report.is_clean() && report.notes.is_empty(), "{report}");
}
