//! Raw pictures: planar 4:2:0 with limited range, the form that the encoder and the preview take.

use std::sync::Arc;

/// One picture in planar YUV 4:2:0 (I420), limited range, BT.601 coefficients.
///
/// The luma plane is `height` rows of `stride` bytes, each chroma plane `chroma_height` rows of
/// `chroma_stride` bytes; rows may be longer than the picture is wide. Width and height are even.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct I420 {
    width: usize,
    height: usize,
    stride: usize,
    chroma_stride: usize,
    chroma_rows: usize,
    bytes: Vec<u8>,
}

/// The three planes of a picture, to be written.
#[derive(Debug)]
pub struct PlanesMut<'a> {
    /// Luma.
    pub y: &'a mut [u8],
    /// Blue difference.
    pub u: &'a mut [u8],
    /// Red difference.
    pub v: &'a mut [u8],
}

impl I420 {
    /// A black picture. Odd sides are rounded down to even ones.
    #[must_use]
    pub fn black(width: usize, height: usize) -> Self {
        let (width, height) = (width & !1, height & !1);
        let luma_bytes = width * height;
        let mut bytes = vec![128; luma_bytes + luma_bytes / 2];
        bytes[..luma_bytes].fill(16);
        Self { width, height, stride: width, chroma_stride: width / 2, chroma_rows: height / 2, bytes }
    }

    /// Takes planes that lie behind one another without padding, as Y4M stores them. Of an odd side the
    /// last column or row is cut off. `None` when the number of bytes does not fit the size.
    #[must_use]
    pub fn from_packed_planes(width: usize, height: usize, bytes: Vec<u8>) -> Option<Self> {
        let (chroma_stride, chroma_rows) = (width.div_ceil(2), height.div_ceil(2));
        (bytes.len() == width * height + 2 * chroma_stride * chroma_rows).then_some(Self {
            width: width & !1,
            height: height & !1,
            stride: width,
            chroma_stride,
            chroma_rows,
            bytes,
        })
    }

    /// Width in pixels.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub const fn height(&self) -> usize {
        self.height
    }

    /// Bytes from one luma row to the next.
    #[must_use]
    pub const fn stride(&self) -> usize {
        self.stride
    }

    /// Bytes from one chroma row to the next.
    #[must_use]
    pub const fn chroma_stride(&self) -> usize {
        self.chroma_stride
    }

    /// Luma rows; the last one of an odd picture is included.
    #[must_use]
    pub fn y(&self) -> &[u8] {
        &self.bytes[..self.bytes.len() - 2 * self.chroma_bytes()]
    }

    /// Blue difference rows.
    #[must_use]
    pub fn u(&self) -> &[u8] {
        let end = self.bytes.len() - self.chroma_bytes();
        &self.bytes[end - self.chroma_bytes()..end]
    }

    /// Red difference rows.
    #[must_use]
    pub fn v(&self) -> &[u8] {
        &self.bytes[self.bytes.len() - self.chroma_bytes()..]
    }

    /// All planes, to be written.
    pub fn planes_mut(&mut self) -> PlanesMut<'_> {
        let chroma_bytes = self.chroma_bytes();
        let luma_bytes = self.bytes.len() - 2 * chroma_bytes;
        let (y, chroma) = self.bytes.split_at_mut(luma_bytes);
        let (u, v) = chroma.split_at_mut(chroma_bytes);
        PlanesMut { y, u, v }
    }

    const fn chroma_bytes(&self) -> usize {
        self.chroma_stride * self.chroma_rows
    }
}

/// A picture and when it was taken. A clone shares the picture.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The picture.
    pub picture: Arc<I420>,
    /// When it was captured, in µs since the session's start.
    pub capture_us: u64,
}

/// Memory for pictures, used again as soon as nobody holds the picture any more.
///
/// Fresh memory for every frame would cost a page fault for each 4 KiB of it. The pool keeps at most
/// ten pictures; what exceeds them is allocated and freed.
#[derive(Debug, Default)]
pub struct PicturePool {
    pictures: Vec<Arc<I420>>,
}

/// Pictures that a [`PicturePool`] keeps: the queue to the encoder, the preview and the one being filled.
const POOL_PICTURES: usize = 10;

impl PicturePool {
    /// A picture of the given size, filled by `fill`. What it holds before that is unspecified.
    ///
    /// # Errors
    /// What `fill` returns.
    pub fn fill<E>(
        &mut self,
        width: usize,
        height: usize,
        fill: impl FnOnce(&mut I420) -> Result<(), E>,
    ) -> Result<Arc<I420>, E> {
        let (width, height) = (width & !1, height & !1);
        self.pictures.retain(|picture| picture.width == width && picture.height == height);
        if let Some(at) = self.pictures.iter_mut().position(|picture| Arc::get_mut(picture).is_some()) {
            let mut picture = self.pictures.swap_remove(at);
            if let Some(free) = Arc::get_mut(&mut picture) {
                fill(free)?;
            }
            self.pictures.push(Arc::clone(&picture));
            return Ok(picture);
        }
        let mut picture = I420::black(width, height);
        fill(&mut picture)?;
        let picture = Arc::new(picture);
        if self.pictures.len() < POOL_PICTURES {
            self.pictures.push(Arc::clone(&picture));
        }
        Ok(picture)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn a_picture_that_nobody_holds_is_used_again() {
        let mut pool = PicturePool::default();
        let mut take = || pool.fill::<Infallible>(64, 48, |_| Ok(())).unwrap();
        let first = take();
        let held = Arc::as_ptr(&first);
        assert_ne!(Arc::as_ptr(&take()), held);
        drop(first);
        let again: Vec<_> = (0..2).map(|_| take()).collect();
        assert!(again.iter().any(|picture| Arc::as_ptr(picture) == held));
    }

    #[test]
    fn planes_of_an_odd_picture_keep_their_strides() {
        let picture = I420::from_packed_planes(5, 3, (0..15 + 2 * 6).collect()).unwrap();
        assert_eq!(
            (picture.width(), picture.height(), picture.stride(), picture.chroma_stride()),
            (4, 2, 5, 3)
        );
        assert_eq!((picture.y().len(), picture.u()[0], picture.v()[0]), (15, 15, 21));
        assert_eq!(I420::from_packed_planes(5, 3, vec![0; 26]), None);
    }
}
