//! The test of a connection tells apart whatever may answer, or not, at an address.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use protocol::Secret;
use publisher::connection::{ConnectionError as E, ConnectionReport, Outcome, Step, test, test_within};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const HEALTH: &str =
    r#"{"status":"ok","server":"longtake-ingest","version":"1.2.3","protocol_version":1,"later":true}"#;

/// Something that listens and does one thing with each connection.
struct Peer {
    port: u16,
}

impl Peer {
    async fn start<F, Going>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> Going + Send + Sync + 'static,
        Going: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                tokio::spawn(serve(listener.accept().await.unwrap().0));
            }
        });
        Self { port }
    }

    /// Answers `/health` and `/api/access` with these heads and bodies.
    async fn http(health: &'static str, access: &'static str) -> Self {
        Self::start(move |stream| answer(stream, health.to_owned(), access.to_owned())).await
    }

    /// The same with TLS.
    async fn https(acceptor: TlsAcceptor) -> Self {
        Self::start(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    answer(stream, ok(HEALTH), NO_CONTENT.to_owned()).await;
                }
            }
        })
        .await
    }

    /// Says the same to everybody, after their first byte.
    async fn saying(text: &'static str) -> Self {
        Self::start(move |mut stream| async move {
            stream.read_u8().await.ok();
            stream.write_all(text.as_bytes()).await.ok();
            // Without the rest, the end would be a reset that takes the text with it.
            stream.shutdown().await.ok();
            stream.read_to_end(&mut Vec::new()).await.ok();
        })
        .await
    }
}

const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, health: String, access: String) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
        // Nobody who speaks HTTP is to be waited for.
        if request[0] != b'G' {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await.ok();
            stream.shutdown().await.ok();
            stream.read_to_end(&mut Vec::new()).await.ok();
            return;
        }
    }
    let is_health = request.starts_with(b"GET /health ");
    assert!(is_health || request.starts_with(b"GET /api/access "), "{}", String::from_utf8_lossy(&request));
    stream.write_all(if is_health { health } else { access }.as_bytes()).await.ok();
    stream.shutdown().await.ok();
    stream.read_to_end(&mut Vec::new()).await.ok();
}

/// An authority of one's own, its PEM file in a folder, and what serves with certificates of its making.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    _folder: tempfile::TempDir,
    file: PathBuf,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("authority.pem");
        std::fs::write(&file, issuer.pem()).unwrap();
        Self { issuer, _folder: folder, file }
    }

    fn acceptor(&self, name: &str, from: i32, to: i32) -> TlsAcceptor {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// The step that failed and why; every step before it passed or did not apply, every step behind it was skipped.
fn failure(report: &ConnectionReport) -> (Step, &E) {
    let (failed, error) = report.failure().unwrap_or_else(|| panic!("nothing failed: {report:?}"));
    let steps: Vec<Step> = report.steps.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, Step::ALL);
    for (step, outcome) in &report.steps {
        match outcome {
            Outcome::Passed { .. } => assert!((*step as usize) < (failed as usize), "{report:?}"),
            Outcome::Failed(_) => assert_eq!(*step, failed, "{report:?}"),
            Outcome::Skipped => assert!(*step == Step::Tls || *step > failed, "{report:?}"),
        }
    }
    (failed, error)
}

macro_rules! assert_fails {
    ($report:expr, $step:expr, $error:pat) => {
        let report = $report;
        let (step, error) = failure(&report);
        assert!(step == $step && matches!(error, $error), "{report:?}");
    };
}

