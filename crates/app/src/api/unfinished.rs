use protocol::{RoomName, SessionId};
use serde::{Deserialize, Serialize};

use super::Problem;

/// A session of an earlier run that its server does not have completely. It is sent while nothing is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Unfinished {
    /// Its id.
    pub id: SessionId,
    /// The room it is in.
    pub room: RoomName,
    /// The server's address.
    pub server: String,
    /// When it was started, in ms since the Unix epoch.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub started_unix_ms: u64,
    /// Where it is.
    pub phase: UnfinishedPhase,
    /// What waits on this device, in bytes.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub backlog_bytes: u64,
    /// How long the longer of its tracks waits, in ms.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub backlog_ms: u64,
}

/// Where an unfinished session is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum UnfinishedPhase {
    /// It waits for the server, or for the end of what is recorded now.
    Waiting,
    /// It is being sent.
    Sending,
    /// It cannot be sent until somebody does something.
    Refused {
        /// What happened and what to do.
        problem: Problem,
    },
}
