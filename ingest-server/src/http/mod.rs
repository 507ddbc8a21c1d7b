//! The HTTP side: routes, who may use them, and answers. Only modules in here know axum.

mod body;
mod certificate;
mod error;
mod guard;
mod hls;
mod peer_connection;
mod recording;
mod rooms;
mod sessions;
mod site;
mod status;
mod tokens;
mod upgrade;
mod whep;
mod whip;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, delete, get, patch, post};
use hyper::body::Incoming;
use protocol::error::{ErrorBody, ErrorCode};
use protocol::{RoomName, SessionId, Track};
use tower::ServiceExt as _;

use crate::access::{Access, Grant};
use crate::database::Database;
use crate::ingest::feed::IngestContext;
use crate::listener::ConnectionSlot;
use crate::playback::{Hls, Recordings};
use crate::rooms::Rooms;
use crate::sessions::Sessions;
use crate::stop::Stop;
use crate::store::Store;
use crate::webrtc::WebRtc;

use error::HttpError;

/// What handlers work with.
pub(crate) struct Services {
    pub(crate) access: Arc<Access>,
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) database: Arc<dyn Database>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) recordings: Recordings,
    pub(crate) hls: Hls,
    pub(crate) ingest: Arc<IngestContext>,
    pub(crate) webrtc: Arc<WebRtc>,
    pub(crate) stop: Stop,
}

impl Services {
    /// The room of a session; `None` if there is no such session.
    async fn room_of(&self, id: SessionId) -> Result<Option<RoomName>, ErrorBody> {
        self.sessions.room(id).await.map_err(|error| internal("finding a session", &error))
    }

    /// Whether the session may be watched.
    async fn check_view(&self, grant: &Grant, id: SessionId) -> Result<(), ErrorBody> {
        // Everybody who gets here may watch something; whoever may watch everything asks nobody.
        if grant.room.is_none() {
            return Ok(());
        }
        let room = self.room_of(id).await?.ok_or_else(sessions::no_such_session)?;
        grant.may_view(&room)
    }
}

/// The routes, ready to answer.
#[derive(Clone)]
pub(crate) struct App {
    router: Router,
}

impl App {
    pub(crate) fn new(services: Arc<Services>) -> Self {
        let guarded = Router::new()
            .route(Track::Video.socket_path(), get(upgrade::video))
            .route(Track::Audio.socket_path(), get(upgrade::audio))
            .route("/api/access", get(status::access))
            .route("/api/sessions", get(sessions::list))
            .route("/api/sessions/{id}", get(sessions::get).delete(sessions::delete))
            .route("/api/sessions/{id}/recording.mp4", get(recording::get))
            .route("/api/sessions/{id}/certificate", get(certificate::get))
            .route("/api/sessions/{id}/end", post(rooms::end_session))
            .route("/ws/rooms/{room}", get(upgrade::room))
            .route("/api/rooms", get(rooms::list))
            .route("/api/rooms/{room}", get(rooms::get).put(rooms::make).delete(rooms::close))
            .route("/api/rooms/{room}/viewers", get(rooms::viewers))
            .route("/api/rooms/{room}/viewers/{viewer}", delete(rooms::remove))
            .route(
                "/api/rooms/{room}/viewers/{viewer}/ban",
                with_body(post(rooms::ban).delete(rooms::lift_ban)),
            )
            .route("/api/rooms/{room}/chat/{number}", delete(rooms::delete_chat))
            .route("/api/tokens", with_body(post(tokens::issue)))
            .route("/api/audit", get(tokens::audit))
            .route("/hls/{session}/index.m3u8", get(hls::multivariant))
            .route("/hls/{session}/{track}/index.m3u8", get(hls::media))
            .route("/hls/{session}/{track}/init/{name}", get(hls::init))
            .route("/hls/{session}/{track}/part/{name}", get(hls::part))
            .route("/hls/{session}/{track}/segment/{name}", get(hls::segment))
            .route("/whep/{target}", post(whep::post).options(peer_connection::options))
            .route("/whep/sessions/{id}", patch(peer_connection::whep).delete(peer_connection::whep))
            .route("/whip/{room}", post(whip::post).options(peer_connection::options))
            .route("/whip/sessions/{id}", patch(peer_connection::whip).delete(peer_connection::whip))
            .fallback(error::no_such_address)
            .method_not_allowed_fallback(error::wrong_method)
            .layer(from_fn_with_state(Arc::clone(&services), guard::guard));
        let open = Router::new()
            .route("/health", get(status::health))
            .route("/ready", get(status::ready))
            .route("/api/server-key", get(certificate::server_key))
            .route("/", get(site::page))
            .route("/watch/{room}", get(site::page))
            .route("/publish", get(site::page))
            .route("/recording/{session}", get(site::page))
            .route("/assets/{*path}", get(site::asset))
            .method_not_allowed_fallback(error::wrong_method);
        let router = guarded.merge(open).layer(DefaultBodyLimit::max(0)).with_state(services);
        Self { router }
    }

    /// Answers a request; with `refusal`, only that.
    pub(crate) async fn answer(
        &self,
        mut request: hyper::Request<Incoming>,
        slot: ConnectionSlot,
        refusal: Option<ErrorBody>,
    ) -> Response<Body> {
        if let Some(refusal) = refusal {
            let mut response = HttpError::from(refusal).into_response();
            let close = http::HeaderValue::from_static("close");
            response.headers_mut().insert(http::header::CONNECTION, close);
            return response;
        }
        request.extensions_mut().insert(slot);
        match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(impossible) => match impossible {},
        }
    }
}

/// A route whose requests may have a body; all others take none.
fn with_body(route: MethodRouter<Arc<Services>>) -> MethodRouter<Arc<Services>> {
    route.layer(DefaultBodyLimit::max(body::MAX_BODY_BYTES))
}

/// A fault of the server: the details go to the log, a plain word to the peer.
fn internal(what: &str, error: &dyn std::error::Error) -> ErrorBody {
    tracing::error!(target: crate::log::TARGET, what, "{what} failed: {error}");
    ErrorBody::new(ErrorCode::Internal, "the server failed; its log says why")
}
