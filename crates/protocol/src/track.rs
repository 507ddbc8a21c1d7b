use serde::{Deserialize, Serialize};

/// One codec's sequence of units in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Track {
    /// H.264 access units.
    Video,
    /// Opus packets.
    Audio,
}

impl Track {
    /// Both tracks, in the order in which they are listed everywhere.
    pub const ALL: [Self; 2] = [Self::Video, Self::Audio];

    /// The name used in JSON, in paths and in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
        }
    }

    /// The path of this track's ingest socket.
    #[must_use]
    pub const fn socket_path(self) -> &'static str {
        match self {
            Self::Video => "/ws/video",
            Self::Audio => "/ws/audio",
        }
    }
}

impl std::fmt::Display for Track {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
