//! Cameras: a [`Source`] of [`Frame`]s.

pub(crate) mod blank;
pub mod convert;
pub mod format;
mod jpeg;
pub(crate) mod range;

#[cfg(any(target_os = "android", target_os = "ios", test))]
mod absent;
#[cfg(not(any(target_os = "android", target_os = "ios")))]
mod identity;
#[cfg(not(any(target_os = "android", target_os = "ios")))]
mod nokhwa;

#[cfg(any(target_os = "android", target_os = "ios"))]
use self::absent as backend;
#[cfg(not(any(target_os = "android", target_os = "ios")))]
use self::nokhwa as backend;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use self::format::Wanted;
use crate::clock::SessionClock;
use crate::device::{Device, Source, Stop};
use crate::devices::{DeviceChoice, DeviceInfo};
use crate::error::DeviceError;
use crate::file::y4m::Y4mCamera;
use crate::frame::Frame;
use crate::synthetic::SyntheticCamera;

/// Where the pictures come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CameraChoice {
    /// A camera of this machine.
    Device(DeviceChoice),
    /// The [synthetic](crate::synthetic) camera.
    Synthetic,
    /// A Y4M file, or `-` for standard input, played as if it were live. It has its own size and rate.
    File(String),
}

/// Opens a camera without a session around it, as for a preview before anything is recorded.
///
/// # Errors
/// [`DeviceError`] when it cannot be opened.
pub fn open(
    choice: &CameraChoice,
    wanted: Wanted,
    clock: &Arc<dyn SessionClock>,
) -> Result<Box<dyn Device<Frame>>, DeviceError> {
    source(choice, wanted, clock, &Stop::default(), &Arc::default()).open()
}

/// The cameras of this machine, by name.
pub(crate) fn list() -> Result<Vec<DeviceInfo>, DeviceError> {
    backend::list()
}

/// The source for a choice. `dropped` counts frames that a real camera delivered in vain.
pub(crate) fn source(
    choice: &CameraChoice,
    wanted: Wanted,
    clock: &Arc<dyn SessionClock>,
    stop: &Stop,
    dropped: &Arc<AtomicU64>,
) -> Box<dyn Source<Frame>> {
    let (clock, stop) = (Arc::clone(clock), stop.clone());
    match choice {
        CameraChoice::Device(choice) => {
            Box::new(backend::SystemCamera::new(choice.clone(), wanted, clock, stop, Arc::clone(dropped)))
        }
        CameraChoice::Synthetic => {
            Box::new(SyntheticCamera::new(clock, wanted.width, wanted.height, wanted.fps))
        }
        CameraChoice::File(path) => Box::new(Y4mCamera::new(path, clock, stop)),
    }
}
