//! `/api/tokens` makes tokens with a role, and `/api/audit` tells what was done with them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Query, State};
use http::StatusCode;
use protocol::error::{ErrorBody, ErrorCode};
use protocol::room::{AuditAction, AuditList, IssuedToken, TokenBan, TokenBanList, TokenRequest};
use serde::Deserialize;

use super::body::{JsonBody, Path};
use super::error::HttpError;
use super::rooms::parse_token;
use super::{Services, internal};
use crate::access::{Grant, token_id};
use crate::database::AuditPage;

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 500;

pub(super) async fn issue(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    JsonBody(request): JsonBody<TokenRequest>,
) -> Result<(StatusCode, Json<IssuedToken>), HttpError> {
    grant.may_issue(request.role, request.room.as_ref())?;
    let issued = Grant::issued(&request, services.ingest.clock.unix_ms(), grant.ends_unix_ms)?;
    let token = services.access.issue(&issued);
    let (name, ends_unix_ms) = (issued.name, issued.ends_unix_ms.unwrap_or_default());
    let target = Some(name.clone());
    services
        .rooms
        .record(&grant, AuditAction::TokenIssued, request.room.as_ref(), target, Vec::new())
        .await?;
    Ok((StatusCode::CREATED, Json(IssuedToken { id: token_id(&token), token, name, ends_unix_ms })))
}

pub(super) async fn revoke(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    Path(token): Path<String>,
) -> Result<StatusCode, HttpError> {
    let token = parse_token(&token)?;
    grant.may_administer(None)?;
    services.rooms.ban_token(&grant, TokenBan { token, room: None, until_unix_ms: None }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn banned(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
) -> Result<Json<TokenBanList>, HttpError> {
    grant.may_administer(grant.room.as_ref())?;
    Ok(Json(TokenBanList { bans: services.rooms.banned_tokens(grant.room.as_ref()) }))
}

#[derive(Debug, Deserialize)]
pub(super) struct AuditQuery {
    before: Option<u64>,
    limit: Option<u32>,
}

pub(super) async fn audit(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    query: Result<Query<AuditQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<AuditList>, HttpError> {
    grant.may_administer(grant.room.as_ref())?;
    let Query(query) = query
        .map_err(|_| ErrorBody::new(ErrorCode::BadRequest, "before is an entry's number, limit a number"))?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let page = AuditPage { before: query.before, room: grant.room, limit };
    let entries =
        services.database.audit(page).await.map_err(|error| internal("reading the audit log", &error))?;
    let is_full = entries.len() >= limit as usize;
    let next_before = entries.last().filter(|_| is_full).map(|entry| entry.number);
    Ok(Json(AuditList { entries, next_before }))
}
