//! `recording.mp4`, whole or in ranges (RFC 9110 §14).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use http_range_header::parse_range_header;
use protocol::error::{ErrorBody, ErrorCode};

use super::body::Path;
use super::error::HttpError;
use super::sessions::{no_such_session, parse_id};
use super::{Services, internal};
use crate::access::Grant;
use crate::playback::PlaybackError;

/// Which bytes an answer holds.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    All,
    /// First and last byte.
    Range(u64, u64),
    Unsatisfiable,
}

pub(super) async fn get(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    Path(id): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let id = parse_id(&id)?;
    services.check_view(&grant, id).await?;
    let recording = match services.recordings.get(id).await {
        Ok(Some(recording)) => recording,
        Ok(None) => return Err(no_such_session().into()),
        Err(error @ PlaybackError::Nothing) => {
            return Err(ErrorBody::new(ErrorCode::NotFound, error.to_string()).into());
        }
        Err(error) => return Err(internal("making a recording", &error).into()),
    };
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let is_known = text(header::IF_NONE_MATCH)
        .is_some_and(|tags| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == recording.etag));
    let total = recording.total_bytes;
    let wanted = match text(header::IF_RANGE) {
        Some(tag) if tag != recording.etag => Wanted::All,
        _ => wanted(text(header::RANGE), total),
    };
    let (status, first, last) = match wanted {
        _ if is_known => (StatusCode::NOT_MODIFIED, 0, 0),
        Wanted::All => (StatusCode::OK, 0, total - 1),
        Wanted::Range(first, last) => (StatusCode::PARTIAL_CONTENT, first, last),
        Wanted::Unsatisfiable => (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0),
    };
    let has_body = matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT);
    let etag =
        HeaderValue::from_str(&recording.etag).map_err(|error| internal("naming a recording", &error))?;
    let body = if has_body && method != Method::HEAD {
        let store = Arc::clone(services.recordings.store());
        Body::from_stream(Arc::clone(&recording).bytes(store, first..last + 1))
    } else {
        Body::empty()
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::ETAG, etag);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // A session that goes on grows; its tag tells.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if has_body {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("video/mp4"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(last + 1 - first));
    }
    let content_range = match status {
        StatusCode::PARTIAL_CONTENT => Some(format!("bytes {first}-{last}/{total}")),
        StatusCode::RANGE_NOT_SATISFIABLE => Some(format!("bytes */{total}")),
        _ => None,
    };
    if let Some(value) = content_range.and_then(|text| HeaderValue::from_str(&text).ok()) {
        headers.insert(header::CONTENT_RANGE, value);
    }
    Ok(response)
}

/// What a `Range` header asks for. One that is no range, or several at once, asks for everything (§14.2 lets a
/// server ignore it).
fn wanted(range: Option<&str>, total: u64) -> Wanted {
    let Some(parsed) = range.and_then(|range| parse_range_header(range).ok()) else { return Wanted::All };
    if parsed.ranges.len() > 1 {
        return Wanted::All;
    }
    match parsed.validate(total).ok().as_deref() {
        Some([range]) => Wanted::Range(*range.start(), *range.end()),
        _ => Wanted::Unsatisfiable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_what_players_ask_for() {
        for (header, expected) in [
            (None, Wanted::All),
            (Some("bytes=0-"), Wanted::Range(0, 999)),
            (Some("bytes=0-0"), Wanted::Range(0, 0)),
            (Some("bytes=990-5000"), Wanted::Range(990, 999)),
            (Some("bytes=-10"), Wanted::Range(990, 999)),
            (Some("bytes=1000-"), Wanted::Unsatisfiable),
            (Some("bytes=5-4"), Wanted::Unsatisfiable),
            (Some("bytes=0-1,5-6"), Wanted::All),
            (Some("furlongs=0-1"), Wanted::All),
            (Some("bytes=a-b"), Wanted::All),
            (Some(""), Wanted::All),
        ] {
            assert_eq!(wanted(header, 1000), expected, "{header:?}");
        }
    }
}
