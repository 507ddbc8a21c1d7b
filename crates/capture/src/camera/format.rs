//! Which of a camera's formats to take.

use super::convert::PixelFormat;

/// The size and the rate that are asked of a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Frames per second.
    pub fps: u32,
}

/// One format that a camera offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offered {
    /// How pixels are stored.
    pub pixels: PixelFormat,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Frames per second.
    pub fps: u32,
}

impl Offered {
    /// Whether this is as good as what was asked for: the size, and at least nine tenths of the rate.
    #[must_use]
    pub fn satisfies(&self, wanted: Wanted) -> bool {
        (self.width, self.height) == (wanted.width, wanted.height) && 10 * self.fps >= 9 * wanted.fps
    }
}

/// The index of the offer to take: the nearest size, then a sufficient rate (the lowest of those that
/// suffice, the highest of those that do not), then the cheapest pixel format. `None` when there is no offer.
#[must_use]
pub fn choose(offers: &[Offered], wanted: Wanted) -> Option<usize> {
    let rank = |offer: &Offered| {
        let (dx, dy) =
            (u64::from(offer.width.abs_diff(wanted.width)), u64::from(offer.height.abs_diff(wanted.height)));
        let too_slow = 10 * offer.fps < 9 * wanted.fps;
        let rate = if too_slow { u32::MAX - offer.fps } else { offer.fps.abs_diff(wanted.fps) };
        let cost = match offer.pixels {
            PixelFormat::Yuyv => 0,
            PixelFormat::Nv12 => 1,
            PixelFormat::Mjpeg => 2,
        };
        (dx * dx + dy * dy, too_slow, rate, cost)
    };
    (0..offers.len()).min_by_key(|index| rank(&offers[*index]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn offer(pixels: PixelFormat, width: u32, height: u32, fps: u32) -> Offered {
        Offered { pixels, width, height, fps }
    }

    #[test]
    fn a_usual_webcam_is_asked_for_what_it_does_best() {
        use PixelFormat::{Mjpeg, Yuyv};
        let webcam = [
            offer(Yuyv, 640, 480, 30),
            offer(Yuyv, 640, 360, 30),
            offer(Yuyv, 640, 360, 15),
            offer(Yuyv, 1280, 720, 10),
            offer(Mjpeg, 640, 360, 30),
            offer(Mjpeg, 1280, 720, 60),
            offer(Mjpeg, 1280, 720, 30),
        ];
        let chosen = |width, height, fps| choose(&webcam, Wanted { width, height, fps }).map(|at| webcam[at]);
        assert_eq!(
            chosen(640, 360, 30),
            Some(offer(Yuyv, 640, 360, 30)),
            "the cheap format when it suffices"
        );
        assert_eq!(chosen(1280, 720, 30), Some(offer(Mjpeg, 1280, 720, 30)), "MJPEG when YUYV is too slow");
        assert_eq!(chosen(1280, 720, 50), Some(offer(Mjpeg, 1280, 720, 60)));
        assert_eq!(chosen(1920, 1080, 30), Some(offer(Mjpeg, 1280, 720, 30)), "the nearest size");
        assert_eq!(choose(&[], Wanted { width: 1, height: 1, fps: 1 }), None);
    }
}
