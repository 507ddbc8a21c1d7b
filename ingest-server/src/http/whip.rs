//! `POST /whip/{room}`: publishing by WebRTC (RFC 9725).

use std::sync::Arc;

use axum::extract::{Extension, Query, Request, State};
use axum::response::Response;
use http::header;
use protocol::control::Device;
use protocol::limits::MAX_TEXT_BYTES;
use serde::Deserialize;

use super::Services;
use super::body::Path;
use super::error::HttpError;
use super::peer_connection::{offer, opened, text};
use super::rooms::parse_room;
use crate::access::Grant;
use crate::webrtc::Kind;

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
    services.rooms.check_publisher(&grant, &room)?;
    let device = device(&request);
    let offer = offer(&services, request).await?;
    let revoked = services.rooms.revoked(&grant, &room);
    let until = Box::pin(async move {
        revoked.await;
    });
    opened(Kind::Whip, services.webrtc.publish(grant, room, device, &offer, until))
}

/// What publishes: by the name in `?name=`, and the program by its `User-Agent`.
fn device(request: &Request) -> Device {
    let query = Query::<NameQuery>::try_from_uri(request.uri()).ok();
    let name = query.and_then(|query| query.0.name).filter(|name| !name.trim().is_empty());
    let app = text(request.headers(), header::USER_AGENT).unwrap_or("WHIP");
    let platform = if app.starts_with("Mozilla/") { "browser" } else { "WebRTC" };
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
        assert_eq!(named("/whip/studio", "OBS 30"), ("WebRTC".to_owned(), "WebRTC".to_owned(), 6));
        let long = format!("/whip/studio?name={}", "%C3%A4".repeat(1_000));
        let (name, _, app) = named(&long, &"x".repeat(1_000));
        assert_eq!((name.len(), app), (MAX_TEXT_BYTES, MAX_TEXT_BYTES));
    }
}
