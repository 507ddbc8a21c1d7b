//! `POST /whip/{room}`: publishing by WebRTC (RFC 9725).

use std::sync::Arc;

use axum::extract::{Extension, Query, Request, State};
use axum::response::Response;
use http::header::{self, HeaderMap, HeaderName};
use protocol::control::Device;
use protocol::error::{ErrorBody, ErrorCode};
use protocol::limits::MAX_TEXT_BYTES;
use protocol::{ResumeKey, SessionId};
use serde::Deserialize;

use super::Services;
use super::body::Path;
use super::error::HttpError;
use super::peer_connection::{offer, opened, text};
use super::rooms::parse_room;
use crate::access::Grant;
use crate::webrtc::{Claim, Kind};

/// Names the session, and shows the key that proves whose it is: `{id} {key}`. A publisher that draws both can come back.
pub(super) const SESSION: &str = "longtake-session";

#[derive(Debug, Deserialize)]
struct NameQuery {
    name: Option<String>,
}

pub(super) async fn post(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    Path(room): Path<String>,
    request: Request,
) -> Result<Response, HttpError> {
    let room = parse_room(room)?;
    let claim = match named(request.headers())? {
        None => None,
        Some((session, resume_key)) => {
            let earlier = services.sessions.earlier(session, &resume_key, &room).await?;
            Some(Claim { session, resume_key, earlier })
        }
    };
    match claim.as_ref().and_then(|claim| claim.earlier.as_ref()) {
        // It has its place in the room.
        Some(_) => grant.may_publish(&room)?,
        None => services.rooms.check_publisher(&grant, &room)?,
    }
    let device = device(&request);
    let offer = offer(&services, request).await?;
    let revoked = services.rooms.revoked(&grant, &room);
    let until = Box::pin(async move {
        revoked.await;
    });
    opened(Kind::Whip, services.webrtc.publish(grant, (room, claim), device, &offer, until))
}

/// The session that the request names, and its key.
fn named(headers: &HeaderMap) -> Result<Option<(SessionId, ResumeKey)>, ErrorBody> {
    let Some(value) = headers.get(HeaderName::from_static(SESSION)) else { return Ok(None) };
    let words = value.to_str().ok().and_then(|value| value.trim().split_once(' '));
    let read = words.and_then(|(session, key)| {
        Some((session.parse().ok()?, ResumeKey::try_from(key.trim().to_owned()).ok()?))
    });
    let message = "Longtake-Session holds a UUID and 32 hexadecimal digits, with a space between them";
    read.map(Some).ok_or_else(|| ErrorBody::new(ErrorCode::BadRequest, message))
}

/// What publishes: by the name in `?name=`, and the program by its `User-Agent`.
fn device(request: &Request) -> Device {
    let query = Query::<NameQuery>::try_from_uri(request.uri()).ok();
    let name = query.and_then(|query| query.0.name).filter(|name| !name.trim().is_empty());
    let app = text(request.headers(), header::USER_AGENT).unwrap_or("WHIP");
    let platform = match app {
        // It says that it is a browser, as all of them do.
        obs if obs.contains("OBS-Studio/") => "OBS",
        browser if browser.starts_with("Mozilla/") => "browser",
        _ => "WebRTC",
    };
    let name = name.unwrap_or_else(|| platform.to_owned());
    Device { name: cut(&name), platform: platform.to_owned(), app: cut(app) }
}

/// As much of a text as a device's may have.
fn cut(text: &str) -> String {
    let end = (0..=MAX_TEXT_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text[..end.unwrap_or(0)].to_owned()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn a_session_is_named_with_its_key_or_not_at_all() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        let named = |value: &str| {
            let headers = HeaderMap::from_iter([(HeaderName::from_static(SESSION), value.parse().unwrap())]);
            super::named(&headers)
                .map(|found| found.map(|(id, key)| (id.to_string(), key.expose().to_owned())))
        };
        assert_eq!(super::named(&HeaderMap::new()).unwrap().map(|(id, _)| id), None);
        let key = "0a".repeat(16);
        assert_eq!(named(&format!("{id} {key}")), Ok(Some((id.to_owned(), key.clone()))));
        for bad in ["", id, &key, &format!("{id} {key}0"), &format!("{key} {id}"), &format!("../{id} {key}")]
        {
            assert_eq!(named(bad).map_err(|error| error.code), Err(ErrorCode::BadRequest), "{bad}");
        }
    }

    #[test]
    fn a_publisher_is_called_by_its_name_or_by_what_it_is() {
        let named = |uri: &str, agent: &str| {
            let request =
                Request::builder().uri(uri).header("user-agent", agent).body(Body::empty()).unwrap();
            let Device { name, platform, app } = device(&request);
            (name, platform, app.len())
        };
        let browser = |name: &str| (name.to_owned(), "browser".to_owned(), 11);
        assert_eq!(named("/whip/studio?name=Anna%20B&token=t", "Mozilla/5.0"), browser("Anna B"));
        assert_eq!(named("/whip/studio?name=%20", "Mozilla/5.0"), browser("browser"));
        let obs = named("/whip/studio", "Mozilla/5.0 (OBS-Studio/30.2.3; Linux x86_64; en-US)");
        assert_eq!((obs.0.as_str(), obs.1.as_str()), ("OBS", "OBS"));
        assert_eq!(named("/whip/studio", "a program"), ("WebRTC".to_owned(), "WebRTC".to_owned(), 9));
        let long = format!("/whip/studio?name={}", "%C3%A4".repeat(1_000));
        let (name, _, app) = named(&long, &"x".repeat(1_000));
        assert_eq!((name.len(), app), (MAX_TEXT_BYTES, MAX_TEXT_BYTES));
    }
}
