//! A WebSocket as the driver sees it: one thing that happens after another.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink as _, StreamExt as _};
use protocol::limits::{MAX_CONTROL_BYTES, MAX_MESSAGE_BYTES};
use protocol::{Secret, Track};
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data as OpData, OpCode};
use tokio_tungstenite::tungstenite::{self, Error};

use crate::address::ServerAddress;
use crate::track::{ConnectFailure, Frame, Message, SocketEvent};
use crate::web_socket::{self, WebSocket};

type Opening = Pin<Box<dyn Future<Output = Result<WebSocket, ConnectFailure>> + Send>>;

/// How long a socket that is given up may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(1);

/// Where and how to connect.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) server: ServerAddress,
    pub(crate) track: Track,
    pub(crate) token: Option<Secret>,
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
}

/// The present socket, if there is one.
pub(crate) enum Socket {
    Absent,
    Opening(Opening),
    Open(Box<Open>),
}

pub(crate) struct Open {
    web_socket: WebSocket,
    /// Messages that the socket has not taken yet.
    messages: VecDeque<tungstenite::Message>,
    /// Whether bytes of messages may wait in the socket's buffer.
    flushing: bool,
}

impl Socket {
    pub(crate) fn open(endpoint: Endpoint) -> Self {
        Self::Opening(Box::pin(open(endpoint)))
    }

    /// Whether a frame can be given to [`Socket::write`]. At most one is under way.
    pub(crate) fn is_writable(&self) -> bool {
        matches!(self, Self::Open(open) if open.messages.is_empty() && !open.flushing)
    }

    /// Writes a frame and the ping behind it, in one packet if they fit: each packet costs both sides as much as the
    /// packing of a picture.
    pub(crate) fn write(&mut self, frame: Frame, ping: Option<u32>) {
        if let Self::Open(open) = self {
            open.messages.push_back(match frame {
                Frame::Whole(Message::Text(text)) => tungstenite::Message::text(text),
                Frame::Whole(Message::Binary(bytes)) => tungstenite::Message::Binary(bytes),
                Frame::Whole(Message::Ping(number)) => ping_message(number),
                Frame::Piece { bytes, is_first, is_last } => {
                    let code = if is_first { OpData::Binary } else { OpData::Continue };
                    let frame = frame::Frame::message(bytes, OpCode::Data(code), is_last);
                    tungstenite::Message::Frame(frame)
                }
            });
            open.messages.extend(ping.map(ping_message));
        }
    }

    /// The next thing that happens; none when a message is written and the socket takes another.
    /// Losing the future loses nothing.
    pub(crate) async fn next(&mut self) -> Option<SocketEvent> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<SocketEvent>> {
        match self {
            Self::Absent => Poll::Pending,
            Self::Opening(opening) => match ready!(opening.as_mut().poll(cx)) {
                Ok(web_socket) => {
                    *self =
                        Self::Open(Box::new(Open { web_socket, messages: VecDeque::new(), flushing: false }));
                    Poll::Ready(Some(SocketEvent::Opened))
                }
                Err(failure) => {
                    *self = Self::Absent;
                    Poll::Ready(Some(SocketEvent::ConnectFailed(failure)))
                }
            },
            Self::Open(open) => {
                let event = ready!(open.poll_next(cx));
                if matches!(event, Some(SocketEvent::Closed { .. })) {
                    // The peer's close wants an answer.
                    tokio::spawn(self.leave());
                }
                Poll::Ready(event)
            }
        }
    }

    /// Gives the socket up. The future says goodbye, as far as the peer listens; dropping it does no harm.
    pub(crate) fn leave(&mut self) -> impl Future<Output = ()> + Send + use<> {
        let left = match std::mem::replace(self, Self::Absent) {
            // In the middle of a message there is no way to say anything else.
            Self::Open(open) if open.messages.is_empty() && !open.flushing => Some(open),
            _ => None,
        };
        async move {
            if let Some(mut open) = left {
                // Whether the close arrives changes nothing.
                tokio::time::timeout(FAREWELL, open.say_goodbye()).await.ok();
            }
        }
    }
}

impl Open {
    /// Closes, and waits for the peer's close.
    async fn say_goodbye(&mut self) {
        let closed = self.web_socket.close(None).await;
        while closed.is_ok() && matches!(self.web_socket.next().await, Some(Ok(_))) {}
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<SocketEvent>> {
        match self.poll_write(cx) {
            Poll::Ready(Ok(true)) => return Poll::Ready(None),
            Poll::Ready(Err(error)) => return Poll::Ready(Some(closed(&error))),
            Poll::Ready(Ok(false)) | Poll::Pending => {}
        }
        let event = match ready!(self.web_socket.poll_next_unpin(cx)) {
            Some(Ok(tungstenite::Message::Text(text))) => SocketEvent::Text(text.as_str().to_owned()),
            Some(Ok(tungstenite::Message::Binary(_))) => SocketEvent::Binary,
            Some(Ok(tungstenite::Message::Pong(payload))) => match <[u8; 4]>::try_from(&payload[..]) {
                Ok(number) => SocketEvent::Pong(u32::from_be_bytes(number)),
                Err(_) => SocketEvent::Heard,
            },
            Some(Ok(tungstenite::Message::Ping(_) | tungstenite::Message::Frame(_))) => SocketEvent::Heard,
            Some(Ok(tungstenite::Message::Close(frame))) => SocketEvent::Closed {
                code: frame.as_ref().map(|frame| frame.code.into()),
                reason: frame.map(|frame| frame.reason.as_str().to_owned()).unwrap_or_default(),
            },
            Some(Err(error)) => closed(&error),
            None => SocketEvent::Closed { code: None, reason: String::new() },
        };
        Poll::Ready(Some(event))
    }

    /// Ready with true when messages have just been written whole, with false when there are none.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        let mut web_socket = Pin::new(&mut self.web_socket);
        while !self.messages.is_empty() {
            ready!(web_socket.as_mut().poll_ready(cx))?;
            if let Some(message) = self.messages.pop_front() {
                self.flushing = true;
                web_socket.as_mut().start_send(message)?;
            }
        }
        if !self.flushing {
            return Poll::Ready(Ok(false));
        }
        ready!(web_socket.poll_flush(cx))?;
        self.flushing = false;
        Poll::Ready(Ok(true))
    }
}

fn ping_message(number: u32) -> tungstenite::Message {
    tungstenite::Message::Ping(Bytes::copy_from_slice(&number.to_be_bytes()))
}

fn closed(error: &Error) -> SocketEvent {
    let reason = match error {
        Error::ConnectionClosed | Error::AlreadyClosed => String::new(),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => "the server went away".to_owned(),
        Error::Io(error) => format!("the connection broke: {error}"),
        error => format!("the connection broke: {error}"),
    };
    SocketEvent::Closed { code: None, reason }
}

async fn open(endpoint: Endpoint) -> Result<WebSocket, ConnectFailure> {
    let config = WebSocketConfig::default()
        // The server writes short control messages.
        .read_buffer_size(4 * 1024)
        .max_message_size(Some(MAX_CONTROL_BYTES))
        .max_frame_size(Some(MAX_CONTROL_BYTES))
        // Each frame is flushed before the next is made, so that at most one is buffered, with the ping behind it.
        .max_write_buffer_size(2 * MAX_MESSAGE_BYTES);
    let Endpoint { server, track, token, tls } = endpoint;
    web_socket::open(&server, track.socket_path(), token.as_ref(), tls, config).await
}
