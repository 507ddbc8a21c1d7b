//! In front of every route but those that say how and who the server is: page, token, ban, and the headers that let allowed
//! pages read the answers.

use std::sync::Arc;

use axum::extract::{Query, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use protocol::Secret;
use protocol::error::ErrorBody;
use serde::Deserialize;

use super::Services;
use super::error::HttpError;
use crate::access::{Credentials, Grant};

#[derive(Deserialize)]
struct TokenQuery {
    token: Option<String>,
}

pub(super) async fn guard(
    State(services): State<Arc<Services>>,
    mut request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let origin = headers.get(header::ORIGIN).cloned();
    // A preflight carries no token; the request that follows does.
    let is_preflight =
        request.method() == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    // A header that is not text is not left out: it is wrong.
    let page = services
        .access
        .check_origin(header_text(headers, header::ORIGIN), header_text(headers, header::HOST));
    let mut response = match (page, is_preflight) {
        // A foreign page learns nothing else, and may not even read why.
        (Err(error), _) => return with_vary(HttpError::from(error).into_response()),
        (Ok(()), true) => preflight(),
        (Ok(()), false) => match grant(&services, &request) {
            Err(error) => HttpError::from(error).into_response(),
            Ok(grant) => {
                request.extensions_mut().insert(grant);
                next.run(request).await
            }
        },
    };
    if let Some(origin) = origin {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(
                "accept-ranges, content-range, content-length, etag, location, accept-patch, link",
            ),
        );
    }
    with_vary(response)
}

fn with_vary(mut response: Response) -> Response {
    response.headers_mut().append(header::VARY, HeaderValue::from_static("origin"));
    response
}

/// What the request's token allows.
fn grant(services: &Services, request: &Request) -> Result<Grant, ErrorBody> {
    let query = Query::<TokenQuery>::try_from_uri(request.uri()).ok();
    let query_token = query.and_then(|query| query.0.token).map(Secret::new);
    let credentials = Credentials {
        authorization: header_text(request.headers(), header::AUTHORIZATION),
        query_token: query_token.as_ref().map(Secret::expose),
    };
    let grant = services.access.grant(credentials, services.ingest.clock.unix_ms())?;
    services.rooms.check_ban(&grant)?;
    services.rooms.check_token(grant)
}

fn header_text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("\u{fffd}"))
}

fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, PUT, PATCH, DELETE"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type, range, if-range, if-match, if-none-match, longtake-session",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}
