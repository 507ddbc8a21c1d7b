//! Links by which others watch.

use std::path::Path;

use protocol::error::{ErrorBody, ErrorCode};
use protocol::room::{IssuedToken, Role, TokenRequest};
use protocol::{RoomName, Secret};

use super::download::{DownloadError, post};
use crate::address::ServerAddress;

/// How long an invitation lasts, in s: a week.
const LASTS_S: u32 = 7 * 86_400;

/// A link by which others watch a room.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// The address of the room's page. Where the server asks for tokens it holds one, behind `#`, where no log sees it.
    pub link: Secret,
    /// When it ends, in ms since 1970; never on a server without tokens.
    pub ends_unix_ms: Option<u64>,
    /// Whether only this machine can follow it.
    pub is_local: bool,
}

/// Makes a link that lets whoever has it watch a room and chat in it, and nothing else. Must run in a tokio runtime.
///
/// # Errors
/// [`DownloadError`]: the server cannot be reached, or does not let this token invite.
pub async fn invite(
    server: &ServerAddress,
    room: &RoomName,
    token: Option<&Secret>,
    own_authority: Option<&Path>,
) -> Result<Invitation, DownloadError> {
    let page = server.http_url(&format!("/watch/{room}"));
    let is_local = server.is_loopback();
    if token.is_none() {
        return Ok(Invitation { link: Secret::new(page), ends_unix_ms: None, is_local });
    }
    let request =
        TokenRequest { role: Role::View, room: Some(room.clone()), lasts_s: Some(LASTS_S), name: None };
    let json = serde_json::to_string(&request).map_err(|error| DownloadError::BrokeOff(error.to_string()))?;
    let answer = post(server, "/api/tokens", token, own_authority, &json).await?;
    let issued: IssuedToken = serde_json::from_slice(&answer).map_err(|_| {
        let error =
            ErrorBody::new(ErrorCode::Internal, "the server's answer is no token; is it of this version?");
        DownloadError::Connection(super::ConnectionError::ServerRefused(error))
    })?;
    let link = Secret::new(format!("{page}#token={}", issued.token));
    Ok(Invitation { link, ends_unix_ms: Some(issued.ends_unix_ms), is_local })
}
