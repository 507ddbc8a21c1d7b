//! The capture time in a picture, for machines.
//!
//! Two rows of 26 black or white blocks stand at the bottom of the picture. Read row by row they are:
//! white, black (a frame to set the threshold by), 32 bits of milliseconds, the lower 16 bits of the CRC-32
//! of those 4 big-endian bytes, black, white. White is 1; the most significant bit comes first.

use crate::frame::I420;

const BLOCKS: usize = 52;
const ROWS: usize = 2;
const COLUMNS: usize = BLOCKS / ROWS;

/// Luma of a block that means 0 and of one that means 1.
const LEVELS: [u8; 2] = [16, 235];

/// The first pixel row of the blocks and the height of one block, for a picture of this height.
pub(super) const fn position(height: usize) -> (usize, usize) {
    let block_height = if height / 16 > 8 { (height / 16) & !1 } else { 8 };
    (height.saturating_sub(ROWS * block_height), block_height)
}

/// Paints the time into the luma plane and takes the colour away beneath it. A picture less than 52 pixels
/// wide or 16 high is left as it is.
pub(super) fn write(picture: &mut I420, ms: u64) {
    let (width, height) = (picture.width(), picture.height());
    if width < 2 * COLUMNS || height < 8 * ROWS {
        return;
    }
    let (stride, chroma_stride) = (picture.stride(), picture.chroma_stride());
    let (top, block_height) = position(height);
    let bits = encode(ms);
    let planes = picture.planes_mut();
    for (row, bits) in bits.chunks_exact(COLUMNS).enumerate() {
        let first = (top + row * block_height) * stride;
        for (column, bit) in bits.iter().enumerate() {
            let (left, right) = (column * width / COLUMNS, (column + 1) * width / COLUMNS);
            planes.y[first + left..first + right].fill(LEVELS[usize::from(*bit)]);
        }
        for y in 1..block_height {
            planes.y.copy_within(first..first + width, first + y * stride);
        }
    }
    let chroma_top = top / 2 * chroma_stride;
    planes.u[chroma_top..].fill(128);
    planes.v[chroma_top..].fill(128);
}

/// The capture time in ms since the session's start that a synthetic picture carries.
///
/// Works on decoded pictures too. `None` when the picture is not a synthetic one or is too damaged: the
/// check sum fails.
#[must_use]
pub fn read_time_ms(picture: &I420) -> Option<u64> {
    let (width, height, stride) = (picture.width(), picture.height(), picture.stride());
    if width < 2 * COLUMNS || height < 8 * ROWS {
        return None;
    }
    let (top, block_height) = position(height);
    let mean = |block: usize| -> u32 {
        let (row, column) = (block / COLUMNS, block % COLUMNS);
        let (left, right) = (column * width / COLUMNS, (column + 1) * width / COLUMNS);
        let inset = (right - left) / 4;
        let (mut sum, mut count) = (0_u32, 0_u32);
        for y in block_height / 4..block_height - block_height / 4 {
            let line = (top + row * block_height + y) * stride;
            for luma in &picture.y()[line + left + inset..line + right - inset] {
                sum += u32::from(*luma);
                count += 1;
            }
        }
        sum / count.max(1)
    };
    let frame = [mean(0), mean(1), mean(BLOCKS - 2), mean(BLOCKS - 1)];
    let (white, black) = ((frame[0] + frame[3]) / 2, (frame[1] + frame[2]) / 2);
    if white < black + 60 {
        return None;
    }
    let threshold = (white + black) / 2;
    let bits: Vec<bool> = (0..BLOCKS).map(|block| mean(block) > threshold).collect();
    let number =
        |from: usize, to: usize| bits[from..to].iter().fold(0_u64, |n, bit| n << 1 | u64::from(*bit));
    let ms = number(2, 34);
    (bits == encode(ms)).then_some(ms)
}

fn encode(ms: u64) -> Vec<bool> {
    #[allow(clippy::cast_possible_truncation)]
    let ms = ms as u32;
    let check = crc32fast::hash(&ms.to_be_bytes()) & 0xffff;
    let number = u64::from(ms) << 18 | u64::from(check) << 2 | 0b01 | 0b10 << 50;
    (0..BLOCKS).rev().map(|bit| number >> bit & 1 == 1).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_time_survives_being_painted_and_read(ms: u32, width in 52_usize..700, height in 16_usize..400) {
            let mut picture = I420::black(width, height);
            write(&mut picture, u64::from(ms));
            prop_assert_eq!(read_time_ms(&picture), Some(u64::from(ms)));
        }
    }

    #[test]
    fn a_picture_without_a_time_has_none() {
        assert_eq!(read_time_ms(&I420::black(640, 360)), None);
        assert_eq!(read_time_ms(&I420::black(16, 16)), None);
        let mut damaged = I420::black(640, 360);
        write(&mut damaged, 123_456);
        let (top, _) = position(360);
        let from = top * 640 + 300;
        for row in 0..22 {
            damaged.planes_mut().y[from + row * 640..from + row * 640 + 30].fill(235);
        }
        assert_eq!(read_time_ms(&damaged), None);
    }
}
