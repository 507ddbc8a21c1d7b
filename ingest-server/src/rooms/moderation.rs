//! What those may do who administer a room. Everything takes effect at once, is kept in the audit log, and has a line in
//! the server's log.

use protocol::error::{ErrorBody, ErrorCode};
use protocol::room::{AuditAction, AuditEntry, RoomMessage, TokenBan, TokenId, ViewerId};
use protocol::{RoomName, SessionId};

use super::{Ban, Revocation, Rooms, Whom, banned, revoked_token};
use crate::access::{Grant, barred};
use crate::database::{Change, DatabaseError};
use crate::log;

impl Rooms {
    /// Makes a room beforehand, and says whether it was not there so: it stays until it is closed.
    ///
    /// # Errors
    /// [`ErrorCode::TooManySessions`], or [`ErrorCode::StorageUnavailable`] when it holds until a restart only.
    pub(crate) async fn make(&self, by: &Grant, name: &RoomName) -> Result<bool, ErrorBody> {
        let is_new = self.hub().rooms.keep(self.clock.now(), name)?;
        if is_new {
            let kept = Change::KeepRoom(name.clone(), self.clock.unix_ms());
            self.record(by, AuditAction::RoomMade, Some(name), None, vec![kept]).await?;
        }
        Ok(is_new)
    }

    /// Closes a room: its sessions end, its viewers leave, its chat is forgotten. Recordings stay.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`], or [`ErrorCode::StorageUnavailable`].
    pub(crate) async fn close(&self, by: &Grant, name: &RoomName) -> Result<(), ErrorBody> {
        let why = ErrorBody::new(ErrorCode::RoomClosed, "who moderates this room has closed it");
        let mut sessions = self.sessions.in_room(name);
        // One that has ended leaves memory when all of it is durable.
        sessions.retain(|session| session.room_view().is_some());
        for session in &sessions {
            self.sessions.end(session.info.id, &why).await.map_err(|error| not_stored(&error))?;
        }
        let was_there = self.hub().rooms.close(self.clock.now(), name);
        if !was_there && sessions.is_empty() {
            return Err(no_such_room());
        }
        let _ = self.revocations.send(Revocation { room: Some(name.clone()), whom: Whom::Everybody, why });
        let forgotten = Change::ForgetRoom(name.clone());
        self.record(by, AuditAction::RoomClosed, Some(name), None, vec![forgotten]).await
    }

    /// Ends a session of a room; its publisher may not come back with it.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`], or [`ErrorCode::StorageUnavailable`].
    pub(crate) async fn end_session(
        &self,
        by: &Grant,
        room: &RoomName,
        id: SessionId,
    ) -> Result<(), ErrorBody> {
        let message = "who moderates the room has ended this session; begin a new one";
        let why = ErrorBody::new(ErrorCode::SessionEnded, message);
        if !self.sessions.end(id, &why).await.map_err(|error| not_stored(&error))? {
            return Err(ErrorBody::new(ErrorCode::NotFound, "there is no such session"));
        }
        self.record(by, AuditAction::SessionEnded, Some(room), Some(id.to_string()), Vec::new()).await
    }

    /// Makes a viewer leave, who may come back.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for one who is not there, or [`ErrorCode::StorageUnavailable`].
    pub(crate) async fn remove(
        &self,
        by: &Grant,
        room: &RoomName,
        viewer: &ViewerId,
    ) -> Result<(), ErrorBody> {
        let is_there = self.viewers(room).is_some_and(|all| all.iter().any(|there| there.viewer == *viewer));
        if !is_there {
            return Err(ErrorBody::new(ErrorCode::NotFound, "there is no such viewer in this room"));
        }
        let why = ErrorBody::new(ErrorCode::Removed, "who moderates this room has asked you to leave");
        let whom = Whom::Viewer(viewer.clone());
        let _ = self.revocations.send(Revocation { room: Some(room.clone()), whom, why });
        self.record(by, AuditAction::ViewerRemoved, Some(room), Some(viewer.to_string()), Vec::new()).await
    }

    /// Makes a viewer leave, there or not, and keeps it out.
    ///
    /// # Errors
    /// [`ErrorCode::StorageUnavailable`] when it holds until a restart only.
    pub(crate) async fn ban(&self, by: &Grant, ban: Ban) -> Result<(), ErrorBody> {
        let (room, viewer) = (ban.room.clone(), ban.viewer.clone());
        self.hub().bans.insert(ban.clone());
        let whom = Whom::Viewer(viewer.clone());
        let revocation = Revocation { room: Some(room.clone()), whom, why: banned() };
        let _ = self.revocations.send(revocation);
        self.record(
            by,
            AuditAction::ViewerBanned,
            Some(&room),
            Some(viewer.to_string()),
            vec![Change::Ban(ban)],
        )
        .await
    }

    /// Lets a banned viewer come back.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for one who is not banned, or [`ErrorCode::StorageUnavailable`].
    pub(crate) async fn lift_ban(
        &self,
        by: &Grant,
        room: &RoomName,
        viewer: &ViewerId,
    ) -> Result<(), ErrorBody> {
        if !self.hub().bans.lift(room, viewer) {
            return Err(ErrorBody::new(ErrorCode::NotFound, "this viewer is not banned from the room"));
        }
        let lifted = Change::LiftBan(room.clone(), viewer.clone());
        self.record(by, AuditAction::BanLifted, Some(room), Some(viewer.to_string()), vec![lifted]).await
    }

