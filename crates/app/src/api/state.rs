use serde::{Deserialize, Serialize};

use super::{Input, Problem, QualityPreset, RoomView, Session, Settings, Unfinished};

/// Everything that the screen shows, but the level and the pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct State {
    /// The camera.
    pub camera: Input,
    /// The microphone.
    pub microphone: Input,
    /// The session that runs, or the last one until it is dismissed.
    pub session: Option<Session>,
    /// Sessions of earlier runs that their servers do not have completely, the oldest first.
    pub unfinished: Vec<Unfinished>,
    /// What is remembered.
    pub settings: Settings,
    /// The named qualities, from the lowest to the highest.
    pub presets: Vec<QualityPreset>,
    /// A server that was found on this machine and is not in the settings.
    pub local_server: Option<String>,
    /// What a person should know beside all that, such as settings that could not be read.
    pub notices: Vec<Problem>,
    /// The window was asked to close while a session runs: the screen has to ask.
    pub closing: bool,
    /// The app's version.
    pub version: String,
}

/// How loud the microphone is. Silence is −100.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Level {
    /// The largest PCM sample since the level before, in dBFS.
    pub peak_dbfs: f32,
    /// The root mean square since the level before, in dBFS.
    pub rms_dbfs: f32,
    /// Whether a sample reached full scale.
    pub clipped: bool,
}

/// What the screen is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case", tag = "kind", content = "content")]
pub enum Update {
    /// Something has changed.
    State(Box<State>),
    /// How loud it is now.
    Level(Level),
    /// Something has changed in the room; none while it is not visited.
    Room(Option<Box<RoomView>>),
}
