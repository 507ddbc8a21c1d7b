//! `/api/sessions`: what is recorded.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use http::StatusCode;
use protocol::SessionId;
use protocol::api::{Session, SessionList, SessionStatus};
use protocol::error::{ErrorBody, ErrorCode};
use serde::Deserialize;

use super::error::HttpError;
use super::{Services, internal};
use crate::database::Page;
use crate::sessions::DeleteError;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

#[derive(Debug, Deserialize)]
pub(super) struct ListQuery {
    before: Option<SessionId>,
    limit: Option<u32>,
    status: Option<SessionStatus>,
}

type QueryOf<T> = Result<Query<T>, axum::extract::rejection::QueryRejection>;

pub(super) async fn list(
    State(services): State<Arc<Services>>,
    query: QueryOf<ListQuery>,
) -> Result<Json<SessionList>, HttpError> {
    let Query(query) = query.map_err(|_| {
        let message =
            "before is a session id, limit a number, status one of active, interrupted, completed, abandoned";
        ErrorBody::new(ErrorCode::BadRequest, message)
    })?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let page = Page { before: query.before, status: query.status, limit };
    let listed = services.sessions.list(page).await;
    let (sessions, next_before) = listed.map_err(|error| internal("listing sessions", &error))?;
    Ok(Json(SessionList { sessions, next_before }))
}

pub(super) async fn get(
    State(services): State<Arc<Services>>,
    Path(id): Path<String>,
) -> Result<Json<Session>, HttpError> {
    let id = parse_id(&id)?;
    let found = services.sessions.view(id).await.map_err(|error| internal("reading a session", &error))?;
    Ok(Json(found.ok_or_else(no_such_session)?))
}

pub(super) async fn delete(
    State(services): State<Arc<Services>>,
    Path(id): Path<String>,
) -> Result<StatusCode, HttpError> {
    let id = parse_id(&id)?;
    match services.sessions.delete(id).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
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
