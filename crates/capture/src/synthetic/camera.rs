//! The synthetic camera's pace.

use std::sync::Arc;
use std::time::Duration;

use super::picture::Painter;
use crate::clock::{SessionClock, duration_us};
use crate::device::{Device, Next, Persistence, Source};
use crate::error::DeviceError;
use crate::frame::{Frame, PicturePool};

/// A camera that paints its pictures.
#[derive(Clone)]
pub(crate) struct SyntheticCamera {
    clock: Arc<dyn SessionClock>,
    width: usize,
    height: usize,
    fps: u32,
}

impl SyntheticCamera {
    /// `fps` is at least 1.
    pub(crate) fn new(clock: Arc<dyn SessionClock>, width: u32, height: u32, fps: u32) -> Self {
        Self { clock, width: width as usize, height: height as usize, fps: fps.max(1) }
    }
}

impl Source<Frame> for SyntheticCamera {
    fn open(&mut self) -> Result<Box<dyn Device<Frame>>, DeviceError> {
        let next_number = number_at(self.clock.now_us(), self.fps);
        let painter = Painter::new(self.width, self.height);
        let setup = self.clone();
        Ok(Box::new(OpenCamera { setup, painter, next_number, pool: PicturePool::default() }))
    }

    fn persistence(&self) -> Persistence {
        Persistence::Reopens
    }

    fn name(&self) -> String {
        "Synthetic camera".to_owned()
    }
}

struct OpenCamera {
    setup: SyntheticCamera,
    painter: Painter,
    next_number: u64,
    pool: PicturePool,
}

impl Device<Frame> for OpenCamera {
    fn next(&mut self, patience: Duration) -> Result<Next<Frame>, DeviceError> {
        let (clock, fps) = (&self.setup.clock, self.setup.fps);
        let due_us = capture_us(self.next_number, fps);
        let give_up_us = clock.now_us().saturating_add(duration_us(patience));
        clock.sleep_until_us(due_us.min(give_up_us));
        let now_us = clock.now_us();
        if now_us < due_us {
            return Ok(Next::Nothing);
        }
        // A reader that was away for longer than a second gets what a camera would show it now.
        if now_us - due_us > 1_000_000 {
            self.next_number = number_at(now_us, fps);
            return Ok(Next::Nothing);
        }
        let capture_us = due_us;
        let flash = self.next_number.is_multiple_of(u64::from(fps));
        self.next_number += 1;
        let painter = &mut self.painter;
        let Ok(picture) = self.pool.fill(self.setup.width, self.setup.height, |picture| {
            painter.paint(picture, capture_us, flash);
            Ok::<(), std::convert::Infallible>(())
        });
        Ok(Next::Ready(Frame { picture, capture_us }))
    }
}

/// When frame `number` is captured, in µs since the session's start, rounded up: a whole second is exact.
fn capture_us(number: u64, fps: u32) -> u64 {
    (number * 1_000_000).div_ceil(u64::from(fps))
}

/// The first frame that is captured at or after a time.
fn number_at(us: u64, fps: u32) -> u64 {
    (us * u64::from(fps)).div_ceil(1_000_000)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{is_flash, read_time_ms};
    use super::*;
    use crate::clock::SimulatedClock;

    #[test]
    fn sixty_seconds_hold_eighteen_hundred_frames_however_late_the_reader_is() {
        let clock = Arc::new(SimulatedClock::default());
        clock.advance_us(12_345);
        let mut camera = SyntheticCamera::new(Arc::clone(&clock) as _, 64, 48, 30).open().unwrap();
        let (mut frames, mut last_us) = (0, 0);
        while clock.now_us() < 60_000_000 {
            if let Next::Ready(frame) = camera.next(Duration::from_millis(100)).unwrap() {
                assert!(frame.capture_us > last_us && frame.capture_us <= clock.now_us());
                last_us = frame.capture_us;
                frames += 1;
                // The reader dawdles now and then, but less than a second.
                clock.advance_us(if frames % 100 == 0 { 300_000 } else { 9_000 });
            }
        }
        assert!((1797..=1803).contains(&frames), "{frames} frames");
    }

    #[test]
    fn pictures_tell_their_capture_time_and_flash_on_whole_seconds() {
        let clock = Arc::new(SimulatedClock::default());
        let mut camera = SyntheticCamera::new(clock, 320, 180, 25).open().unwrap();
        let mut flashes = Vec::new();
        for _ in 0..80 {
            let Next::Ready(frame) = camera.next(Duration::from_secs(1)).unwrap() else { continue };
            assert_eq!(read_time_ms(&frame.picture), Some(frame.capture_us / 1000));
            if is_flash(&frame.picture) {
                flashes.push(frame.capture_us);
            }
        }
        assert_eq!(flashes, [0, 1_000_000, 2_000_000, 3_000_000]);
    }
}
