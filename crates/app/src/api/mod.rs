//! The words between the app and its screen.
//!
//! The screen is told the whole [`State`] whenever something in it changes, at most ten times a second besides
//! changes that a person waits for; the [`Level`] of the microphone thirty times a second; and pictures on a
//! channel of their own, each as a [`PICTURE_HEADER_BYTES`]-byte header and I420 planes. The [`RoomView`] stands beside the state, as
//! its chat is long and changes seldom. The screen keeps no truth of its own.

mod connection;
mod inputs;
mod invitation;
mod picture;
mod problem;
mod room;
mod session;
mod settings;
mod state;
mod unfinished;

pub use connection::{ConnectionReport, ConnectionStep, StepName, StepOutcome};
pub use inputs::{Condition, DeviceList, DeviceOption, Input, Source};
pub use invitation::Invitation;
pub use picture::{PICTURE_HEADER_BYTES, PictureHeader};
pub use problem::{Problem, ProblemCode};
pub use room::{RoomPhase, RoomView};
pub use session::{Arrival, Session, SessionPhase, Track, TrackPhase};
pub use settings::{Quality, QualityPreset, Settings, SettingsChange, TokenChange, WhenFull, WhenSlow};
pub use state::{Level, State, Update};
pub use unfinished::{Unfinished, UnfinishedPhase};
