//! The cameras and microphones of this machine.

use crate::camera;
use crate::error::DeviceError;
use crate::microphone::cpal;

/// A device that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Stays the same when the machine restarts or another device is plugged in.
    pub id: String,
    /// A plain name for people; two devices may share it.
    pub name: String,
}

/// Which device of this machine to take.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The one the system prefers.
    #[default]
    Default,
    /// The one with this [id](DeviceInfo::id).
    Id(String),
}

/// The cameras, by name. An empty list is no error.
///
/// # Errors
/// [`DeviceError`] when the system refuses to list them.
pub fn cameras() -> Result<Vec<DeviceInfo>, DeviceError> {
    camera::list()
}

/// The microphones, the system's preferred one first. An empty list is no error.
///
/// # Errors
/// [`DeviceError`] when the system refuses to list them.
pub fn microphones() -> Result<Vec<DeviceInfo>, DeviceError> {
    cpal::list()
}
