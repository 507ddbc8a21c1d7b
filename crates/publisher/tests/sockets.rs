//! The driver over real sockets against a server that does what each test says.

#![allow(clippy::unwrap_used)]

mod fake_server;

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use fake_server::{FakeServer, Peer};
use protocol::control::{Device, EventKind, PublisherMessage, ServerMessage};
use protocol::error::{ErrorBody, ErrorCode};
use protocol::{Secret, Track};
use publisher::status::{Phase, Status, TrackStatus};
use publisher::track::{Identity, Tell};
use publisher::{Config, Publisher, TrackHandle};
use signing::SigningKey;
use testkit::units::{UnitSource, params};

const TOKEN: &str = "correct-horse";

fn config(server: &str) -> Config {
    let device = Device { name: "Desk".into(), platform: "linux".into(), app: "test".into() };
    let key = Arc::new(SigningKey::from_seed([9; 32]));
    let identity = Identity::begin("studio".parse().unwrap(), device, 1_700_000_000_000, key).unwrap();
    Config::new(server.parse().unwrap(), identity)
}

fn config_for(server: &FakeServer) -> Config {
    config(&format!("127.0.0.1:{}", server.port()))
}

/// Starts an audio-only session with these many units.
fn publish(config: &Config, units: usize) -> (Publisher, TrackHandle) {
    let publisher = Publisher::start(config, &[Track::Audio]).unwrap();
    let track = publisher.track(Track::Audio).unwrap();
    push(&track, Track::Audio, units);
    (publisher, track)
}

fn push(handle: &TrackHandle, track: Track, units: usize) {
    handle.params(params(track)).unwrap();
    for unit in UnitSource::new(track, 1).take(units) {
        handle.push(unit).unwrap();
    }
}

async fn until(publisher: &Publisher, reached: impl Fn(&TrackStatus) -> bool) -> TrackStatus {
    let mut status = publisher.status();
    let found = status.wait_for(|status: &Status| status.audio.as_ref().is_some_and(&reached)).await.unwrap();
    found.audio.clone().unwrap()
}

async fn until_refused(publisher: &Publisher) -> ErrorBody {
    match until(publisher, |status| matches!(status.phase, Phase::NeedsYou(_))).await.phase {
        Phase::NeedsYou(error) => error,
        other => panic!("{other:?}"),
    }
}

