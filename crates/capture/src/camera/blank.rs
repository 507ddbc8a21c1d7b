//! What is sent while a camera is switched off: dark pictures.

use std::sync::Arc;
use std::time::Duration;

use super::format::Wanted;
use crate::clock::{SessionClock, duration_us};
use crate::device::{Device, Next, Persistence, Source};
use crate::error::DeviceError;
use crate::frame::{Frame, I420};

/// Enough for a viewer who joins to see something soon; hardly any bytes.
const FPS: u64 = 5;

/// A camera with its cap on.
pub(crate) struct BlankCamera {
    clock: Arc<dyn SessionClock>,
    wanted: Wanted,
}

impl BlankCamera {
    pub(crate) fn new(clock: Arc<dyn SessionClock>, wanted: Wanted) -> Self {
        Self { clock, wanted }
    }
}

impl Source<Frame> for BlankCamera {
    fn open(&mut self) -> Result<Box<dyn Device<Frame>>, DeviceError> {
        let picture = Arc::new(I420::black(self.wanted.width as usize, self.wanted.height as usize));
        Ok(Box::new(Open { clock: Arc::clone(&self.clock), picture, due_us: self.clock.now_us() }))
    }

    fn persistence(&self) -> Persistence {
        Persistence::Reopens
    }

    fn name(&self) -> String {
        "Camera off".to_owned()
    }
}

struct Open {
    clock: Arc<dyn SessionClock>,
    picture: Arc<I420>,
    due_us: u64,
}

impl Device<Frame> for Open {
    fn next(&mut self, patience: Duration) -> Result<Next<Frame>, DeviceError> {
        let give_up_us = self.clock.now_us().saturating_add(duration_us(patience));
        self.clock.sleep_until_us(self.due_us.min(give_up_us));
        let capture_us = self.clock.now_us();
        if capture_us < self.due_us {
            return Ok(Next::Nothing);
        }
        self.due_us = capture_us + 1_000_000 / FPS;
        Ok(Next::Ready(Frame { picture: Arc::clone(&self.picture), capture_us }))
    }
}
