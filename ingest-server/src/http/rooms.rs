//! `/api/rooms`: what rooms there are, and what those may do who administer them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use protocol::error::{ErrorBody, ErrorCode};
use protocol::room::{BanRequest, Room, RoomList, TokenBan, TokenId, ViewerId, ViewerList};
use protocol::{IdError, RoomName};

use super::Services;
use super::body::{JsonBody, Path};
use super::error::HttpError;
use crate::access::Grant;
use crate::rooms::{Ban, no_such_room};

pub(super) async fn list(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
) -> Json<RoomList> {
    Json(RoomList { rooms: services.rooms.list(&grant) })
}

pub(super) async fn get(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    Path(room): Path<String>,
) -> Result<Json<Room>, HttpError> {
    let room = parse_room(room)?;
    grant.may_view(&room)?;
    Ok(Json(services.rooms.room(&room).ok_or_else(no_such_room)?))
}

pub(super) async fn make(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    Path(room): Path<String>,
) -> Result<Response, HttpError> {
    let room = parse_room(room)?;
    grant.may_administer(Some(&room))?;
    let is_new = services.rooms.make(&grant, &room).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let room = services.rooms.room(&room).ok_or_else(no_such_room)?;
    Ok((status, Json(room)).into_response())
}

pub(super) async fn close(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    Path(room): Path<String>,
) -> Result<StatusCode, HttpError> {
    let room = parse_room(room)?;
    grant.may_administer(Some(&room))?;
    services.rooms.close(&grant, &room).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn viewers(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    Path(room): Path<String>,
) -> Result<Json<ViewerList>, HttpError> {
    let room = parse_room(room)?;
    grant.may_administer(Some(&room))?;
    Ok(Json(ViewerList { viewers: services.rooms.viewers(&room).ok_or_else(no_such_room)? }))
}

pub(super) async fn remove(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    Path((room, viewer)): Path<(String, String)>,
) -> Result<StatusCode, HttpError> {
    let (room, viewer) = (parse_room(room)?, parse_viewer(viewer)?);
    grant.may_administer(Some(&room))?;
    services.rooms.remove(&grant, &room, &viewer).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn ban(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    Path((room, viewer)): Path<(String, String)>,
    JsonBody(request): JsonBody<BanRequest>,
) -> Result<StatusCode, HttpError> {
    let (room, viewer) = (parse_room(room)?, parse_viewer(viewer)?);
    grant.may_administer(Some(&room))?;
    let until_unix_ms = until(&services, &request);
    services.rooms.ban(&grant, Ban { room, viewer, until_unix_ms }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn lift_ban(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    Path((room, viewer)): Path<(String, String)>,
) -> Result<StatusCode, HttpError> {
    let (room, viewer) = (parse_room(room)?, parse_viewer(viewer)?);
    grant.may_administer(Some(&room))?;
    services.rooms.lift_ban(&grant, &room, &viewer).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn ban_token(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    Path((room, token)): Path<(String, String)>,
    JsonBody(request): JsonBody<BanRequest>,
) -> Result<StatusCode, HttpError> {
    let (room, token) = (parse_room(room)?, parse_token(&token)?);
    grant.may_administer(Some(&room))?;
    let until_unix_ms = until(&services, &request);
    services.rooms.ban_token(&grant, TokenBan { token, room: Some(room), until_unix_ms }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn lift_token_ban(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    Path((room, token)): Path<(String, String)>,
) -> Result<StatusCode, HttpError> {
    let (room, token) = (parse_room(room)?, parse_token(&token)?);
    grant.may_administer(Some(&room))?;
    services.rooms.lift_token_ban(&grant, &room, token).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn ban_publisher(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    Path(id): Path<String>,
    JsonBody(request): JsonBody<BanRequest>,
) -> Result<StatusCode, HttpError> {
    let (id, room) = services.administered(&grant, &id).await?;
    services.rooms.ban_publisher(&grant, &room, id, until(&services, &request)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn delete_chat(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    Path((room, number)): Path<(String, String)>,
) -> Result<StatusCode, HttpError> {
    let room = parse_room(room)?;
    grant.may_administer(Some(&room))?;
    let number = number
        .parse()
        .map_err(|_| ErrorBody::new(ErrorCode::BadRequest, "a message is named by its number"))?;
    services.rooms.delete_chat(&grant, &room, number).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn end_session(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    Path(id): Path<String>,
) -> Result<StatusCode, HttpError> {
    let (id, room) = services.administered(&grant, &id).await?;
    services.rooms.end_session(&grant, &room, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn parse_room(text: String) -> Result<RoomName, ErrorBody> {
    text.try_into().map_err(|error: IdError| ErrorBody::new(ErrorCode::BadRequest, error.to_string()))
}

pub(super) fn parse_token(text: &str) -> Result<TokenId, ErrorBody> {
    text.parse().map_err(|_| {
        ErrorBody::new(ErrorCode::BadRequest, "a token's id has 32 hexadecimal digits in lower case")
    })
}

/// When what is asked for ends, in ms since 1970.
fn until(services: &Services, request: &BanRequest) -> Option<u64> {
    let now = services.ingest.clock.unix_ms();
    request.lasts_s.map(|lasts_s| now + u64::from(lasts_s) * 1_000)
}

fn parse_viewer(text: String) -> Result<ViewerId, ErrorBody> {
    text.try_into().map_err(|error: IdError| ErrorBody::new(ErrorCode::BadRequest, error.to_string()))
}
