//! `POST /whep/{target}`: watching by WebRTC (draft-ietf-wish-whep).

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::response::Response;
use protocol::error::{ErrorBody, ErrorCode};
use protocol::{RoomName, SessionId, Track};

use super::Services;
use super::body::Path;
use super::error::HttpError;
use super::peer_connection::{offer, opened};
use crate::access::Grant;
use crate::sessions::{LiveSession, Sessions};
use crate::webrtc::Kind;

pub(super) async fn post(
    State(services): State<Arc<Services>>,
    Extension(grant): Extension<Grant>,
    Path(target): Path<String>,
    request: Request,
) -> Result<Response, HttpError> {
    let session = find(&services.sessions, &grant, &target)?;
    let offer = offer(&services, request).await?;
    let room = &session.info.room;
    let revoked = services.rooms.revoked(&grant, room);
    // Whoever has a socket of the room is counted by that.
    let guest = if grant.viewer.is_none() { Some(services.rooms.guest(room)?) } else { None };
    let until = Box::pin(async move {
        let _counted = guest;
        revoked.await;
    });
    opened(Kind::Whep, services.webrtc.watch(session, &offer, until))
}

/// The session of this id, or the newest one with a picture in the room of this name.
fn find(sessions: &Sessions, grant: &Grant, target: &str) -> Result<Arc<LiveSession>, ErrorBody> {
    let nobody = |message| ErrorBody::new(ErrorCode::NotFound, message);
    if let Ok(id) = target.parse::<SessionId>() {
        let found = sessions.find(id).ok_or_else(|| nobody("there is no live session of this id"))?;
        grant.may_view(&found.info.room)?;
        return Ok(found);
    }
    let room: RoomName =
        target.parse().map_err(|_| nobody("this is neither a session's id nor a room's name"))?;
    grant.may_view(&room)?;
    let mut in_room = sessions.in_room(&room);
    let has_picture = |session: &Arc<LiveSession>| !session.ingest(Track::Video).all_params().is_empty();
    let newest = in_room.iter().rposition(has_picture).or_else(|| in_room.len().checked_sub(1));
    newest
        .map(|at| in_room.swap_remove(at))
        .ok_or_else(|| nobody("nobody publishes in this room at the moment"))
}
