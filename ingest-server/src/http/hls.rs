//! `/hls/{session}/…`: playlists, and the segments and parts that they list.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Query, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{StatusCode, Uri};
use protocol::error::{ErrorBody, ErrorCode};
use protocol::{SessionId, Track};
use serde::Deserialize;

use super::body::Path;
use super::error::HttpError;
use super::sessions::parse_id;
use super::{Services, internal};
use crate::access::Grant;
use crate::playback::{Fragments, HlsError, TARGET_S, Wanted};

/// How long what never changes is kept, in s: a year.
const FOREVER_S: u64 = 31_536_000;

/// What players ask for beside the address (§6.2.5 of draft-pantos-hls-rfc8216bis).
#[derive(Debug, Default, Deserialize)]
pub(super) struct HlsQuery {
    #[serde(rename = "_HLS_msn")]
    segment: Option<u64>,
    #[serde(rename = "_HLS_part")]
    part: Option<u64>,
    #[serde(rename = "_HLS_skip")]
    skip: Option<String>,
}

type Answer = Result<Response, HttpError>;

pub(super) async fn multivariant(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    Path(session): Path<String>,
    uri: Uri,
) -> Answer {
    let id = parse_id(&session)?;
    check_view(&services, &grant, id).await?;
    let text = services.hls.multivariant(id, &token_query(&uri)).await.map_err(refused)?;
    Ok(playlist(&services, text, Some(1)))
}

pub(super) async fn media(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    Path((session, track)): Path<(String, String)>,
    query: Result<Query<HlsQuery>, axum::extract::rejection::QueryRejection>,
    uri: Uri,
) -> Answer {
    let (id, track) = (parse_id(&session)?, parse_track(&track)?);
    check_view(&services, &grant, id).await?;
    let Query(query) = query.map_err(|_| {
        ErrorBody::new(ErrorCode::BadRequest, "_HLS_msn and _HLS_part are numbers, _HLS_skip is YES or v2")
    })?;
    let wanted = match (query.segment, query.part) {
        (Some(segment), part) => Some(Wanted { segment, part }),
        (None, None) => None,
        (None, Some(_)) => {
            return Err(ErrorBody::new(ErrorCode::BadRequest, "_HLS_part needs _HLS_msn").into());
        }
    };
    let skip = matches!(query.skip.as_deref(), Some("YES" | "v2"));
    let found = services.hls.media(id, track, wanted, skip, &token_query(&uri)).await.map_err(refused)?;
    // Appendix B.1: what many wait for at once is kept for six target durations, and nothing that did not come.
    let kept_s = match (wanted, found.is_answer) {
        (None, _) => Some(1),
        (Some(_), true) => Some(6 * TARGET_S),
        (Some(_), false) => None,
    };
    Ok(playlist(&services, found.text, kept_s))
}

pub(super) async fn init(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    Path((session, track, name)): Path<(String, String, String)>,
) -> Answer {
    let (id, track) = (parse_id(&session)?, parse_track(&track)?);
    check_view(&services, &grant, id).await?;
    let from_unit = number(&name, ".mp4")?;
    let bytes = services.hls.init(id, track, from_unit).await.map_err(refused)?;
    Ok(media_answer(&services, track, Body::from(bytes), Some(FOREVER_S)))
}

pub(super) async fn part(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    Path((session, track, name)): Path<(String, String, String)>,
) -> Answer {
    let (id, track) = (parse_id(&session)?, parse_track(&track)?);
    check_view(&services, &grant, id).await?;
    let found = services.hls.part(id, track, number(&name, ".m4s")?).await.map_err(refused)?;
    Ok(fragments(&services, track, &found))
}

pub(super) async fn segment(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    Path((session, track, name)): Path<(String, String, String)>,
) -> Answer {
    let (id, track) = (parse_id(&session)?, parse_track(&track)?);
    check_view(&services, &grant, id).await?;
    let found = services.hls.segment(id, track, &name).await.map_err(refused)?;
    Ok(fragments(&services, track, &found))
}

