//! What WHEP and WHIP have in common: a body of SDP, an answer that is a resource, and what can be done with the resource.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse as _, Response};
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, StatusCode};
use protocol::error::{ErrorBody, ErrorCode};
use tokio::time::timeout;
use uuid::Uuid;

use super::Services;
use super::body::Path;
use super::error::HttpError;
use crate::access::Grant;
use crate::webrtc::{Kind, MAX_SDP_BYTES, NoRoom, OpenError, Opened, PatchError, TrickleError};

/// The type of offers and answers.
const SDP: &str = "application/sdp";
/// The type of candidates that come later (RFC 8840 §9).
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
/// In OPTIONS answers: what may be posted (RFC 9725 §4.2).
const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// The offer in a request.
pub(super) async fn offer(services: &Services, request: Request) -> Result<String, HttpError> {
    if services.stop.is_stopping() {
        return Err(ErrorBody::new(ErrorCode::ShuttingDown, "the server is stopping; it will be back").into());
    }
    body(services, request, SDP).await
}

async fn body(services: &Services, request: Request, expected: &str) -> Result<String, HttpError> {
    let given = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    if !given.eq_ignore_ascii_case(expected) {
        let message = format!("the body must be {expected}, and Content-Type must say so");
        return Err(HttpError::with_status(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorCode::BadRequest,
            message,
        ));
    }
    let read = timeout(services.ingest.bounds.opening, to_bytes(request.into_body(), MAX_SDP_BYTES));
    let bytes = match read.await {
        Err(_) => return Err(ErrorBody::new(ErrorCode::IdleTimeout, "the body did not come in time").into()),
        Ok(Err(_)) => {
            let message = format!("the body has at most {MAX_SDP_BYTES} bytes");
            return Err(ErrorBody::new(ErrorCode::TooLarge, message).into());
        }
        Ok(Ok(bytes)) => bytes,
    };
    let refused = |_| ErrorBody::new(ErrorCode::BadRequest, "SDP is text in UTF-8");
    Ok(String::from_utf8(bytes.to_vec()).map_err(refused)?)
}

/// The answer to an offer.
pub(super) fn opened(kind: Kind, outcome: Result<Opened, OpenError>) -> Result<Response, HttpError> {
    let Opened { id, etag, answer } = outcome.map_err(|error| match error {
        OpenError::Offer(offer) => ErrorBody::new(ErrorCode::BadRequest, offer.to_string()),
        OpenError::NoRoom(full @ NoRoom::HalfOpen) => {
            ErrorBody::new(ErrorCode::RateLimited, full.to_string())
        }
        OpenError::NoRoom(full) => ErrorBody::new(ErrorCode::TooManySessions, full.to_string()),
    })?;
    let headers = [
        (header::CONTENT_TYPE, SDP.to_owned()),
        (header::LOCATION, format!("/{}/sessions/{id}", kind.name())),
        (header::ETAG, etag),
        (ACCEPT_PATCH, FRAGMENT.to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((StatusCode::CREATED, headers, answer).into_response())
}

/// What can be done at an address that takes offers.
pub(super) async fn options() -> Response {
    (StatusCode::NO_CONTENT, [(ACCEPT_POST, SDP), (header::ALLOW, "POST, OPTIONS")]).into_response()
}

/// `PATCH` and `DELETE` of a viewer.
pub(super) async fn whep(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    Path(id): Path<String>,
    request: Request,
) -> Result<StatusCode, HttpError> {
    change(&services, &grant, Kind::Whep, &id, request).await
}

/// `PATCH` and `DELETE` of a publisher.
pub(super) async fn whip(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    Path(id): Path<String>,
    request: Request,
) -> Result<StatusCode, HttpError> {
    change(&services, &grant, Kind::Whip, &id, request).await
}

async fn change(
    services: &Services,
    grant: &Grant,
    kind: Kind,
    id: &str,
    request: Request,
) -> Result<StatusCode, HttpError> {
    let not_found = || ErrorBody::new(ErrorCode::NotFound, PatchError::NotFound.to_string());
    let id = Uuid::try_parse(id).map_err(|_| not_found())?;
    let room = services.webrtc.room(kind, id).ok_or_else(not_found)?;
    match kind {
        Kind::Whep => grant.may_view(&room)?,
        Kind::Whip => grant.may_publish(&room)?,
    }
    if request.method() == Method::DELETE {
        return if services.webrtc.close(kind, id) { Ok(StatusCode::OK) } else { Err(not_found().into()) };
    }
    let if_match = text(request.headers(), header::IF_MATCH).map(str::to_owned);
    let fragment = body(services, request, FRAGMENT).await?;
    let refused = |error: PatchError| {
        let (status, code) = match error {
            PatchError::NotFound => (StatusCode::NOT_FOUND, ErrorCode::NotFound),
            PatchError::NoTag => (StatusCode::PRECONDITION_REQUIRED, ErrorCode::BadRequest),
            PatchError::WrongTag => (StatusCode::PRECONDITION_FAILED, ErrorCode::BadRequest),
            PatchError::Fragment(TrickleError::Restart) => {
                (StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::BadRequest)
            }
            PatchError::Fragment(_) => (StatusCode::BAD_REQUEST, ErrorCode::BadRequest),
        };
        HttpError::with_status(status, code, error.to_string())
    };
    services.webrtc.patch(kind, id, if_match.as_deref(), &fragment).map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
