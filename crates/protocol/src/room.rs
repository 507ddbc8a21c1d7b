//! Rooms, as viewers see them: the messages of `/ws/rooms/{room}` and the bodies of `/api/rooms`.
//!
//! A viewer opens the socket, says `join` first, and is told who it is (`joined`). From then on the server tells it of every
//! change. Messages are JSON, told apart by their `type`; parsing is strict.

use serde::{Deserialize, Serialize};

use crate::api::SessionStatus;
use crate::codec::CodecParameters;
use crate::control::ControlError;
use crate::error::ErrorBody;
use crate::{IdError, RoomName, SessionId};

/// The longest alias, in characters.
pub const MAX_ALIAS_CHARS: usize = 40;
/// The longest chat message, in characters.
pub const MAX_CHAT_CHARS: usize = 500;
/// Chat messages that a room remembers for those who come later.
pub const CHAT_HISTORY: usize = 100;

/// Names one viewer of one room: 32 hexadecimal digits that the server drew. It is no secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(type = "string"))]
#[serde(try_from = "String", into = "String")]
pub struct ViewerId(String);

impl ViewerId {
    /// The id with these 16 bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(crate::Hex(bytes).to_string())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ViewerId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        let is_id = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_id { Ok(Self(text)) } else { Err(IdError::Viewer) }
    }
}

impl From<ViewerId> for String {
    fn from(id: ViewerId) -> Self {
        id.0
    }
}

impl std::fmt::Display for ViewerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// What a viewer says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ViewerMessage {
    /// The first message.
    Join {
        /// The token of an earlier visit to the same room: who comes back stays the same viewer.
        viewer_token: Option<String>,
        /// What others see; required to chat, 1 to [`MAX_ALIAS_CHARS`] characters.
        alias: Option<String>,
        /// Whether it counts as a viewer: it does, unless this is false, as for a publisher who follows the chat.
        watches: Option<bool>,
    },
    /// Another alias.
    Alias {
        /// 1 to [`MAX_ALIAS_CHARS`] characters.
        alias: String,
    },
    /// Says something to everybody in the room.
    Chat {
        /// 1 to [`MAX_CHAT_CHARS`] characters, shown as text and never as markup.
        text: String,
    },
}

impl ViewerMessage {
    const KINDS: [&'static str; 3] = ["join", "alias", "chat"];

    /// Parses a text message.
    ///
    /// # Errors
    /// [`ControlError`] for what is no such message.
    pub fn parse(text: &str) -> Result<Self, ControlError> {
        crate::control::parse(text, &Self::KINDS)
    }

    /// The message as the text that goes over the wire.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("room messages are plain values")
    }
}

/// What the server says to a viewer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum RoomMessage {
    /// Answers `join`.
    Joined {
        /// Who the viewer is.
        viewer: ViewerId,
        /// What it shows as `Authorization: Bearer` or `?token=` to watch this room (WHEP, HLS, recordings). It ends with
        /// a ban.
        viewer_token: String,
        /// What it may do.
        rights: Rights,
        /// The room as it is.
        room: Room,
        /// The latest chat messages, oldest first.
        chat: Vec<ChatMessage>,
    },
    /// A session came to the room, or changed.
    Session(RoomSession),
    /// A session has ended, or was removed.
    SessionEnded {
        /// Which.
        id: SessionId,
    },
    /// How many watch.
    Viewers {
        /// Viewers of the room, this one included.
        count: u32,
    },
    /// Somebody said something.
    Chat(ChatMessage),
    /// A chat message was deleted.
    ChatDeleted {
        /// Its number.
        #[cfg_attr(feature = "typescript", ts(type = "number"))]
        number: u64,
    },
    /// What the viewer asked for was refused; the connection stays.
    Refused(ErrorBody),
    /// The viewer must leave: banned, the room closed, or the server stops. The last message.
    Error(ErrorBody),
}

impl RoomMessage {
    const KINDS: [&'static str; 8] =
        ["joined", "session", "session_ended", "viewers", "chat", "chat_deleted", "refused", "error"];

    /// Parses a text message.
    ///
    /// # Errors
    /// [`ControlError`] for what is no such message.
    pub fn parse(text: &str) -> Result<Self, ControlError> {
        crate::control::parse(text, &Self::KINDS)
    }

    /// The message as the text that goes over the wire.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("room messages are plain values")
    }
}