    /// Keeps a token out, with everybody who came by it.
    ///
    /// # Errors
    /// [`ErrorCode::StorageUnavailable`] when it holds until a restart only.
    pub(crate) async fn ban_token(&self, by: &Grant, ban: TokenBan) -> Result<(), ErrorBody> {
        self.hub().token_bans.insert(ban.clone());
        self.enforce(&ban);
        let (room, target) = (ban.room.clone(), Some(ban.token.to_string()));
        let changes = vec![Change::BanToken(ban)];
        self.record(by, AuditAction::TokenBanned, room.as_ref(), target, changes).await
    }

    /// Keeps the token of a session's publisher out of the session's room, and ends the session.
    ///
    /// # Errors
    /// [`ErrorCode::BadRequest`] when there is no token that could be banned, and those of [`Self::end_session`].
    pub(crate) async fn ban_publisher(
        &self,
        by: &Grant,
        room: &RoomName,
        id: SessionId,
        until_unix_ms: Option<u64>,
    ) -> Result<(), ErrorBody> {
        let refused = |message| Err(ErrorBody::new(ErrorCode::BadRequest, message));
        let Some(session) = self.sessions.find(id) else {
            return refused("nobody publishes this session any more; ban the token by its id");
        };
        let Some(token) = session.publisher_token() else {
            return refused(
                "the publisher shows no token of its own but the server's, which cannot be banned: end the session, give out \
                 tokens with a role instead, and set another access token",
            );
        };
        self.end_session(by, room, id).await?;
        self.ban_token(by, TokenBan { token, room: Some(room.clone()), until_unix_ms }).await
    }

    /// Lets a banned token in again.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for one that is not banned, or [`ErrorCode::StorageUnavailable`].
    pub(crate) async fn lift_token_ban(
        &self,
        by: &Grant,
        room: &RoomName,
        token: TokenId,
    ) -> Result<(), ErrorBody> {
        if !self.hub().token_bans.lift(token, Some(room)) {
            return Err(ErrorBody::new(ErrorCode::NotFound, "this token is not banned from the room"));
        }
        let lifted = Change::LiftTokenBan(token, Some(room.clone()));
        let target = Some(token.to_string());
        self.record(by, AuditAction::TokenBanLifted, Some(room), target, vec![lifted]).await
    }

    /// The bans of tokens that hold, of one room or of all.
    pub(crate) fn banned_tokens(&self, room: Option<&RoomName>) -> Vec<TokenBan> {
        let hub = self.hub();
        let all = hub.token_bans.all(self.clock.unix_ms());
        all.filter(|ban| room.is_none() || ban.room.as_ref() == room).cloned().collect()
    }

    /// Takes in what `longtake-ingest token revoke` has stored.
    pub(super) async fn learn_revocations(&self) {
        // A database that does not answer is told of elsewhere.
        let Ok(stored) = self.database.token_bans().await else { return };
        let news = self.hub().token_bans.learn(stored);
        for ban in news {
            self.enforce(&ban);
        }
    }

    /// Sends those away who came by a token.
    fn enforce(&self, ban: &TokenBan) {
        let why = if ban.room.is_some() { barred() } else { revoked_token() };
        self.sessions.send_away(ban.token, ban.room.as_ref(), &why);
        let _ =
            self.revocations.send(Revocation { room: ban.room.clone(), whom: Whom::Token(ban.token), why });
    }

    /// Deletes a chat message, also from the screens that show it.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`], or [`ErrorCode::StorageUnavailable`].
    pub(crate) async fn delete_chat(
        &self,
        by: &Grant,
        room: &RoomName,
        number: u64,
    ) -> Result<(), ErrorBody> {
        let told: Option<RoomMessage> = {
            let mut hub = self.hub();
            let told = hub.rooms.delete_chat(room, number);
            if let Some(told) = &told {
                hub.tell(room, told);
            }
            told
        };
        if told.is_none() {
            return Err(ErrorBody::new(ErrorCode::NotFound, "there is no such message in this room"));
        }
        self.record(by, AuditAction::ChatDeleted, Some(room), Some(number.to_string()), Vec::new()).await
    }

    /// Keeps in the audit log what was done, together with `changes`, and writes a line of it.
    ///
    /// # Errors
    /// [`ErrorCode::StorageUnavailable`]: it is done, and not stored.
    pub(crate) async fn record(
        &self,
        by: &Grant,
        action: AuditAction,
        room: Option<&RoomName>,
        target: Option<String>,
        mut changes: Vec<Change>,
    ) -> Result<(), ErrorBody> {
        let entry = AuditEntry {
            // The database numbers them.
            number: 0,
            at_unix_ms: self.clock.unix_ms(),
            role: by.role,
            name: by.name.clone(),
            action,
            room: room.cloned(),
            target,
        };
        log::audit(&entry);
        changes.push(Change::Audit(entry));
        self.database.commit(&changes).await.map_err(|error| not_stored(&error))
    }
}

fn not_stored(error: &DatabaseError) -> ErrorBody {
    log::storage_fails(&error.to_string());
    let message =
        "it is done, and could not be stored: after a restart of the server it may have to be done again";
    ErrorBody::new(ErrorCode::StorageUnavailable, message)
}

pub(crate) fn no_such_room() -> ErrorBody {
    ErrorBody::new(ErrorCode::NotFound, "there is no such room; it comes with the first who joins it")
}
