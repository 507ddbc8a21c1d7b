//! The HTTP side: routes, who may use them, and answers. Only modules in here know axum.

mod body;
mod certificate;
mod document;
mod error;
mod guard;
mod hls;
mod peer_connection;
mod recording;
mod rooms;
mod routes;
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
use hyper::body::Incoming;
use protocol::error::{ErrorBody, ErrorCode};
use protocol::{RoomName, SessionId};
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
use routes::Route;

pub use document::http_api_markdown;

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

    /// The session of this id and its room, for somebody who may administer it.
    async fn administered(&self, grant: &Grant, id: &str) -> Result<(SessionId, RoomName), ErrorBody> {
        let id = sessions::parse_id(id)?;
        // Whoever may administer nothing learns nothing of what there is.
        grant.may_administer(grant.room.as_ref())?;
        let room = self.room_of(id).await?.ok_or_else(sessions::no_such_session)?;
        grant.may_administer(Some(&room))?;
        Ok((id, room))
    }
}

/// The routes, ready to answer.
#[derive(Clone)]
pub(crate) struct App {
    router: Router,
}

impl App {
    pub(crate) fn new(services: Arc<Services>) -> Self {
        let (guarded, open): (Vec<_>, Vec<_>) =
            routes::all().into_iter().partition(|route| route.operation.is_guarded());
        let router = |routes: Vec<Route>| {
            let add = |router: Router<_>, route: Route| router.route(route.operation.path, route.handler);
            routes.into_iter().fold(Router::new(), add).method_not_allowed_fallback(error::wrong_method)
        };
        let guarded = router(guarded)
            .fallback(error::no_such_address)
            .layer(from_fn_with_state(Arc::clone(&services), guard::guard));
        let open = router(open);
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

/// A fault of the server: the details go to the log, a plain word to the peer.
fn internal(what: &str, error: &dyn std::error::Error) -> ErrorBody {
    tracing::error!(target: crate::log::TARGET, what, "{what} failed: {error}");
    ErrorBody::new(ErrorCode::Internal, "the server failed; its log says why")
}