/// What a connection may do in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Rights {
    /// Whether it may publish to the room.
    pub publish: bool,
    /// Whether it may moderate the room.
    pub administer: bool,
}

/// A room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Room {
    /// Its name.
    pub name: RoomName,
    /// The sessions that are active or interrupted, oldest first.
    pub sessions: Vec<RoomSession>,
    /// How many watch.
    pub viewers: u32,
}

/// A session as the viewers of its room see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct RoomSession {
    /// Its id.
    pub id: SessionId,
    /// The name of the device that publishes.
    pub name: String,
    /// Where it is in its life: `active` or `interrupted`.
    pub status: SessionStatus,
    /// When it began by the publisher's wall clock, in ms since 1970.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub started_unix_ms: u64,
    /// The picture, if there is one.
    pub video: Option<RoomTrack>,
    /// The sound, if there is some.
    pub audio: Option<RoomTrack>,
}

/// One track of a session in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct RoomTrack {
    /// The newest codec parameters.
    pub codec: CodecParameters,
    /// Whether the publisher's socket for it is open.
    pub connected: bool,
}

/// Something that somebody said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct ChatMessage {
    /// Its place among the room's messages.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub number: u64,
    /// Who said it.
    pub viewer: ViewerId,
    /// By what name.
    pub alias: String,
    /// What, as plain text.
    pub text: String,
    /// When, in ms since 1970.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub at_unix_ms: u64,
}

/// The answer of `GET /api/rooms`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct RoomList {
    /// The rooms that somebody publishes to or watches, or that were made beforehand, by name.
    pub rooms: Vec<Room>,
}

/// Somebody who watches a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Viewer {
    /// Who.
    pub viewer: ViewerId,
    /// What others see, if it gave a name.
    pub alias: Option<String>,
    /// Whether it counts as a viewer.
    pub watches: bool,
    /// The id of the token by which it came in; none if that was the server's own, or none was asked for.
    #[cfg_attr(feature = "typescript", ts(type = "string | null"))]
    pub token: Option<TokenId>,
}

/// The answer of `GET /api/rooms/{room}/viewers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct ViewerList {
    /// Those with an open socket of the room.
    pub viewers: Vec<Viewer>,
}

/// The body of `POST /api/rooms/{room}/viewers/{viewer}/ban`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct BanRequest {
    /// For how long from now, in s; without it, for good.
    pub lasts_s: Option<u32>,
}

/// Names a token without telling it: half of the SHA-256 digest of what is signed in it.
pub type TokenId = crate::Hex<16>;

/// A token that is kept out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct TokenBan {
    /// Which.
    #[cfg_attr(feature = "typescript", ts(type = "string"))]
    pub token: TokenId,
    /// From which room; without one, it is revoked: it opens nothing any more.
    pub room: Option<RoomName>,
    /// Until when, in ms since 1970; without it, for good.
    #[cfg_attr(feature = "typescript", ts(type = "number | null"))]
    pub until_unix_ms: Option<u64>,
}

/// The answer of `GET /api/tokens/banned`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct TokenBanList {
    /// By token and room.
    pub bans: Vec<TokenBan>,
}

/// What a token allows. Each role may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// To watch and to chat.
    View,
    /// To publish as well.
    Publish,
    /// Everything.
    Administer,
}

impl Role {
    /// Every role, from the one that allows least.
    pub const ALL: [Self; 3] = [Self::View, Self::Publish, Self::Administer];

    /// The name used in JSON, in the database and in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Publish => "publish",
            Self::Administer => "administer",
        }
    }
}

/// What somebody did to sessions, rooms, viewers and tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum AuditAction {
    /// Made a token.
    TokenIssued,
    /// Ended a session.
    SessionEnded,
    /// Deleted a session and its recording.
    SessionDeleted,
    /// Made a room beforehand.
    RoomMade,
    /// Closed a room.
    RoomClosed,
    /// Removed a viewer, who may come back.
    ViewerRemoved,
    /// Banned a viewer.
    ViewerBanned,
    /// Let a banned viewer come back.
    BanLifted,
    /// Deleted a chat message.
    ChatDeleted,
    /// Banned a token from a room, or everywhere.
    TokenBanned,
    /// Let a banned token in again.
    TokenBanLifted,
}

