//! The place of cameras on systems for which there is no backend: every use of one is an error that says so.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::format::Wanted;
use crate::clock::SessionClock;
use crate::device::{Device, Persistence, Source, Stop};
use crate::devices::{DeviceChoice, DeviceInfo};
use crate::error::{DeviceError, DeviceKind};
use crate::frame::Frame;

/// A camera that cannot be opened.
pub(crate) struct SystemCamera;

impl SystemCamera {
    /// Takes what a backend needs, and keeps nothing of it.
    pub(crate) fn new(
        _: DeviceChoice,
        _: Wanted,
        _: Arc<dyn SessionClock>,
        _: Stop,
        _: Arc<AtomicU64>,
    ) -> Self {
        Self
    }
}

impl Source<Frame> for SystemCamera {
    fn open(&mut self) -> Result<Box<dyn Device<Frame>>, DeviceError> {
        Err(DeviceError::NoBackend(DeviceKind::Camera))
    }

    fn persistence(&self) -> Persistence {
        // Trying again cannot help.
        Persistence::Once
    }

    fn name(&self) -> String {
        "Camera".to_owned()
    }
}

/// No list: whether there are cameras is not known.
pub(crate) fn list() -> Result<Vec<DeviceInfo>, DeviceError> {
    Err(DeviceError::NoBackend(DeviceKind::Camera))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::MonotonicClock;

    #[test]
    fn a_camera_without_a_backend_says_so_and_is_not_tried_again() {
        let wanted = Wanted { width: 640, height: 360, fps: 30 };
        let clock = Arc::new(MonotonicClock::start());
        let mut camera =
            SystemCamera::new(DeviceChoice::Default, wanted, clock, Stop::default(), Arc::default());
        let error = camera.open().err().expect("there is no backend");
        assert_eq!(error, DeviceError::NoBackend(DeviceKind::Camera));
        assert_eq!(list(), Err(error));
        assert_eq!(camera.persistence(), Persistence::Once);
    }
}
