//! From a request to a socket: the WebSocket handshake (RFC 6455 §4.2), and the bare stream behind it.
//!
//! The stream is taken back from hyper as it was accepted, so that units pass through nothing but tungstenite.

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse as _, Response};
use http::header::{self, HeaderName};
use http::{HeaderMap, StatusCode};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use protocol::error::{ErrorBody, ErrorCode};
use protocol::{RoomName, Track};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::Services;
use super::body::Path;
use super::error::HttpError;
use super::rooms::parse_room;
use crate::access::Grant;
use crate::listener::{ConnectionSlot, WriteLimit};
use crate::{ingest, rooms};

pub(super) async fn video(
    state: State<Arc<Services>>,
    slot: Extension<ConnectionSlot>,
    grant: Extension<Grant>,
    request: Request,
) -> Result<Response, HttpError> {
    let track = TrackSocket { track: Track::Video, grant: grant.0, services: state.0 };
    track.upgrade(slot.0, request)
}

pub(super) async fn audio(
    state: State<Arc<Services>>,
    slot: Extension<ConnectionSlot>,
    grant: Extension<Grant>,
    request: Request,
) -> Result<Response, HttpError> {
    let track = TrackSocket { track: Track::Audio, grant: grant.0, services: state.0 };
    track.upgrade(slot.0, request)
}

pub(super) async fn room(
    state: State<Arc<Services>>,
    slot: Extension<ConnectionSlot>,
    grant: Extension<Grant>,
    room: Path<String>,
    request: Request,
) -> Result<Response, HttpError> {
    let room = parse_room(room.0)?;
    grant.may_view(&room)?;
    RoomSocket { room, grant: grant.0, services: state.0 }.upgrade(slot.0, request)
}

/// What takes over a connection from HTTP.
trait Socket: Sized + Send + 'static {
    fn services(&self) -> &Services;

    /// Serves the stream to its end; `read_ahead` came behind the request.
    fn serve<S>(self, stream: S, read_ahead: Vec<u8>) -> impl Future<Output = ()> + Send
    where
        S: AsyncRead + AsyncWrite + Unpin + Send;

    fn upgrade(self, slot: ConnectionSlot, mut request: Request) -> Result<Response, HttpError> {
        let accept = accept_key(request.headers())?;
        if self.services().stop.is_stopping() {
            let message = "the server is stopping; it will be back";
            return Err(ErrorBody::new(ErrorCode::ShuttingDown, message).into());
        }
        let upgraded = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            if let Ok(upgraded) = upgraded.await {
                run(self, upgraded).await;
            }
            drop(slot);
        });
        let headers = [
            (header::CONNECTION, "Upgrade"),
            (header::UPGRADE, "websocket"),
            (header::SEC_WEBSOCKET_ACCEPT, &accept),
        ];
        Ok((StatusCode::SWITCHING_PROTOCOLS, headers).into_response())
    }
}

/// A publisher's socket of one track.
struct TrackSocket {
    track: Track,
    grant: Grant,
    services: Arc<Services>,
}

impl Socket for TrackSocket {
    fn services(&self) -> &Services {
        &self.services
    }

    async fn serve<S>(self, stream: S, read_ahead: Vec<u8>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        ingest::socket::serve(stream, read_ahead, self.track, &self.grant, &self.services.ingest).await;
    }
}

/// A viewer's socket of one room.
struct RoomSocket {
    room: RoomName,
    grant: Grant,
    services: Arc<Services>,
}

impl Socket for RoomSocket {
    fn services(&self) -> &Services {
        &self.services
    }

    async fn serve<S>(self, stream: S, read_ahead: Vec<u8>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let Self { room, grant, services } = self;
        rooms::socket::serve(stream, read_ahead, &services.rooms, &room, grant, services.stop.clone()).await;
    }
}

async fn run(socket: impl Socket, upgraded: Upgraded) {
    match upgraded.downcast::<TokioIo<WriteLimit<TcpStream>>>() {
        Ok(parts) => socket.serve(parts.io.into_inner().into_inner(), parts.read_buf.to_vec()).await,
        Err(upgraded) => match upgraded.downcast::<TokioIo<WriteLimit<TlsStream<TcpStream>>>>() {
            Ok(parts) => socket.serve(parts.io.into_inner().into_inner(), parts.read_buf.to_vec()).await,
            // The listener serves no other kind of stream; if it ever does, this is slower and right.
            Err(upgraded) => socket.serve(TokioIo::new(upgraded), Vec::new()).await,
        },
    }
}

/// Checks the handshake and derives the answer to its key.
fn accept_key(headers: &HeaderMap) -> Result<String, ErrorBody> {
    let has_word = |name: HeaderName, word: &str| {
        let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|have| have.trim().eq_ignore_ascii_case(word))
    };
    let refused = |message: &str| Err(ErrorBody::new(ErrorCode::BadRequest, message));
    if !has_word(header::CONNECTION, "upgrade") || !has_word(header::UPGRADE, "websocket") {
        return refused("this address takes WebSocket connections");
    }
    if !has_word(header::SEC_WEBSOCKET_VERSION, "13") {
        return refused("only WebSocket version 13 is supported");
    }
    match headers.get(header::SEC_WEBSOCKET_KEY) {
        // 16 bytes in Base64.
        Some(key) if key.len() == 24 => Ok(derive_accept_key(key.as_bytes())),
        _ => refused("the WebSocket handshake has no valid key"),
    }
}
