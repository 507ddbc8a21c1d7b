use protocol::RoomName;
use protocol::room::{ChatMessage, RoomSession, ViewerId};
use serde::{Deserialize, Serialize};

use super::Problem;

/// The room on the server, as somebody in it sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct RoomView {
    /// Its name.
    pub name: RoomName,
    /// Where the visit is. What stands below is what was known last.
    pub phase: RoomPhase,
    /// Who this app is in the room; none before it was let in.
    pub viewer: Option<ViewerId>,
    /// How many watch.
    pub viewers: u32,
    /// The sessions that are active or interrupted, the app's own among them, oldest first.
    pub sessions: Vec<RoomSession>,
    /// The latest chat messages, oldest first; as many as the server keeps.
    pub chat: Vec<ChatMessage>,
    /// Why the server refused what was said last; none once something is heard in the chat.
    pub refusal: Option<String>,
}

/// Where a visit to a room is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum RoomPhase {
    /// It has not been let in yet.
    Connecting,
    /// It hears what happens.
    Open,
    /// The connection is away; it is tried again by itself.
    Reconnecting {
        /// Why, as a sentence.
        reason: String,
    },
    /// It is over until somebody does something.
    Left {
        /// Why, and what to do.
        problem: Problem,
    },
}
