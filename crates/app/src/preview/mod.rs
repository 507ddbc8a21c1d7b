//! Pictures on their way to the screen: how many may be under way, how large they are, and what one looks like in bytes.

mod smoothness;

use std::collections::VecDeque;
use std::time::Duration;

use capture::I420;

use crate::api::{PICTURE_HEADER_BYTES, PictureHeader};

use smoothness::Smoothness;

/// Pictures that were sent and not shown yet. More would only make the newest wait.
const IN_FLIGHT: usize = 2;

/// A picture that was not shown after this counts as shown: its screen was reloaded, or is hidden.
const SHOWN_WITHIN: Duration = Duration::from_secs(1);

/// A picture is shown in at most this size, because the larger it is the longer its way takes.
const LARGEST_WIDTH: usize = 1280;
const LARGEST_HEIGHT: usize = 720;

/// Whether another picture may be sent.
#[derive(Debug, Default)]
pub struct Credit {
    in_flight: VecDeque<(u64, Duration)>,
    sent: u64,
    smoothness: Smoothness,
}

/// A picture that may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Its number.
    pub sequence: u64,
    /// What its sides are divided by at least, so that the screen keeps up.
    pub shrink: usize,
}

impl Credit {
    /// The camera has made a picture. Says as which one it may be sent now, if it may.
    pub fn take(&mut self, now: Duration) -> Option<Grant> {
        let under_way = self.in_flight.len();
        self.in_flight.retain(|(_, sent_at)| now < *sent_at + SHOWN_WITHIN);
        let unanswered = self.in_flight.len() < under_way;
        let may_send = self.in_flight.len() < IN_FLIGHT;
        self.smoothness.offered(now, may_send, unanswered);
        may_send.then(|| {
            self.sent += 1;
            self.in_flight.push_back((self.sent, now));
            Grant { sequence: self.sent, shrink: self.smoothness.factor() }
        })
    }

    /// The screen has shown a picture, and so every one before it.
    pub fn shown(&mut self, sequence: u64) {
        self.in_flight.retain(|(number, _)| *number > sequence);
    }
}

/// A picture as it goes to the screen: the header, and the planes without padding. Its sides are divided by `shrink_by`, or
/// by more if it is too large; `header` gets the size that it has then.
#[must_use]
pub fn packed(mut header: PictureHeader, picture: &I420, shrink_by: usize) -> Vec<u8> {
    let factor = shrink_factor(picture.width(), picture.height()).max(shrink_by);
    // Both even, so that the chroma planes have half the size exactly.
    let (width, height) = ((picture.width() / factor) & !1, (picture.height() / factor) & !1);
    (header.width, header.height) = (side(width), side(height));
    let mut bytes = Vec::with_capacity(PICTURE_HEADER_BYTES + width * height * 3 / 2);
    bytes.extend_from_slice(&header.to_bytes());
    shrink(picture.y(), picture.stride(), (width, height), factor, &mut bytes);
    for plane in [picture.u(), picture.v()] {
        shrink(plane, picture.chroma_stride(), (width / 2, height / 2), factor, &mut bytes);
    }
    bytes
}

fn side(pixels: usize) -> u32 {
    u32::try_from(pixels).unwrap_or(u32::MAX)
}

const fn shrink_factor(width: usize, height: usize) -> usize {
    let (across, down) = (width.div_ceil(LARGEST_WIDTH), height.div_ceil(LARGEST_HEIGHT));
    let larger = if across > down { across } else { down };
    if larger == 0 { 1 } else { larger }
}

