use serde::{Deserialize, Serialize};

/// A link by which others watch the room that the app records to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Invitation {
    /// The address of the room's page; it may hold a token that allows to watch.
    pub link: String,
    /// When it ends, in ms since 1970; never on a server without tokens.
    #[cfg_attr(feature = "typescript", ts(type = "number | null"))]
    pub ends_unix_ms: Option<u64>,
    /// Whether only this machine can follow it.
    pub is_local: bool,
}
