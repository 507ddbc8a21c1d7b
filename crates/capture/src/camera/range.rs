//! From full to limited range: luma 0–255 to 16–235, chroma 0–255 to 16–240 (ITU-T T.871, BT.601).

/// Converts luma and chroma samples in place.
pub(crate) fn limit_range(luma: &mut [u8], chroma: &mut [u8]) {
    // 219/255 and 224/255 in 1/65536, rounded to the nearest. Plain arithmetic becomes vector code.
    scale::<56_284>(luma);
    scale::<57_569>(chroma);
}

fn scale<const FACTOR: u32>(samples: &mut [u8]) {
    for sample in samples {
        #[allow(clippy::cast_possible_truncation)]
        let scaled = ((u32::from(*sample) * FACTOR + 0x8000) >> 16) as u8;
        *sample = scaled + 16;
    }
}

#[cfg(test)]
mod tests {
    use super::limit_range;

    #[test]
    fn black_white_and_grey_land_on_the_limits() {
        let (mut luma, mut chroma) = ([0, 128, 255], [0, 128, 255]);
        limit_range(&mut luma, &mut chroma);
        assert_eq!((luma, chroma), ([16, 126, 235], [16, 128, 240]));
    }
}