/// Appends a plane; each of its values is the mean of a square of the original's.
fn shrink(plane: &[u8], stride: usize, (width, height): (usize, usize), factor: usize, to: &mut Vec<u8>) {
    let rows = plane.chunks(stride.max(1));
    if factor == 1 {
        rows.take(height).for_each(|row| to.extend_from_slice(&row[..width]));
        return;
    }
    let area = u32::try_from(factor * factor).unwrap_or(u32::MAX);
    let rows: Vec<&[u8]> = rows.take(height * factor).collect();
    let mut sums = vec![0_u32; width];
    for square_rows in rows.chunks_exact(factor) {
        sums.fill(0);
        for row in square_rows {
            for (sum, square) in sums.iter_mut().zip(row.chunks_exact(factor)) {
                *sum += square.iter().map(|&value| u32::from(value)).sum::<u32>();
            }
        }
        to.extend(sums.iter().map(|sum| u8::try_from((sum + area / 2) / area).unwrap_or(u8::MAX)));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HEADER: PictureHeader =
        PictureHeader { sequence: 1, captured_unix_us: 2, width: 0, height: 0, frames_captured: 3 };

    fn sizes(bytes: &[u8]) -> (u32, u32, usize) {
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        (number(16), number(20), bytes.len() - PICTURE_HEADER_BYTES)
    }

    fn take(credit: &mut Credit, now_ms: u64) -> Option<u64> {
        credit.take(Duration::from_millis(now_ms)).map(|grant| grant.sequence)
    }

    #[test]
    fn two_pictures_are_under_way_and_no_more() {
        let mut credit = Credit::default();
        assert_eq!(
            [take(&mut credit, 0), take(&mut credit, 33), take(&mut credit, 66)],
            [Some(1), Some(2), None]
        );
        credit.shown(1);
        assert_eq!([take(&mut credit, 100), take(&mut credit, 133)], [Some(3), None]);
        credit.shown(3);
        assert_eq!([take(&mut credit, 166), take(&mut credit, 200)], [Some(4), Some(5)]);
    }

    #[test]
    fn a_credit_that_never_comes_back_heals() {
        let mut credit = Credit::default();
        assert_eq!(
            [take(&mut credit, 0), take(&mut credit, 500), take(&mut credit, 999)],
            [Some(1), Some(2), None]
        );
        assert_eq!([take(&mut credit, 1_000), take(&mut credit, 1_001)], [Some(3), None]);
        // Late news of a picture that was given up does no harm.
        credit.shown(1);
        assert_eq!(take(&mut credit, 1_002), None);
    }

    #[test]
    fn a_screen_that_is_slow_gets_smaller_pictures() {
        let mut credit = Credit::default();
        let mut shrinks = Vec::new();
        // It shows two of three pictures, whatever their size.
        for picture in 0..300 {
            let grant = credit.take(Duration::from_millis(picture * 33));
            shrinks.extend(grant.map(|grant| grant.shrink));
            if picture % 3 == 0 {
                credit.shown(u64::MAX);
            }
        }
        assert_eq!((shrinks[0], shrinks.last()), (1, Some(&3)));
        let picture = I420::black(640, 360);
        assert_eq!(sizes(&packed(HEADER, &picture, 2)), (320, 180, 320 * 180 * 3 / 2));
    }

    #[test]
    fn a_picture_that_fits_is_copied_without_its_padding() {
        let picture = I420::from_packed_planes(5, 3, (0..27).collect()).unwrap();
        let bytes = packed(HEADER, &picture, 1);
        assert_eq!(sizes(&bytes), (4, 2, 12));
        assert_eq!(bytes[PICTURE_HEADER_BYTES..], [0, 1, 2, 3, 5, 6, 7, 8, 15, 16, 21, 22]);
    }

    #[test]
    fn a_large_picture_is_shrunk_by_means() {
        let mut picture = I420::black(1920, 1080);
        picture.planes_mut().y[..4].copy_from_slice(&[10, 20, 30, 40]);
        let bytes = packed(HEADER, &picture, 1);
        assert_eq!(sizes(&bytes), (960, 540, 960 * 540 * 3 / 2));
        // Of the first two rows, the second is black: 16.
        assert_eq!(bytes[PICTURE_HEADER_BYTES], 16, "(10 + 20 + 16 + 16 + 2) / 4");
        assert_eq!(bytes[PICTURE_HEADER_BYTES + 1], 26, "(30 + 40 + 16 + 16 + 2) / 4");
        assert_eq!(bytes.last(), Some(&128));
        for (width, height, factor) in [(1280, 720, 1), (1282, 720, 2), (720, 1280, 2), (3840, 2160, 3)] {
            assert_eq!(shrink_factor(width, height), factor, "{width} × {height}");
        }
    }
}
