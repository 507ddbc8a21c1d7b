//! Where a JPEG ends: a camera's buffer goes on behind it with what an earlier picture left there.

/// The length of the JPEG at the buffer's beginning, with its end-of-image marker.
///
/// Walks the marker segments (ITU-T T.81 §B.1.1), so that a thumbnail's end inside a segment is not
/// mistaken for the picture's. `None` when the buffer does not begin with a whole JPEG.
pub(super) fn jpeg_length(buffer: &[u8]) -> Option<usize> {
    const START_OF_SCAN: u8 = 0xda;
    const END_OF_IMAGE: u8 = 0xd9;
    if buffer.get(..2)? != [0xff, 0xd8] {
        return None;
    }
    let mut at = 2;
    loop {
        if *buffer.get(at)? != 0xff {
            return None;
        }
        match *buffer.get(at + 1)? {
            END_OF_IMAGE => return Some(at + 2),
            // Fill bytes may precede a marker.
            0xff => at += 1,
            // Restart markers and TEM stand alone.
            0x01 | 0xd0..=0xd7 => at += 2,
            marker => {
                let length = usize::from(u16::from_be_bytes([*buffer.get(at + 2)?, *buffer.get(at + 3)?]));
                at += 2 + length.max(2);
                if marker == START_OF_SCAN {
                    at += entropy_coded_length(buffer.get(at..)?)?;
                }
            }
        }
    }
}

/// Entropy-coded bytes up to the next marker that is neither an escaped 0xff nor a restart.
fn entropy_coded_length(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + bytes.get(from..)?.iter().position(|byte| *byte == 0xff)?;
        match *bytes.get(at + 1)? {
            0x00 | 0xd0..=0xd7 => from = at + 2,
            0xff => from = at + 1,
            _ => return Some(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::jpeg_length;

    /// A thumbnail's markers in an application segment, a scan with escapes and restarts, a second scan.
    const PICTURE: &[u8] = &[
        0xff, 0xd8, 0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, 0xd9, 0xff, 0xff, 0xda, 0, 3, 1, 7, 0xff, 0, 8, 0xff,
        0xd3, 9, 0xff, 0xc4, 0, 3, 0, 0xff, 0xda, 0, 2, 5, 0xff, 0xd9,
    ];

    #[test]
    fn what_follows_the_picture_is_cut_off() {
        assert_eq!(jpeg_length(PICTURE), Some(PICTURE.len()));
        let stale = [PICTURE, &[3, 0xff, 0xd9, 0, 0]].concat();
        assert_eq!(jpeg_length(&stale), Some(PICTURE.len()));
        for cut in 0..PICTURE.len() {
            assert_eq!(jpeg_length(&PICTURE[..cut]), None, "cut at {cut}");
        }
        assert_eq!(jpeg_length(&[0, 0xff, 0xd8, 0xff, 0xd9]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_length_within_them_or_none(tail in prop::collection::vec(any::<u8>(), 0..300)) {
            let bytes = [&[0xff, 0xd8][..], &tail].concat();
            prop_assert!(jpeg_length(&bytes).is_none_or(|length| length <= bytes.len()));
        }
    }
}
