//! What the synthetic camera sees: a drifting landscape of colours, a ball, the running time, and a flash
//! on each whole second.

use super::time_code;
use crate::frame::I420;

/// Luma of the flash.
pub const FLASH_LUMA: u8 = 235;

/// Whether a picture is the flash: most of it, above the time blocks, is white. Works on decoded pictures.
#[must_use]
pub fn is_flash(picture: &I420) -> bool {
    let (top, _) = time_code::position(picture.height());
    let step = (top / 16).max(1);
    let rows = picture.y().chunks_exact(picture.stride()).take(top).step_by(step);
    let (mut bright, mut seen) = (0, 0);
    for luma in rows.flat_map(|row| row[..picture.width()].iter().step_by(16)) {
        bright += usize::from(*luma > 215);
        seen += 1;
    }
    seen > 0 && bright * 10 > seen * 9
}

/// Paints pictures of one size. Each is a few copies of prepared rows, so that the camera costs little
/// beside the encoder.
pub(super) struct Painter {
    width: usize,
    height: usize,
    /// One row of luma, three times as long as the picture is wide, for each of [`BANDS`] bands.
    luma: Vec<Vec<u8>>,
    /// One row of each chroma plane, three times as long as a chroma row.
    chroma: [Vec<u8>; 2],
}

const BANDS: usize = 8;

impl Painter {
    pub(super) fn new(width: usize, height: usize) -> Self {
        let (width, height) = (width & !1, height & !1);
        let wave = |x: usize, period: usize, low: u8, high: u8| {
            let period = period.max(2);
            let phase = x % period * 2 * usize::from(high - low) / period;
            let span = usize::from(high - low);
            #[allow(clippy::cast_possible_truncation)]
            let height = phase.min(2 * span - phase) as u8;
            low + height
        };
        let luma = (0..BANDS)
            .map(|band| (0..3 * width).map(|x| wave(x, width / (band + 1), 40, 180)).collect())
            .collect();
        let chroma = [(0, 96), (1, 104)].map(|(shift, low)| {
            (0..3 * width / 2).map(|x| wave(x + shift * width / 8, width / 2, low, 160)).collect()
        });
        Self { width, height, luma, chroma }
    }

    /// Paints what is seen at a time. The picture has the painter's size.
    pub(super) fn paint(&mut self, picture: &mut I420, capture_us: u64, flash: bool) {
        let (width, height) = (self.width, self.height);
        if width == 0 || height == 0 {
            return;
        }
        let ms = capture_us / 1000;
        let (stride, chroma_stride) = (picture.stride(), picture.chroma_stride());
        let planes = picture.planes_mut();
        if flash {
            planes.y.fill(FLASH_LUMA);
            planes.u.fill(128);
            planes.v.fill(128);
            time_code::write(picture, ms);
            return;
        }
        // The landscape drifts by a whole picture in eight seconds; bands move at different speeds.
        let drift =
            |speed: u64| (usize::try_from(ms * speed * width as u64 / 16_000).unwrap_or(0) % width) & !1;
        for (y, row) in planes.y.chunks_exact_mut(stride).enumerate() {
            let band = y * BANDS / height % BANDS;
            let from = drift(2 + (band as u64 & 1));
            row[..width].copy_from_slice(&self.luma[band][from..from + width]);
        }
        let from = drift(2) / 2;
        for (plane, source) in [planes.u, planes.v].into_iter().zip(&self.chroma) {
            for row in plane.chunks_exact_mut(chroma_stride) {
                row[..width / 2].copy_from_slice(&source[from..from + width / 2]);
            }
        }
        self.ball(picture, ms);
        digits(picture, ms);
        time_code::write(picture, ms);
    }

