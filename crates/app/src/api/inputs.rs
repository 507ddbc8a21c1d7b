use serde::{Deserialize, Serialize};

use super::Problem;

/// Where pictures or sound come from, as chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Source {
    /// The device that the system prefers; the synthetic one when there is none.
    #[default]
    Auto,
    /// The device with this id.
    Device {
        /// The id of a [`DeviceOption`].
        id: String,
    },
    /// The synthetic device: a test picture with running time, a tone with clicks.
    Synthetic,
}

impl Source {
    /// The source that a text names: `auto`, `synthetic`, or a device's id. What else the `longtake` command takes for a
    /// source, `none` or `file:PATH`, counts as an id here.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        match text {
            "auto" => Self::Auto,
            "synthetic" => Self::Synthetic,
            id => Self::Device { id: id.to_owned() },
        }
    }

    /// The text from which [`from_text`](Self::from_text) makes this source.
    #[must_use]
    pub fn as_text(&self) -> &str {
        match self {
            Self::Auto => "auto",
            Self::Synthetic => "synthetic",
            Self::Device { id } => id,
        }
    }
}

/// The camera or the microphone, as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Input {
    /// What is chosen.
    pub source: Source,
    /// The plain name of what is open.
    pub name: Option<String>,
    /// Whether a person has it on: a camera that is off sends a dark picture, a microphone that is off silence.
    pub on: bool,
    /// How it is.
    pub condition: Condition,
}

/// How a device is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Condition {
    /// It is not open.
    Closed,
    /// It is being opened.
    Opening,
    /// It delivers.
    Delivering,
    /// It was lost; it is opened again as soon as it can be.
    Lost {
        /// Why.
        problem: Problem,
    },
    /// It cannot be used until somebody does something.
    Failed {
        /// Why.
        problem: Problem,
    },
}

/// A device that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct DeviceOption {
    /// Stays the same when the machine restarts.
    pub id: String,
    /// A plain name.
    pub name: String,
}

/// The devices of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct DeviceList {
    /// Cameras, by name.
    pub cameras: Vec<DeviceOption>,
    /// Why cameras cannot be listed, if so.
    pub camera_problem: Option<Problem>,
    /// Microphones, the system's preferred one first.
    pub microphones: Vec<DeviceOption>,
    /// Why microphones cannot be listed, if so.
    pub microphone_problem: Option<Problem>,
}
