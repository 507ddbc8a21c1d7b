//! `/api/sessions`: what is recorded.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Query, State};
use http::StatusCode;
use protocol::api::{Session, SessionList, SessionStatus};
use protocol::error::{ErrorBody, ErrorCode};
use protocol::room::AuditAction;
use protocol::{RoomName, SessionId};
use serde::Deserialize;

use super::body::Path;
use super::error::HttpError;
use super::{Services, internal};
use crate::access::Grant;
use crate::database::Page;
use crate::sessions::DeleteError;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

#[derive(Debug, Deserialize)]
pub(super) struct ListQuery {
    before: Option<SessionId>,
    limit: Option<u32>,
    status: Option<SessionStatus>,
    room: Option<RoomName>,
}

type QueryOf<T> = Result<Query<T>, axum::extract::rejection::QueryRejection>;

pub(super) async fn list(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    query: QueryOf<ListQuery>,
) -> Result<Json<SessionList>, HttpError> {
    let Query(query) = query.map_err(|_| {
        let message =
            "before is a session id, limit a number, status one of active, interrupted, completed, abandoned, room a room's \
             name";
        ErrorBody::new(ErrorCode::BadRequest, message)
    })?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    // A token for one room shows that one.
    let room = query.room.or_else(|| grant.room.clone());
    if let Some(room) = &room {
        grant.may_view(room)?;
    }
    let page = Page { before: query.before, status: query.status, room, limit };
    let listed = services.sessions.list(page).await;
    let (sessions, next_before) = listed.map_err(|error| internal("listing sessions", &error))?;
    Ok(Json(SessionList { sessions, next_before }))
}

pub(super) async fn get(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    Path(id): Path<String>,
) -> Result<Json<Session>, HttpError> {
    let id = parse_id(&id)?;
    services.check_view(&grant, id).await?;
    let found = services.sessions.view(id).await.map_err(|error| internal("reading a session", &error))?;
    Ok(Json(found.ok_or_else(no_such_session)?))
}

pub(super) async fn delete(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    Path(id): Path<String>,
) -> Result<StatusCode, HttpError> {
    let (id, room) = services.administered(&grant, &id).await?;
    match services.sessions.delete(id).await {
        Ok(()) => {
            let (action, target) = (AuditAction::SessionDeleted, Some(id.to_string()));
            services.rooms.record(&grant, action, Some(&room), target, Vec::new()).await?;
            Ok(StatusCode::NO_CONTENT)
        }
        Err(DeleteError::NotFound) => Err(no_such_session().into()),
        Err(error @ DeleteError::Active) => {
            Err(HttpError::with_status(StatusCode::CONFLICT, ErrorCode::BadRequest, error.to_string()))
        }
        Err(error) => Err(internal("deleting a session", &error).into()),
    }
}

pub(super) fn parse_id(text: &str) -> Result<SessionId, ErrorBody> {
    SessionId::try_from(text.to_owned())
        .map_err(|error| ErrorBody::new(ErrorCode::BadRequest, error.to_string()))
}

pub(super) fn no_such_session() -> ErrorBody {
    ErrorBody::new(ErrorCode::NotFound, "there is no such session")
}