    /// A dark ball that swings through the upper half once in four seconds.
    fn ball(&self, picture: &mut I420, ms: u64) {
        let radius = self.height / 12;
        let Some(travel) = self.width.checked_sub(2 * radius) else { return };
        let phase = usize::try_from(ms % 4000).unwrap_or(0);
        let across = if phase < 2000 { phase } else { 4000 - phase } * travel / 2000;
        let stride = picture.stride();
        let y = picture.planes_mut().y;
        for dy in 0..2 * radius {
            let from_middle = dy.abs_diff(radius);
            let half = (radius * radius).saturating_sub(from_middle * from_middle).isqrt();
            let left = (self.height / 6 + dy) * stride + across + radius - half;
            y[left..left + 2 * half].fill(24);
        }
    }
}

/// Which of the seven segments (top, upper left, upper right, middle, lower left, lower right, bottom) a
/// digit lights, the first in bit 6.
const SEGMENTS: [u8; 10] = [
    0b111_0111, 0b001_0010, 0b101_1101, 0b101_1011, 0b011_1010, 0b110_1011, 0b110_1111, 0b101_0010,
    0b111_1111, 0b111_1011,
];

/// The running time for people, `hh:mm:ss.mmm`, on a dark plate in the middle.
fn digits(picture: &mut I420, ms: u64) {
    let text =
        format!("{:02}:{:02}:{:02}.{:03}", ms / 3_600_000 % 100, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
    let (width, height) = (picture.width(), picture.height());
    let unit = (width / 96).min(height / 20);
    if unit == 0 {
        return;
    }
    let (top, left) = (height / 2 - 3 * unit, width / 2 - 36 * unit);
    rectangle(picture, left - unit, top - unit, 74 * unit, 10 * unit, 16);
    for (place, letter) in text.chars().enumerate() {
        let x = left + place * 6 * unit;
        let Some(digit) = letter.to_digit(10) else {
            rectangle(picture, x + 2 * unit, top + 6 * unit, unit, unit, 220);
            if letter == ':' {
                rectangle(picture, x + 2 * unit, top + 2 * unit, unit, unit, 220);
            }
            continue;
        };
        let lit = SEGMENTS[digit as usize % 10];
        let boxes = [
            (0, 0, 5, 1),
            (0, 0, 1, 4),
            (4, 0, 1, 4),
            (0, 3, 5, 1),
            (0, 4, 1, 4),
            (4, 4, 1, 4),
            (0, 7, 5, 1),
        ];
        for (segment, (dx, dy, w, h)) in boxes.into_iter().enumerate() {
            if lit >> (6 - segment) & 1 == 1 {
                rectangle(picture, x + dx * unit, top + dy * unit, w * unit, h * unit, 220);
            }
        }
    }
}

fn rectangle(picture: &mut I420, left: usize, top: usize, width: usize, height: usize, luma: u8) {
    let (stride, right) = (picture.stride(), (left + width).min(picture.width()));
    let bottom = (top + height).min(picture.height());
    let y = picture.planes_mut().y;
    for row in top..bottom {
        y[row * stride + left.min(right)..row * stride + right].fill(luma);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_size_can_be_painted_at_any_time() {
        for (width, height) in
            [(2, 2), (16, 2000), (50, 50), (96, 20), (97, 21), (320, 180), (641, 361), (1280, 720)]
        {
            let mut painter = Painter::new(width, height);
            let mut picture = I420::black(width, height);
            for ms in [0, 1, 999, 59_999, 3_599_999, 359_999_999] {
                painter.paint(&mut picture, ms * 1000 + 7, false);
                painter.paint(&mut picture, ms * 1000, true);
            }
        }
    }

    #[test]
    fn the_scene_moves_and_a_flash_is_told_from_it() {
        let mut painter = Painter::new(640, 360);
        let [mut first, mut second] = [I420::black(640, 360), I420::black(640, 360)];
        painter.paint(&mut first, 100_000, false);
        painter.paint(&mut second, 133_000, false);
        let changed = first.y().iter().zip(second.y()).filter(|(a, b)| a != b).count();
        assert!(changed > 640 * 360 / 4, "{changed} pixels changed");
        assert!(!is_flash(&first));
        painter.paint(&mut first, 1_000_000, true);
        assert!(is_flash(&first));
    }
}
