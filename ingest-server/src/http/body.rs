//! What requests hold, refused in the words of this API.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::request::Parts;
use protocol::error::{ErrorBody, ErrorCode};
use serde::de::DeserializeOwned;

use super::error::HttpError;

/// What a request's body may hold at the most, where it may hold anything.
pub(super) const MAX_BODY_BYTES: usize = 4 * 1024;

/// A JSON object; no body is one without fields.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, state: &S) -> Result<Self, HttpError> {
        let bytes = Bytes::from_request(request, state).await.map_err(|_| {
            let message = format!("the body is broken off, or has more than {MAX_BODY_BYTES} bytes");
            ErrorBody::new(ErrorCode::TooLarge, message)
        })?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        let body = serde_json::from_slice(text).map_err(|error| {
            let reason: String = error.to_string().chars().take(200).collect();
            ErrorBody::new(ErrorCode::BadRequest, format!("the body is not what is expected: {reason}"))
        })?;
        Ok(Self(body))
    }
}

/// What stands in the path's places.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        let axum::extract::Path(path) =
            path.map_err(|_| ErrorBody::new(ErrorCode::BadRequest, "the address is not text"))?;
        Ok(Self(path))
    }
}
