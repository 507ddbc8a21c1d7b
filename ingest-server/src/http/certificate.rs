//! `/api/sessions/{id}/certificate`, and the key that certificates are signed with.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use protocol::Track;
use protocol::api::ServerKey;
use protocol::certificate::{Certificate, DigestRun};
use protocol::error::{ErrorBody, ErrorCode};

use super::body::Path;
use super::error::HttpError;
use super::sessions::{no_such_session, parse_id};
use super::{Services, internal};
use crate::access::Grant;
use crate::database::DatabaseError;

/// The server's public key is no secret: whoever asks shall know it before there is anything to check.
pub(super) async fn server_key(State(services): State<Arc<Services>>) -> Json<ServerKey> {
    Json(ServerKey { server_key: services.sessions.public_key() })
}

pub(super) async fn get(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    Path(id): Path<String>,
) -> Result<Json<Certificate>, HttpError> {
    let id = parse_id(&id)?;
    services.check_view(&grant, id).await?;
    let failed = |error: DatabaseError| internal("reading a certificate", &error);
    let Some(certificate) = services.sessions.certificate(id).await.map_err(failed)? else {
        if services.sessions.view(id).await.map_err(failed)?.is_none() {
            return Err(no_such_session().into());
        }
        let message = "the session is not complete, and so there is no certificate; it comes when all of its tracks have \
                       finished and the digests agree";
        return Err(ErrorBody::new(ErrorCode::NotFound, message).into());
    };
    let mut unit_digests = Vec::new();
    for track in Track::ALL {
        let digests = services.database.digests(id, track).await.map_err(failed)?;
        unit_digests.extend(DigestRun::of(track, &digests));
    }
    Ok(Json(Certificate { certificate, unit_digests }))
}
