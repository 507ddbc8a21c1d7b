//! A server in the test's own process, and a publisher of a few lines that says exactly what a test wants.
#![allow(dead_code, clippy::unwrap_used, unreachable_pub, missing_docs)]

pub mod encoded;
pub mod store;
pub mod viewer;
pub mod webrtc;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use clap::Parser as _;
use futures_util::{SinkExt as _, StreamExt as _};
use ingest_server::Server;
use ingest_server::config::{Cli, Config};
use ingest_server::store::Store;
use protocol::api::Session;
use protocol::codec::Params;
use protocol::control::{Device, Finish, Hello, PublisherMessage, ServerMessage, Welcome};
use protocol::digest::{UnitDigests, unit_digest};
use protocol::error::{ErrorBody, ErrorCode};
use protocol::unit::{Unit, decode_message};
use protocol::{PROTOCOL_VERSION, ResumeKey, SessionId, Track, UnitRanges};
use tempfile::TempDir;
use testkit::units::{UnitSource, finish, params};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::Response;

/// Far longer than anything takes, so that a hang fails and nothing else does.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for an event that must come.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it should have happened by now")
}

/// Settings for tests: any free port, short parts, and what `args` say.
pub fn config(folder: &Path, args: &[&str]) -> Config {
    let folder = folder.to_str().unwrap();
    let fixed = ["longtake-ingest", "--port", "0", "--data-dir", folder, "--gather-ms", "5"];
    // Tests ask again and again from one address.
    let any_rate = ["--max-connection-rate", "0"];
    let rate = if args.contains(&any_rate[0]) { &[][..] } else { &any_rate[..] };
    Cli::try_parse_from(fixed.iter().chain(rate).chain(args)).unwrap().settings.check().unwrap()
}

/// A server with a folder of its own.
pub struct TestServer {
    pub folder: TempDir,
    server: Server,
}