fn fragments(services: &Services, track: Track, found: &Fragments) -> Response {
    let length: u64 = found.parts.iter().map(|part| part.length_bytes).sum();
    let body = Body::from_stream(services.hls.bytes(&found.parts));
    let mut response = media_answer(services, track, body, found.is_final.then_some(FOREVER_S));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}

fn media_answer(services: &Services, track: Track, body: Body, kept_s: Option<u64>) -> Response {
    let kind = match track {
        Track::Video => "video/mp4",
        Track::Audio => "audio/mp4",
    };
    with_headers(services, body, kind, kept_s, kept_s == Some(FOREVER_S))
}

fn playlist(services: &Services, text: String, kept_s: Option<u64>) -> Response {
    let body = Body::from(Bytes::from(text));
    with_headers(services, body, "application/vnd.apple.mpegurl", kept_s, false)
}

/// Caches that many share may keep only what everybody may see.
fn with_headers(
    services: &Services,
    body: Body,
    kind: &'static str,
    kept_s: Option<u64>,
    is_final: bool,
) -> Response {
    let scope = if services.access.asks_for_token() { "private" } else { "public" };
    let kept = match kept_s {
        None => "no-store".to_owned(),
        Some(seconds) if is_final => format!("{scope}, max-age={seconds}, immutable"),
        Some(seconds) => format!("{scope}, max-age={seconds}"),
    };
    let mut response = (StatusCode::OK, [(header::CONTENT_TYPE, kind)], body).into_response();
    if let Ok(kept) = HeaderValue::from_str(&kept) {
        response.headers_mut().insert(header::CACHE_CONTROL, kept);
    }
    response
}

/// What addresses in a playlist end in, so that a player that can send no header passes the token on: nothing unless
/// the playlist itself was asked for with one.
fn token_query(uri: &Uri) -> String {
    let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let token = pairs.into_iter().find(|(name, _)| name == "token").map(|(_, token)| token);
    token.map_or_else(String::new, |token| {
        let escaped: String = form_urlencoded::byte_serialize(token.as_bytes()).collect();
        format!("?token={escaped}")
    })
}

fn parse_track(text: &str) -> Result<Track, ErrorBody> {
    let found = Track::ALL.into_iter().find(|track| track.name() == text);
    found.ok_or_else(|| ErrorBody::new(ErrorCode::NotFound, "a track is video or audio"))
}

fn number(name: &str, ending: &str) -> Result<u64, ErrorBody> {
    let digits = name.strip_suffix(ending).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| ErrorBody::new(ErrorCode::NotFound, "the playlist does not list this"))
}

fn refused(error: HlsError) -> HttpError {
    match error {
        HlsError::NoSession | HlsError::NoTrack | HlsError::NotListed => {
            ErrorBody::new(ErrorCode::NotFound, error.to_string()).into()
        }
        HlsError::TooFarAhead => ErrorBody::new(ErrorCode::BadRequest, error.to_string()).into(),
        HlsError::Init(_) | HlsError::Database(_) => internal("playing a session", &error).into(),
    }
}

/// The session's room decides who may play it.
async fn check_view(services: &Services, grant: &Grant, id: SessionId) -> Result<(), HttpError> {
    let room = services.hls.room(id).await.map_err(refused)?;
    Ok(grant.may_view(&room)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_token_of_the_query_is_passed_on_and_it_cannot_break_the_playlist() {
        for (uri, expected) in [
            ("/hls/x/index.m3u8", ""),
            ("/hls/x/index.m3u8?_HLS_msn=3", ""),
            ("/hls/x/index.m3u8?_HLS_msn=3&token=a.b-c_d", "?token=a.b-c_d"),
            ("/hls/x/index.m3u8?token=a%0A%22b%20c", "?token=a%0A%22b+c"),
        ] {
            assert_eq!(token_query(&uri.parse().unwrap()), expected);
        }
    }

    #[test]
    fn names_are_numbers_and_nothing_else() {
        assert_eq!(number("120.m4s", ".m4s").unwrap(), 120);
        for bad in ["120.mp4", "+1.m4s", "..m4s", ".m4s", "1/../2.m4s", "99999999999999999999.m4s", "١.m4s"]
        {
            assert!(number(bad, ".m4s").is_err(), "{bad}");
        }
        assert!(parse_track("Video").is_err());
    }
}