#[tokio::test]
async fn a_server_that_is_as_it_should_be_passes_every_step() {
    let ok_health = Box::leak(ok(HEALTH).into_boxed_str());
    let peer = Peer::http(ok_health, NO_CONTENT).await;
    let report = test(&format!("localhost:{}", peer.port), None, None).await;
    assert!(report.failure().is_none(), "{report:?}");
    assert!(matches!(report.outcome(Step::Tls), Outcome::Skipped));
    for (step, found) in [
        (Step::Name, "127.0.0.1"),
        (Step::Connect, "127.0.0.1:"),
        (Step::Version, "longtake-ingest 1.2.3, protocol version 1"),
        (Step::Token, "none is asked for"),
    ] {
        match report.outcome(step) {
            Outcome::Passed { detail } => {
                assert!(detail.contains(found) && detail.ends_with(" ms)"), "{detail}")
            }
            other => panic!("{step:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_no_address_or_leads_nowhere_is_told_apart() {
    assert_fails!(test("ftp://a", None, None).await, Step::Name, E::Address(_));
    assert_fails!(test("", None, None).await, Step::Name, E::Address(_));
    // Reserved for names that do not exist (RFC 2606); without a network the name service may not even answer.
    assert_fails!(
        test("http://nowhere.invalid", None, None).await,
        Step::Name,
        E::NameUnknown { .. } | E::NameTimedOut { .. }
    );
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_fails!(test(&free.to_string(), None, None).await, Step::Connect, E::Refused { .. });
}

#[tokio::test]
async fn what_answers_and_is_no_ingest_server_is_told_apart() {
    let refusal = r#"{"code":"rate_limited","message":"too\u001bmany","retryable":true}"#;
    let limited = format!("HTTP/1.1 429 Too Many\r\ncontent-length: {}\r\n\r\n{refusal}", refusal.len());
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(100_000));
    let other_version = ok(&HEALTH.replace(":1,", ":2,"));
    let other_server = ok(&HEALTH.replace("longtake-ingest", "nginx"));
    let hello = ok("<html>hello</html>");
    for (says, expected) in [
        ("SSH-2.0-OpenSSH_9.2\r\n", "no ingest server"),
        ("", "no ingest server"),
        (&hello, "no ingest server"),
        (&other_server, "no ingest server"),
        (&endless, "the answer is too long"),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "HTTP status 404"),
        ("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", "HTTP status 400"),
        ("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n", "HTTP status 500"),
        ("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n", "does not run"),
        ("HTTP/1.1 308 Gone\r\nlocation: https://b.example/\r\n\r\n", "moved to https://b.example/"),
        (&limited, "toomany"),
        (&other_version, "speaks version 2 of the protocol, and this program version 1; update this program"),
    ] {
        let says: &'static str = Box::leak(says.to_owned().into_boxed_str());
        let peer = Peer::saying(says).await;
        let report = test(&format!("127.0.0.1:{}", peer.port), None, None).await;
        let (step, error) = failure(&report);
        assert_eq!(step, Step::Version, "{says}: {report:?}");
        assert!(error.to_string().contains(expected), "{says}: {error}");
    }
}

#[tokio::test]
async fn a_token_that_is_missing_wrong_or_impossible_is_told_apart() {
    let health = Box::leak(ok(HEALTH).into_boxed_str());
    let unauthorized = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
    let peer = Peer::http(health, unauthorized).await;
    let address = format!("127.0.0.1:{}", peer.port);
    let token = |text: &str| Some(Secret::new(text));
    assert_fails!(test(&address, None, None).await, Step::Token, E::TokenMissing);
    assert_fails!(test(&address, token("wrong").as_ref(), None).await, Step::Token, E::TokenWrong);
    assert_fails!(test(&address, token("a\nb").as_ref(), None).await, Step::Token, E::TokenWrong);
    let report = test(&address, token("correct-horse").as_ref(), None).await;
    assert!(!format!("{report:?}").contains("correct-horse"));
}

#[tokio::test]
async fn every_trouble_with_tls_is_told_apart() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for (acceptor, expected) in [
        (authority.acceptor("localhost", 2020, 4000), None),
        (stranger.acceptor("localhost", 2020, 4000), Some("does not know who signed")),
        (authority.acceptor("other.example", 2020, 4000), Some("is for other.example; use")),
        (authority.acceptor("localhost", 2000, 2001), Some("has expired")),
        (authority.acceptor("localhost", 3900, 4000), Some("is not valid yet")),
    ] {
        let peer = Peer::https(acceptor).await;
        let report = test(&format!("https://localhost:{}", peer.port), None, Some(&authority.file)).await;
        match expected {
            None => {
                assert!(report.failure().is_none(), "{report:?}");
                assert!(
                    matches!(report.outcome(Step::Tls), Outcome::Passed { detail } if detail.contains("TLS 1.3"))
                );
            }
            Some(expected) => {
                let (step, error) = failure(&report);
                assert!(step == Step::Tls && error.to_string().contains(expected), "{report:?}");
            }
        }
    }
    let peer = Peer::https(authority.acceptor("localhost", 2020, 4000)).await;
    let address = format!("https://localhost:{}", peer.port);
    assert_fails!(test(&address, None, None).await, Step::Tls, E::UnknownAuthority { .. });
    let no_file = test(&address, None, Some("/does/not/exist.pem".as_ref())).await;
    assert!(matches!(failure(&no_file), (Step::Tls, E::OwnAuthority(_))), "{no_file:?}");
}

#[tokio::test]
async fn plain_text_to_a_server_with_tls_and_the_reverse_are_told_apart_from_other_protocols() {
    let authority = Authority::new();
    // The peer's certificate is not trusted by this device: it speaks TLS all the same.
    let tls = Peer::https(authority.acceptor("localhost", 2020, 4000)).await;
    assert_fails!(
        test(&format!("http://localhost:{}", tls.port), None, None).await,
        Step::Tls,
        E::SpeaksTls { .. }
    );
    let health = Box::leak(ok(HEALTH).into_boxed_str());
    let plain = Peer::http(health, NO_CONTENT).await;
    assert_fails!(
        test(&format!("https://localhost:{}", plain.port), None, None).await,
        Step::Tls,
        E::SpeaksPlainHttp { .. }
    );
    let neither = Peer::saying("SSH-2.0-OpenSSH_9.2\r\n").await;
    assert_fails!(
        test(&format!("https://localhost:{}", neither.port), None, None).await,
        Step::Tls,
        E::NotTls { .. }
    );
}

#[tokio::test]
async fn a_peer_that_says_nothing_is_not_waited_for_for_ever() {
    for (scheme, step, hint) in [
        ("http", Step::Version, "does not answer in time"),
        ("https", Step::Tls, "does not answer with TLS in time"),
    ] {
        let peer = Peer::start(|mut stream| async move {
            stream.read_to_end(&mut Vec::new()).await.ok();
        })
        .await;
        let address = format!("{scheme}://127.0.0.1:{}", peer.port);
        let report = test_within(&address, None, None, Duration::from_secs(1)).await;
        let (failed, error) = failure(&report);
        assert!(failed == step && error.to_string().contains(hint), "{report:?}");
    }
}
