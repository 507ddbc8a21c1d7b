//! How the server is: for load balancers and start-up scripts, without a token; and whether a token is right.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use protocol::api::{Health, Ready};

use super::Services;

/// The process is up.
pub(super) async fn health() -> Json<Health> {
    Json(Health::ok(env!("CARGO_PKG_VERSION")))
}

/// The guard in front has let the request pass: its token is right, or none is asked for.
pub(super) async fn access() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// The server can record: its database answers and its store takes writes.
pub(super) async fn ready(State(services): State<Arc<Services>>) -> Response {
    let database = services.database.ping().await.is_ok();
    // Without its recorder the server takes nothing, whatever the disk says.
    let store = !services.ingest.jobs.is_closed() && services.store.probe().await.is_ok();
    let shutting_down = services.stop.is_stopping();
    let ready = database && store && !shutting_down;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ready, database, store, shutting_down })).into_response()
}
