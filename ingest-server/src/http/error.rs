//! Errors as answers.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use protocol::error::{ErrorBody, ErrorCode};

/// An error body with its status.
#[derive(Debug)]
pub(super) struct HttpError {
    status: StatusCode,
    body: ErrorBody,
}

impl HttpError {
    pub(super) fn with_status(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        Self { status, body: ErrorBody::new(code, message) }
    }
}

impl From<ErrorBody> for HttpError {
    fn from(body: ErrorBody) -> Self {
        Self { status: status_of(body.code), body }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}

/// The status that goes with a code.
const fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorCode::ForbiddenOrigin | ErrorCode::Forbidden | ErrorCode::Removed => StatusCode::FORBIDDEN,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::SessionTaken | ErrorCode::Superseded => StatusCode::CONFLICT,
        ErrorCode::SessionEnded | ErrorCode::RoomClosed => StatusCode::GONE,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::IdleTimeout => StatusCode::REQUEST_TIMEOUT,
        ErrorCode::TooManySessions | ErrorCode::RoomFull | ErrorCode::ShuttingDown => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ErrorCode::StorageUnavailable => StatusCode::INSUFFICIENT_STORAGE,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}

pub(super) async fn no_such_address() -> HttpError {
    ErrorBody::new(ErrorCode::NotFound, "there is nothing at this address").into()
}

pub(super) async fn wrong_method() -> HttpError {
    let message = "this address does not take this method";
    HttpError::with_status(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::BadRequest, message)
}
