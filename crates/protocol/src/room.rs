//! Rooms, as viewers see them: the messages of `/ws/rooms/{room}` and the bodies of `/api/rooms`.
//!
//! A viewer opens the socket, says `join` first, and is told who it is (`joined`). From then on the server tells it of every
//! change. Messages are JSON, told apart by their `type`; parsing is strict.

use serde::{Deserialize, Serialize};

use crate::api::SessionStatus;
use crate::codec::CodecParameters;
use crate::error::ErrorBody;
use crate::{RoomName, SessionId};

/// The longest alias, in characters.
pub const MAX_ALIAS_CHARS: usize = 40;
/// The longest chat message, in characters.
pub const MAX_CHAT_CHARS: usize = 500;
/// Chat messages that a room remembers for those who come later.
pub const CHAT_HISTORY: usize = 100;

/// Names one viewer of one room: 32 hexadecimal digits that the server drew. It is no secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(type = "string"))]
pub struct ViewerId(pub String);

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
        number: u64,
    },
    /// What the viewer asked for was refused; the connection stays.
    Refused(ErrorBody),
    /// The viewer must leave: banned, the room closed, or the server stops. The last message.
    Error(ErrorBody),
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

/// What a token allows.
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
}

/// The answer of `POST /api/tokens`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct IssuedToken {
    /// The token.
    pub token: String,
    /// When it ends, in ms since 1970.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub ends_unix_ms: u64,
}
