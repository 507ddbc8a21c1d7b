//! The web site: one page for every address of it, and what the page is made of. Both are built from `ui` and embedded.
//!
//! The page is public and holds nothing: what it asks the API for needs a token, it does not.

use axum::body::Body;
use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use rust_embed::{Embed, EmbeddedFile};

use super::error;

/// What `npm run build:site` has written; empty when nobody has run it.
#[derive(Embed)]
#[folder = "../ui/dist-site"]
struct Files;

/// The one page. Which of the site's addresses it is at, it sees by itself.
const PAGE: &str = "site.html";

/// Assets carry a hash of their content in their names, so that one name is one content for ever.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ASK_EVERY_TIME: HeaderValue = HeaderValue::from_static("no-cache");

const HOW_TO_BUILD: &str = "This server was built without its web site. To build it, run `cargo xtask ui` in the repository, \
                            or `npm ci` and `npm run build:site` in its folder `ui`, and build the server again. \
                            Everything else works: publishing, recording and the API.\n";

/// Nothing from elsewhere, nothing inline. Pictures and sound come over blobs that the player makes of segments, and
/// from recordings; `self` includes the sockets of the same host.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What every answer of the site carries.
const SAFEGUARDS: &[(&str, &str)] = &[
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "permissions-policy",
        "camera=(self), microphone=(self), autoplay=(self), fullscreen=(self), picture-in-picture=(self), \
         clipboard-write=(self), web-share=(self), geolocation=(), usb=(), serial=(), payment=()",
    ),
];

/// `/`, `/watch/{room}`, `/publish` and `/recording/{session}`.
pub(super) async fn page(method: Method, headers: HeaderMap) -> Response {
    match Files::get(PAGE) {
        Some(file) => answer(&file, &method, &headers, ASK_EVERY_TIME),
        None => guarded((StatusCode::NOT_FOUND, HOW_TO_BUILD).into_response()),
    }
}

/// `/assets/{*path}`.
pub(super) async fn asset(Path(path): Path<String>, method: Method, headers: HeaderMap) -> Response {
    // Only what is embedded can be named: a path that leads elsewhere finds nothing.
    match Files::get(&format!("assets/{path}")) {
        Some(file) => answer(&file, &method, &headers, FOR_EVER),
        None => guarded(error::no_such_address().await.into_response()),
    }
}

fn answer(file: &EmbeddedFile, method: &Method, asked: &HeaderMap, caching: HeaderValue) -> Response {
    let etag = etag(file);
    let is_known = asked
        .get(header::IF_NONE_MATCH)
        .and_then(|tags| tags.to_str().ok())
        .is_some_and(|tags| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag));
    let status = if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let body = if is_known || method == Method::HEAD { Body::empty() } else { Body::from(file.data.clone()) };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, caching);
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    if !is_known {
        if let Ok(media_type) = HeaderValue::from_str(&media_type(file)) {
            headers.insert(header::CONTENT_TYPE, media_type);
        }
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(file.data.len()));
    }
    guarded(response)
}

/// The first 16 bytes of the content's SHA-256, quoted.
fn etag(file: &EmbeddedFile) -> String {
    let digits: String =
        file.metadata.sha256_hash().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digits}\"")
}

fn media_type(file: &EmbeddedFile) -> String {
    let media_type = file.metadata.mimetype();
    if media_type.starts_with("text/") {
        format!("{media_type}; charset=utf-8")
    } else {
        media_type.to_owned()
    }
}

fn guarded(mut response: Response) -> Response {
    for (name, value) in SAFEGUARDS {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}
