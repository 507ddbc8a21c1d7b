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
use protocol::Track;
use protocol::error::{ErrorBody, ErrorCode};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::Services;
use super::error::HttpError;
use crate::ingest::socket::serve;
use crate::listener::{ConnectionSlot, WriteLimit};

pub(super) async fn video(
    state: State<Arc<Services>>,
    slot: Extension<ConnectionSlot>,
    request: Request,
) -> Result<Response, HttpError> {
    upgrade(Track::Video, state.0, slot.0, request)
}

pub(super) async fn audio(
    state: State<Arc<Services>>,
    slot: Extension<ConnectionSlot>,
    request: Request,
) -> Result<Response, HttpError> {
    upgrade(Track::Audio, state.0, slot.0, request)
}

fn upgrade(
    track: Track,
    services: Arc<Services>,
    slot: ConnectionSlot,
    mut request: Request,
) -> Result<Response, HttpError> {
    let accept = accept_key(request.headers())?;
    if services.stop.is_stopping() {
        return Err(ErrorBody::new(ErrorCode::ShuttingDown, "the server is stopping; it will be back").into());
    }
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(upgraded) = upgraded.await {
            run(upgraded, track, &services).await;
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

async fn run(upgraded: Upgraded, track: Track, services: &Services) {
    let context = &services.ingest;
    match upgraded.downcast::<TokioIo<WriteLimit<TcpStream>>>() {
        Ok(parts) => serve(parts.io.into_inner().into_inner(), parts.read_buf.to_vec(), track, context).await,
        Err(upgraded) => match upgraded.downcast::<TokioIo<WriteLimit<TlsStream<TcpStream>>>>() {
            Ok(parts) => {
                serve(parts.io.into_inner().into_inner(), parts.read_buf.to_vec(), track, context).await
            }
            // The listener serves no other kind of stream; if it ever does, this is slower and right.
            Err(upgraded) => serve(TokioIo::new(upgraded), Vec::new(), track, context).await,
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
