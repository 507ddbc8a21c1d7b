/// The length of the header in front of each picture, in bytes.
pub const PICTURE_HEADER_BYTES: usize = 32;

/// What stands before the I420 planes of a picture that goes to the screen: Y, then U, then V, rows without padding,
/// chroma planes of half the size, rounded up. The coefficients are those of BT.601 at every size, the range is limited.
///
/// | offset | bytes | little-endian |
/// | ---: | ---: | --- |
/// | 0 | 8 | sequence: rises by one with each picture that is sent; what the screen gives back as its credit |
/// | 8 | 8 | time of capture, in µs since the Unix epoch |
/// | 16 | 4 | width in pixels |
/// | 20 | 4 | height in pixels |
/// | 24 | 8 | frames that were captured so far, shown or not |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureHeader {
    /// Rises by one with each picture that is sent.
    pub sequence: u64,
    /// In µs since the Unix epoch.
    pub captured_unix_us: u64,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Frames that were captured so far.
    pub frames_captured: u64,
}

impl PictureHeader {
    /// The header as it travels.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; PICTURE_HEADER_BYTES] {
        let mut bytes = [0; PICTURE_HEADER_BYTES];
        bytes[0..8].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.captured_unix_us.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.width.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.height.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.frames_captured.to_le_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_the_layout_that_the_screen_reads() {
        let header = PictureHeader {
            sequence: 1,
            captured_unix_us: 0x0102_0304_0506_0708,
            width: 640,
            height: 360,
            frames_captured: 9,
        };
        let bytes = header.to_bytes();
        assert_eq!(bytes[0], 1);
        assert_eq!(bytes[8..16], [8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(bytes[16..24], [0x80, 2, 0, 0, 0x68, 1, 0, 0]);
        assert_eq!(bytes[24], 9);
    }
}