async fn until_offline(publisher: &Publisher) -> String {
    match until(publisher, |status| matches!(status.phase, Phase::Offline { .. })).await.phase {
        Phase::Offline { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_session_goes_over_two_sockets_and_is_complete_when_the_server_says_so() {
    let server = FakeServer::start().await;
    let config = Config { token: Some(Secret::new(TOKEN)), ..config_for(&server) };
    let publisher = Publisher::start(&config, &Track::ALL).unwrap();
    for track in Track::ALL {
        push(&publisher.track(track).unwrap(), track, 100);
    }
    let served = tokio::spawn(async move {
        let mut peers = [server.accept().await, server.accept().await];
        peers.sort_by_key(|peer| peer.path.clone());
        let mut all = Vec::new();
        for mut peer in peers {
            assert_eq!(peer.authorization.as_deref(), Some("Bearer correct-horse"));
            assert_eq!(peer.path, peer.hello.track.socket_path());
            peer.welcome(&[]).await;
            all.push(peer.complete().await);
        }
        all
    });
    let report = publisher.finish().await;
    assert!(report.is_whole(), "{report:?}");
    assert_eq!(report.tracks.len(), 2);
    let expected: Vec<u64> = (0..100).collect();
    assert_eq!(served.await.unwrap(), [expected.clone(), expected]);
}

#[tokio::test]
async fn a_wrong_token_is_not_tried_again_until_a_person_gives_another() {
    let server = FakeServer::start().await;
    let config = Config { token: Some(Secret::new("wrong")), ..config_for(&server) };
    let (publisher, _track) = publish(&config, 3);
    let body = ErrorBody::new(ErrorCode::Unauthorized, "the access token is wrong");
    server.refuse("401 Unauthorized", &body).await;
    assert_eq!(until_refused(&publisher).await, body);
    // The refusal ends a wait for the finish, and nothing is lost.
    let report = publisher.finish().await;
    assert!(!report.is_whole());
    assert_eq!(report.tracks[0].status.backlog.units, 3);

    publisher.set_token(Some(Secret::new(TOKEN)));
    publisher.reconnect();
    let mut peer = server.accept().await;
    assert_eq!(peer.authorization.as_deref(), Some("Bearer correct-horse"));
    peer.welcome(&[]).await;
    let (report, units) = tokio::join!(
        async {
            until(&publisher, |status| status.phase == Phase::Complete).await;
            publisher.report()
        },
        peer.complete()
    );
    assert!(report.is_whole());
    assert_eq!(units, [0, 1, 2]);
}

#[tokio::test]
async fn what_answers_without_being_an_ingest_server_is_told_in_words() {
    let server = FakeServer::start().await;
    let (publisher, _track) = publish(&config_for(&server), 1);
    server.answer("404 Not Found", "<html>").await;
    assert!(until_refused(&publisher).await.message.contains("no ingest server"));
    publisher.reconnect();
    server.answer("302 Found\r\nlocation: https://elsewhere.example", "").await;
    until(
        &publisher,
        |status| matches!(&status.phase, Phase::NeedsYou(error) if error.message.contains("elsewhere")),
    )
    .await;
    // Not even HTTP: that may heal, and is tried again without being asked.
    publisher.reconnect();
    {
        use tokio::io::AsyncWriteExt as _;
        server.tcp().await.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").await.unwrap();
    }
    assert!(until_offline(&publisher).await.contains("no ingest server answers"));
    server.accept().await.welcome(&[]).await;
}

#[tokio::test]
async fn a_server_that_is_full_is_asked_again() {
    let server = FakeServer::start().await;
    let (publisher, _track) = publish(&config_for(&server), 3);
    let body = ErrorBody::new(ErrorCode::TooManySessions, "the server is full");
    server.refuse("503 Service Unavailable", &body).await;
    let mut peer = server.accept().await;
    peer.welcome(&[]).await;
    let (report, _) = tokio::join!(publisher.finish(), peer.complete());
    assert!(report.is_whole());
}

#[tokio::test]
async fn nonsense_on_an_open_socket_is_dropped_and_tried_again() {
    let server = FakeServer::start().await;
    let (publisher, _track) = publish(&config_for(&server), 3);
    let mut peer = server.accept().await;
    // A welcome that comes twice is at the wrong moment.
    peer.welcome(&[]).await;
    peer.welcome(&[]).await;
    let mut again = server.accept().await;
    again.welcome(&[(0, 1)]).await;
    let (report, units) = tokio::join!(publisher.finish(), again.complete());
    assert!(report.is_whole());
    assert_eq!(units, [2]);
}

#[tokio::test]
async fn close_codes_say_whether_to_come_back() {
    for code in [ErrorCode::SessionTaken, ErrorCode::SessionEnded, ErrorCode::InvalidParams] {
        let server = FakeServer::start().await;
        let (publisher, _track) = publish(&config_for(&server), 1);
        server.accept().await.close(code.close_code(), "no").await;
        assert_eq!(until_refused(&publisher).await.code, code);
    }
    let server = FakeServer::start().await;
    let (publisher, _track) = publish(&config_for(&server), 1);
    server.accept().await.close(ErrorCode::ShuttingDown.close_code(), "back soon").await;
    assert_eq!(until_offline(&publisher).await, "back soon");
    server.accept().await.welcome(&[]).await;
}

#[tokio::test]
async fn after_a_cut_only_what_is_not_durable_is_sent_again() {
    let server = FakeServer::start().await;
    let (publisher, track) = publish(&config_for(&server), 50);
    track.event(EventKind::DeviceSwitched, 900, "USB camera");
    let mut peer = server.accept().await;
    peer.welcome(&[]).await;
    assert!(matches!(peer.control().await, PublisherMessage::Event(_)));
    peer.receive(50).await;
    peer.ack(&[(0, 9)]).await;
    until(&publisher, |status| status.counters.durable_units == 10).await;
    drop(peer);
    let mut again = server.accept().await;
    again.welcome(&[(0, 29)]).await;
    assert!(matches!(again.control().await, PublisherMessage::Event(_)));
    let (report, units) = tokio::join!(publisher.finish(), again.complete());
    assert_eq!(units, (30..50).collect::<Vec<u64>>());
    assert!(report.is_whole());
    let counters = report.tracks[0].status.counters;
    assert_eq!((counters.reconnects(), counters.sent_units, counters.repeated_units), (1, 70, 20));
}

#[tokio::test]
async fn a_peer_that_takes_nothing_more_is_given_up_and_pushing_never_waits() {
    let server = FakeServer::start().await;
    let mut config = config_for(&server);
    config.video.pace.dead_after = Duration::from_millis(300);
    config.video.pace.ping_interval = Duration::from_millis(100);
    config.video.pace.in_flight_bytes = 64 * 1024 * 1024;
    let publisher = Publisher::start(&config, &[Track::Video]).unwrap();
    let track = publisher.track(Track::Video).unwrap();
    track.params(params(Track::Video)).unwrap();
    let mut peer = server.accept().await;
    peer.welcome(&[]).await;
    // More than the kernel buffers: the write gets stuck half-way, and the peer stays silent.
    let payload = bytes::Bytes::from(vec![7; 1_000_000]);
    for unit in UnitSource::new(Track::Video, 1).take(40) {
        track.push(protocol::unit::Unit { payload: payload.clone(), ..unit }).unwrap();
    }
    let mut again = server.accept().await;
    again.welcome(&[]).await;
    let (report, units) = tokio::join!(publisher.finish(), again.complete());
    assert_eq!(units.len(), 40);
    assert!(report.is_whole());
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_is_given_up() {
    let server = FakeServer::start().await;
    let mut config = config_for(&server);
    config.audio.pace.connect_timeout = Duration::from_millis(100);
    let (publisher, _track) = publish(&config, 1);
    let silent = server.tcp().await;
    assert_eq!(until_offline(&publisher).await, "the server does not answer");
    drop(silent);
}

#[tokio::test]
async fn what_the_server_tells_reaches_the_listeners() {
    let server = FakeServer::start().await;
    let (publisher, _track) = publish(&config_for(&server), 1);
    let mut tells = publisher.tells();
    let mut peer = server.accept().await;
    peer.welcome(&[]).await;
    peer.say(&ServerMessage::KeyframeRequest {}).await;
    peer.say(&ServerMessage::Viewers { count: 2 }).await;
    assert_eq!(tells.recv().await.unwrap(), (Track::Audio, Tell::KeyframeRequest));
    assert_eq!(tells.recv().await.unwrap(), (Track::Audio, Tell::Viewers(2)));
    publisher.status().wait_for(|status| status.viewers == Some(2)).await.unwrap();
}

#[tokio::test]
async fn without_a_server_units_are_kept_and_the_reason_is_told() {
    // A port on which nothing listens any more.
    let port = FakeServer::start().await.port();
    let (publisher, _track) = publish(&config(&format!("127.0.0.1:{port}")), 5);
    assert!(until_offline(&publisher).await.contains("is the server running?"));
    assert_eq!(publisher.report().tracks[0].status.backlog.units, 5);
}

#[tokio::test]
async fn tls_trusts_an_own_authority_and_nobody_else() {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned()];
    let certificate = rcgen::CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    let mut pem = tempfile::NamedTempFile::new().unwrap();
    pem.write_all(authority_certificate.pem().as_bytes()).unwrap();

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let server = FakeServer::start().await;
    let address = format!("https://localhost:{}", server.port());

    let (stranger, _track) = publish(&config(&address), 3);
    assert!(acceptor.accept(server.tcp().await).await.is_err());
    assert!(until_offline(&stranger).await.contains("not trusted"));
    drop(stranger);

    let config = Config { own_authority: Some(pem.path().to_owned()), ..config(&address) };
    let (publisher, _track) = publish(&config, 3);
    let served = async {
        // The stranger may have come back before it was dropped.
        loop {
            if let Ok(stream) = acceptor.accept(server.tcp().await).await {
                let mut peer = Peer::accept(stream).await;
                peer.welcome(&[]).await;
                return peer.complete().await;
            }
        }
    };
    let (report, units) = tokio::join!(publisher.finish(), served);
    assert!(report.is_whole());
    assert_eq!(units, [0, 1, 2]);
}

#[test]
fn a_file_without_certificates_is_an_error_that_names_it() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    let error = publisher::client_config(Some(empty.path())).unwrap_err().to_string();
    assert!(error.contains("no certificate"), "{error}");
    let error = publisher::client_config(Some("/does/not/exist.pem".as_ref())).unwrap_err().to_string();
    assert!(error.contains("/does/not/exist.pem"), "{error}");
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let config = Config { token: Some(Secret::new(TOKEN)), ..config("localhost") };
    let shown = format!("{config:?}");
    assert!(!shown.contains(TOKEN) && !shown.contains(config.identity.resume_key.expose()), "{shown}");
}