impl AuditAction {
    /// Every action.
    pub const ALL: [Self; 11] = [
        Self::TokenIssued,
        Self::SessionEnded,
        Self::SessionDeleted,
        Self::RoomMade,
        Self::RoomClosed,
        Self::ViewerRemoved,
        Self::ViewerBanned,
        Self::BanLifted,
        Self::ChatDeleted,
        Self::TokenBanned,
        Self::TokenBanLifted,
    ];

    /// The name used in JSON, in the database and in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TokenIssued => "token_issued",
            Self::SessionEnded => "session_ended",
            Self::SessionDeleted => "session_deleted",
            Self::RoomMade => "room_made",
            Self::RoomClosed => "room_closed",
            Self::ViewerRemoved => "viewer_removed",
            Self::ViewerBanned => "viewer_banned",
            Self::BanLifted => "ban_lifted",
            Self::ChatDeleted => "chat_deleted",
            Self::TokenBanned => "token_banned",
            Self::TokenBanLifted => "token_ban_lifted",
        }
    }
}

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct AuditEntry {
    /// Its place in the log.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub number: u64,
    /// When, in ms since 1970.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub at_unix_ms: u64,
    /// With which role.
    pub role: Role,
    /// Who: the name of its token. Never the token.
    pub name: String,
    /// What was done.
    pub action: AuditAction,
    /// In which room.
    pub room: Option<RoomName>,
    /// To what: the id of a session or viewer, the number of a chat message, or the name or id of a token.
    pub target: Option<String>,
}

/// The answer of `GET /api/audit`: a page of entries, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct AuditList {
    /// The entries of this page.
    pub entries: Vec<AuditEntry>,
    /// What to pass as `before` for the next page, if there is one.
    #[cfg_attr(feature = "typescript", ts(type = "number | null"))]
    pub next_before: Option<u64>,
}

/// The body of `POST /api/tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// What it allows.
    pub role: Role,
    /// In which room; without one, in all.
    pub room: Option<RoomName>,
    /// For how long from now, in s; without it, a day.
    pub lasts_s: Option<u32>,
    /// Who gets it, for the audit log: 1 to [`MAX_ALIAS_CHARS`] characters; without it, a number is drawn.
    pub name: Option<String>,
}

/// The answer of `POST /api/tokens`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct IssuedToken {
    /// The token.
    pub token: String,
    /// What it is banned or revoked by. No secret.
    #[cfg_attr(feature = "typescript", ts(type = "string"))]
    pub id: TokenId,
    /// By what name the audit log knows its bearer.
    pub name: String,
    /// When it ends, in ms since 1970.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub ends_unix_ms: u64,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart_by_their_type_and_nothing_unknown_passes() {
        let join = ViewerMessage::parse(r#"{"type":"join"}"#).unwrap();
        assert_eq!(join, ViewerMessage::Join { viewer_token: None, alias: None, watches: None });
        assert_eq!(ViewerMessage::parse(&join.to_json()).unwrap(), join);
        for bad in [
            "",
            "[]",
            r#"{"type":"viewers","count":1}"#,
            r#"{"type":"chat"}"#,
            r#"{"type":"chat","text":"a","html":"b"}"#,
            r#"{"type":"chat","text":7}"#,
        ] {
            assert!(ViewerMessage::parse(bad).is_err(), "{bad}");
        }
        let told = RoomMessage::Viewers { count: 3 };
        assert_eq!(RoomMessage::parse(&told.to_json()).unwrap(), told);
    }

    #[test]
    fn a_viewer_id_has_one_spelling() {
        assert!(ViewerId::try_from("0a".repeat(16)).is_ok());
        for bad in ["", "0A".repeat(16).as_str(), "../etc/passwd", "0a".repeat(17).as_str()] {
            assert_eq!(ViewerId::try_from(bad.to_owned()), Err(IdError::Viewer), "{bad}");
        }
    }

    #[test]
    fn names_are_those_of_json() {
        for role in Role::ALL {
            assert_eq!(serde_json::to_string(&role).unwrap(), format!("\"{}\"", role.name()));
        }
        for action in AuditAction::ALL {
            assert_eq!(serde_json::to_string(&action).unwrap(), format!("\"{}\"", action.name()));
        }
    }
}
