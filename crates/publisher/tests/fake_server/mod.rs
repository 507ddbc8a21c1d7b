//! A server that does what a test says, over real sockets.

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::control::{Hello, Limits, PublisherMessage, ServerMessage, Welcome};
use protocol::error::ErrorBody;
use protocol::unit::decode_message;
use protocol::{UnitRange, UnitRanges};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

/// A listening socket on this machine.
pub(crate) struct FakeServer(TcpListener);

impl FakeServer {
    pub(crate) async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    pub(crate) async fn tcp(&self) -> TcpStream {
        self.0.accept().await.unwrap().0
    }

    /// Takes one connection up to and with its hello.
    pub(crate) async fn accept(&self) -> Peer<TcpStream> {
        Peer::accept(self.tcp().await).await
    }

    /// Answers one request with plain HTTP.
    pub(crate) async fn answer(&self, head: &str, body: &str) {
        let mut tcp = self.tcp().await;
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(tcp.read_u8().await.unwrap());
        }
        let length = body.len();
        let answer =
            format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
        tcp.write_all(answer.as_bytes()).await.unwrap();
        tcp.shutdown().await.unwrap();
    }

    pub(crate) async fn refuse(&self, head: &str, error: &ErrorBody) {
        let body = format!(
            r#"{{"code":"{}","message":"{}","retryable":{}}}"#,
            error.code, error.message, error.retryable
        );
        self.answer(head, &body).await;
    }
}

/// One publisher's connection.
pub(crate) struct Peer<S> {
    web_socket: WebSocketStream<S>,
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) hello: Hello,
    /// All units that came, in order.
    pub(crate) units: Vec<u64>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(crate) async fn accept(stream: S) -> Self {
        let (mut path, mut authorization) = (String::new(), None);
        #[allow(clippy::result_large_err)] // The type is the library's.
        let look = |request: &Request, response: Response| {
            path = request.uri().path().to_owned();
            let header = request.headers().get("authorization");
            authorization = header.map(|value| value.to_str().unwrap().to_owned());
            Ok(response)
        };
        let mut web_socket = accept_hdr_async(stream, look).await.unwrap();
        let hello = loop {
            if let Message::Text(text) = web_socket.next().await.unwrap().unwrap() {
                match PublisherMessage::parse(&text).unwrap() {
                    PublisherMessage::Hello(hello) => break hello,
                    other => panic!("{other:?} before the hello"),
                }
            }
        };
        Self { web_socket, path, authorization, hello, units: Vec::new() }
    }

    pub(crate) async fn say(&mut self, message: &ServerMessage) {
        self.web_socket.send(Message::text(message.to_json())).await.unwrap();
    }

    pub(crate) async fn welcome(&mut self, durable: &[(u64, u64)]) {
        let limits = Limits { message_bytes: 1 << 22, unit_bytes: 1 << 21, idle_ms: 30_000 };
        let welcome = Welcome { version: 1, durable: ranges(durable), limits, server_unix_ms: 0 };
        self.say(&ServerMessage::Welcome(welcome)).await;
    }

    pub(crate) async fn ack(&mut self, durable: &[(u64, u64)]) {
        self.say(&ServerMessage::Ack { durable: ranges(durable) }).await;
    }

    /// The next control message; units that come before it are noted.
    pub(crate) async fn control(&mut self) -> PublisherMessage {
        loop {
            match self.web_socket.next().await.unwrap().unwrap() {
                Message::Text(text) => return PublisherMessage::parse(&text).unwrap(),
                Message::Binary(bytes) => self.note(bytes),
                _ => {}
            }
        }
    }

    /// Waits until this many units came on this connection.
    pub(crate) async fn receive(&mut self, units: usize) {
        while self.units.len() < units {
            match self.web_socket.next().await.unwrap().unwrap() {
                Message::Binary(bytes) => self.note(bytes),
                Message::Text(text) => panic!("{text} before the units"),
                _ => {}
            }
        }
    }

    fn note(&mut self, bytes: Bytes) {
        self.units.extend(decode_message(bytes).map(|unit| unit.unwrap().number));
    }

    /// Takes everything up to the finish, acknowledges it and completes the track.
    pub(crate) async fn complete(mut self) -> Vec<u64> {
        let finish = loop {
            if let PublisherMessage::Finish(finish) = self.control().await {
                break finish;
            }
        };
        let durable_units = finish.units - finish.lost.count();
        self.say(&ServerMessage::Complete { units: finish.units, durable_units, digest: finish.digest })
            .await;
        // The publisher closes.
        while let Some(Ok(_)) = self.web_socket.next().await {}
        self.units
    }

    pub(crate) async fn close(mut self, code: u16, reason: &str) {
        let frame = CloseFrame { code: code.into(), reason: reason.to_owned().into() };
        self.web_socket.close(Some(frame)).await.unwrap();
        while let Some(Ok(_)) = self.web_socket.next().await {}
    }
}

pub(crate) fn ranges(pairs: &[(u64, u64)]) -> UnitRanges {
    pairs.iter().map(|&(first, last)| UnitRange::new(first, last)).collect()
}
