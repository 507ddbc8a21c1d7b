//! In front of every route but those that say how and who the server is: page, token, and the headers that let allowed
//! pages read the answers.

use std::sync::Arc;

use axum::extract::{Query, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use protocol::Secret;
use serde::Deserialize;

use super::Services;
use super::error::HttpError;
use crate::access::Credentials;

#[derive(Deserialize)]
struct TokenQuery {
    token: Option<String>,
}

pub(super) async fn guard(State(services): State<Arc<Services>>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match check(&services, &request, is_preflight) {
        Err(error) => error.into_response(),
        Ok(()) if is_preflight => preflight(),
        Ok(()) => next.run(request).await,
    };
    if response.status() != StatusCode::FORBIDDEN
        && let Some(origin) = origin
    {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(
                "accept-ranges, content-range, content-length, etag, location, accept-patch, link",
            ),
        );
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("origin"));
    response
}

/// A preflight carries no token; the request that follows does.
fn check(services: &Services, request: &Request, is_preflight: bool) -> Result<(), HttpError> {
    let headers = request.headers();
    // A header that is not text is not left out: it is wrong.
    let text = |name: HeaderName| header_text(headers, name);
    let (origin, host) = (text(header::ORIGIN), text(header::HOST));
    if is_preflight {
        return Ok(services.access.check_origin(origin, host)?);
    }
    let query = Query::<TokenQuery>::try_from_uri(request.uri()).ok();
    let query_token = query.and_then(|query| query.0.token).map(Secret::new);
    services.access.check(Credentials {
        authorization: text(header::AUTHORIZATION),
        query_token: query_token.as_ref().map(Secret::expose),
        origin,
        host,
    })?;
    Ok(())
}

fn header_text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("\u{fffd}"))
}

fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, PUT, PATCH, DELETE"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type, range, if-range, if-match, if-none-match",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}
