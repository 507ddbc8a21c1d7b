use serde::{Deserialize, Serialize};

use super::Source;

/// What is remembered across runs. The access token is not in it: only whether there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Settings {
    /// The server's address as it was typed; none before the first one.
    pub server: Option<String>,
    /// Whether an access token is kept for it.
    pub has_token: bool,
    /// Whether the token is in the system's keyring; otherwise it is in a file that only this user may read.
    pub token_in_keyring: bool,
    /// The room.
    pub room: String,
    /// By what name this person chats in rooms; none before the first one.
    pub alias: Option<String>,
    /// The camera.
    pub camera: Source,
    /// The microphone.
    pub microphone: Source,
    /// The picture's and the sound's quality.
    pub quality: Quality,
    /// What gives way when the network carries less than that.
    pub when_slow: WhenSlow,
    /// How much of a session may wait on this device, in bytes.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub spool_bytes: u64,
    /// What is done when as much waits.
    pub when_full: WhenFull,
    /// Whether the preview is shown as in a mirror. What is sent never is.
    pub mirrored: bool,
}

/// What gives way when the network carries less than the picture needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum WhenSlow {
    /// The full quality is recorded. What cannot go live is kept here and follows later.
    KeepQuality,
    /// The picture's quality is lowered so that it stays live.
    #[default]
    KeepUp,
}

/// What is done when as much of a session waits on this device as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum WhenFull {
    /// The session is stopped: nothing is lost.
    #[default]
    Stop,
    /// It goes on without the oldest pictures that the server does not have, and last without the oldest sound.
    DropOldest,
}

/// A quality, in figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Quality {
    /// In pixels, 64 to 3840.
    pub width: u32,
    /// In pixels, 64 to 2160.
    pub height: u32,
    /// Frames per second, 1 to 120.
    pub fps: u32,
    /// In bit/s, 50,000 to 100,000,000.
    pub video_bitrate_bps: u32,
    /// In bit/s, 6,000 to 510,000.
    pub audio_bitrate_bps: u32,
    /// 1 for mono, 2 for stereo.
    pub channels: u8,
}

/// A named quality.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct QualityPreset {
    /// What it is called: `720p`.
    pub name: String,
    /// What it means.
    pub quality: Quality,
}

/// A change of settings: what is left out stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct SettingsChange {
    /// The server's address; an empty text forgets it.
    pub server: Option<String>,
    /// The access token.
    pub token: Option<TokenChange>,
    /// The room.
    pub room: Option<String>,
    /// By what name this person chats in rooms; an empty text forgets it.
    pub alias: Option<String>,
    /// The camera; while a session runs, it is switched.
    pub camera: Option<Source>,
    /// The microphone; while a session runs, it is switched.
    pub microphone: Option<Source>,
    /// The quality; while a session runs, it changes at the next frame.
    pub quality: Option<Quality>,
    /// What gives way when the network carries less; while a session runs, it changes at once.
    pub when_slow: Option<WhenSlow>,
    /// How much of a session may wait on this device, in bytes, 1 MiB to 1 TiB; holds from the next session on.
    #[cfg_attr(feature = "typescript", ts(as = "Option<f64>"))]
    pub spool_bytes: Option<u64>,
    /// What is done when as much waits; holds from the next session on.
    pub when_full: Option<WhenFull>,
    /// Whether the preview is mirrored.
    pub mirrored: Option<bool>,
}

/// What to do with the access token.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case", tag = "kind", content = "token")]
pub enum TokenChange {
    /// Forget it.
    Clear,
    /// Keep this one.
    Set(String),
}

impl std::fmt::Debug for TokenChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Clear => "Clear",
            Self::Set(_) => "Set(…)",
        })
    }
}