impl TestServer {
    pub async fn start(args: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), args).await
    }

    pub async fn start_in(folder: TempDir, args: &[&str]) -> Self {
        let server = Server::start(config(folder.path(), args)).await.unwrap();
        Self { folder, server }
    }

    pub async fn start_with(folder: TempDir, args: &[&str], store: Arc<dyn Store>) -> Self {
        let server = Server::start_with(config(folder.path(), args), store).await.unwrap();
        Self { folder, server }
    }

    /// Stops the server and gives the folder back.
    pub async fn stop(self) -> TempDir {
        soon(self.server.shutdown()).await;
        self.folder
    }

    pub fn address(&self) -> String {
        self.server.local_addr().to_string()
    }

    pub async fn connect(&self, track: Track) -> Publisher<TcpStream> {
        let stream = TcpStream::connect(self.address()).await.unwrap();
        let url = format!("ws://{}{}", self.address(), track.socket_path());
        let (socket, _) =
            soon(tokio_tungstenite::client_async(url.into_client_request().unwrap(), stream)).await.unwrap();
        Publisher::over(socket)
    }

    /// A connection that has said hello and was welcomed.
    pub async fn publish(&self, hello: &Hello) -> (Publisher<TcpStream>, Welcome) {
        let mut publisher = self.connect(hello.track).await;
        publisher.say(&PublisherMessage::Hello(hello.clone())).await;
        let welcome = publisher.welcome().await;
        (publisher, welcome)
    }

    /// A handshake that is refused: its status and error.
    pub async fn refused_handshake(&self, path: &str, headers: &[(&str, &str)]) -> (u16, ErrorBody) {
        let mut request = format!("ws://{}{path}", self.address()).into_client_request().unwrap();
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(self.address()).await.unwrap();
        let outcome = soon(tokio_tungstenite::client_async(request, stream)).await;
        match outcome {
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
                let response: Response<Option<Vec<u8>>> = *response;
                let status = response.status().as_u16();
                (status, serde_json::from_slice(response.body().as_deref().unwrap_or_default()).unwrap())
            }
            other => panic!("a refusal was expected: {other:?}"),
        }
    }

    /// A plain HTTP request; status, head and body.
    pub async fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut text =
            format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.address());
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        self.raw(format!("{text}\r\n").as_bytes()).await
    }

    /// The same with a JSON body.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut text = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n",
            self.address(),
            body.len()
        );
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        self.raw(format!("{text}\r\n{body}").as_bytes()).await
    }

    /// Sends bytes as they are and reads until the server closes.
    pub async fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        // A reset after the answer is an end as well.
        let _ = soon(stream.read_to_end(&mut answer)).await;
        Answer::parse(&answer)
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[]).await
    }

    pub async fn session(&self, id: SessionId) -> Session {
        let answer = self.get(&format!("/api/sessions/{id}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// Asks until the session is as wanted; each asking is a round trip, so that this does not spin.
    pub async fn session_when(&self, id: SessionId, wanted: impl Fn(&Session) -> bool) -> Session {
        soon(async {
            loop {
                let session = self.session(id).await;
                if wanted(&session) {
                    return session;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn parse(bytes: &[u8]) -> Self {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Self { status: 0, head: String::from_utf8_lossy(bytes).into_owned(), body: Vec::new() };
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let body = bytes[end + 4..].to_vec();
        let body = if head.contains("transfer-encoding: chunked") { dechunked(&body) } else { body };
        Self { status, head, body }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The body as JSON.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn code(&self) -> ErrorCode {
        let body: ErrorBody = serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"));
        body.code
    }
}

fn dechunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        whole.extend_from_slice(&body[end + 2..end + 2 + length]);
        body = &body[end + 4 + length..];
    }
    whole
}

/// A publisher's end of a socket.
pub struct Publisher<S> {
    pub socket: WebSocketStream<S>,
    /// What was acknowledged on this connection.
    pub durable: UnitRanges,
    /// What it said at first.
    pub hello: Option<Hello>,
}

/// What was sent of each track, on whatever connection. Each test is a process of its own.
static SENT: Mutex<BTreeMap<(SessionId, Track), UnitDigests>> = Mutex::new(BTreeMap::new());

impl<S: AsyncRead + AsyncWrite + Unpin> Publisher<S> {
    pub fn over(socket: WebSocketStream<S>) -> Self {
        Self { socket, durable: UnitRanges::new(), hello: None }
    }

    pub async fn say(&mut self, message: &PublisherMessage) {
        if let PublisherMessage::Hello(hello) = message {
            self.hello = Some(hello.clone());
        }
        self.send(Message::text(message.to_json())).await;
    }

    pub async fn send(&mut self, message: Message) {
        if let (Message::Binary(units), Some(hello)) = (&message, &self.hello) {
            let mut sent = SENT.lock().unwrap();
            let digests = sent.entry((hello.session, hello.track)).or_default();
            for unit in decode_message(units.clone()).filter_map(Result::ok) {
                digests.record(unit.number, unit_digest(hello.track, &unit));
            }
        }
        soon(self.socket.send(message)).await.unwrap();
    }

    pub async fn units(&mut self, units: &[Unit]) {
        for units in units.chunks(10) {
            self.send(Message::binary(encoded(units))).await;
        }
    }

    /// The next control message.
    pub async fn next(&mut self) -> ServerMessage {
        loop {
            let message = soon(self.socket.next()).await.expect("the connection ended").unwrap();
            if let Message::Text(text) = message {
                let message = ServerMessage::parse(text.as_str()).unwrap();
                if let ServerMessage::Ack { durable } = &message {
                    self.durable.extend(durable);
                }
                return message;
            }
            assert!(!message.is_close(), "closed without an error message: {message:?}");
        }
    }

    pub async fn welcome(&mut self) -> Welcome {
        match self.next().await {
            ServerMessage::Welcome(welcome) => welcome,
            other => panic!("welcome was expected: {other:?}"),
        }
    }

    /// Waits until so many units are acknowledged on this connection.
    pub async fn acked(&mut self, units: u64) {
        while self.durable.count() < units {
            let message = self.next().await;
            let is_expected = matches!(
                message,
                ServerMessage::Ack { .. } | ServerMessage::Viewers { .. } | ServerMessage::KeyframeRequest {}
            );
            assert!(is_expected, "{message:?}");
        }
    }

    /// Ends the track and waits for the server's word.
    pub async fn finish(&mut self, units: u64, lost: UnitRanges) -> (u64, u64) {
        let finish = self.signed_finish(units, lost);
        self.say(&PublisherMessage::Finish(finish)).await;
        self.completed().await
    }

    /// The end of the track as its device signs it.
    pub fn signed_finish(&self, units: u64, lost: UnitRanges) -> Finish {
        let hello = self.hello.as_ref().unwrap();
        let sent = SENT.lock().unwrap();
        let digests = sent.get(&(hello.session, hello.track)).cloned().unwrap_or_default();
        finish(hello, units, lost, &digests)
    }

    /// Waits for the server's word that the track is complete.
    pub async fn completed(&mut self) -> (u64, u64) {
        loop {
            match self.next().await {
                ServerMessage::Complete { units, durable_units, .. } => return (units, durable_units),
                ServerMessage::Ack { .. }
                | ServerMessage::Viewers { .. }
                | ServerMessage::KeyframeRequest {} => {}
                other => panic!("complete was expected: {other:?}"),
            }
        }
    }

    /// Waits for the error and the close that follow; other messages are passed over.
    pub async fn error(&mut self) -> (ErrorBody, u16) {
        let mut error = None;
        loop {
            match soon(self.socket.next()).await {
                Some(Ok(Message::Text(text))) => match ServerMessage::parse(text.as_str()).unwrap() {
                    ServerMessage::Error(body) => error = Some(body),
                    ServerMessage::Ack { durable } => self.durable.extend(&durable),
                    _ => {}
                },
                Some(Ok(Message::Close(Some(frame)))) => {
                    return (error.expect("an error before the close"), frame.code.into());
                }
                Some(Ok(_)) => {}
                other => panic!("closed without a reason: {other:?}"),
            }
        }
    }

    /// Leaves with a close and waits until the server has left too.
    pub async fn leave(mut self) {
        let _ = self.socket.close(None).await;
        while let Some(Ok(_)) = soon(self.socket.next()).await {}
    }
}

/// One message of these units.
pub fn encoded(units: &[Unit]) -> Bytes {
    let mut message = BytesMut::new();
    for unit in units {
        unit.encode(&mut message);
    }
    message.freeze()
}

/// An id that no other test has.
pub fn new_session() -> SessionId {
    SessionId::from_bytes(*uuid::Uuid::now_v7().as_bytes())
}

pub fn hello(session: SessionId, track: Track) -> Hello {
    hello_with(session, track, vec![params(track)], [7; 16])
}

pub fn hello_with(session: SessionId, track: Track, params: Vec<Params>, key: [u8; 16]) -> Hello {
    Hello {
        version: PROTOCOL_VERSION,
        session,
        resume_key: ResumeKey::from_bytes(key),
        room: "studio".parse().unwrap(),
        track,
        params,
        device: Device { name: "Desk".into(), platform: "linux".into(), app: "test 1".into() },
        started_unix_ms: 1_700_000_000_000,
    }
}

/// The first units of a track.
pub fn units(track: Track, count: usize) -> Vec<Unit> {
    UnitSource::new(track, 1).take(count).collect()
}

/// The payload of each of [`large_units`].
pub const LARGE_UNIT_BYTES: usize = 200_000;

/// Video of 48 Mbit/s.
pub fn large_units(count: usize) -> Vec<Unit> {
    units_of(LARGE_UNIT_BYTES, count)
}

/// Video with so many bytes in each unit.
pub fn units_of(bytes: usize, count: usize) -> Vec<Unit> {
    let sized = |unit: Unit| {
        let mut payload = BytesMut::new();
        payload.put_u32(bytes as u32);
        payload.put_u8(if unit.key { 0x65 } else { 0x41 });
        payload.put_bytes(0xaa, bytes - 1);
        Unit { payload: payload.freeze(), ..unit }
    };
    UnitSource::new(Track::Video, 1).take(count).map(sized).collect()
}
