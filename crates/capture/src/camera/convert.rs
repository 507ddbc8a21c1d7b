//! From what cameras deliver (YUYV, NV12, MJPEG) to I420 with limited range.

use std::sync::Arc;

use turbojpeg::{Decompressor, Subsamp, YuvImage};
use yuv::{BufferStoreMut, YuvPackedImage, YuvPlanarImageMut, yuyv422_to_yuv420};

use super::jpeg::jpeg_length;
use super::range::limit_range;
use crate::frame::{I420, PicturePool};

/// The pixel formats that are asked of a camera, the cheapest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// Packed 4:2:2.
    Yuyv,
    /// A JPEG for each picture, full range.
    Mjpeg,
    /// A luma plane, then a plane of interleaved chroma, 4:2:0.
    Nv12,
}

/// Why a buffer is not a picture. One such buffer is skipped; a run of them makes the camera unusable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// The buffer is shorter than its size and format demand.
    #[error("a buffer of {found_bytes} bytes is too short for a picture of {needed_bytes}")]
    TooShort {
        /// What came.
        found_bytes: usize,
        /// What is needed.
        needed_bytes: usize,
    },
    /// It is no whole JPEG.
    #[error("the picture is not a whole JPEG")]
    NotJpeg,
    /// The JPEG cannot be decoded.
    #[error("the JPEG cannot be decoded: {0}")]
    Jpeg(String),
    /// The conversion refuses the size.
    #[error("the picture cannot be converted: {0}")]
    Size(String),
}

/// Converts buffers to pictures and keeps what can be used again between them.
#[derive(Default)]
pub struct Converter {
    pool: PicturePool,
    decompressor: Option<Decompressor>,
    /// The planes of a decoded JPEG.
    planes: Vec<u8>,
}

impl Converter {
    /// Converts one buffer. Width and height are the buffer's; a JPEG's own size takes precedence, and odd
    /// sides are cut to even ones. Bytes behind the picture are ignored.
    ///
    /// # Errors
    /// [`ConvertError`] with the reason.
    pub fn convert(
        &mut self,
        format: PixelFormat,
        width: usize,
        height: usize,
        buffer: &[u8],
    ) -> Result<Arc<I420>, ConvertError> {
        match format {
            PixelFormat::Yuyv => {
                let needed_bytes = width.next_multiple_of(2) * 2 * height;
                let buffer = whole(buffer, needed_bytes)?;
                self.pool.fill(width, height, |picture| yuyv(picture, width, buffer))
            }
            PixelFormat::Nv12 => {
                let chroma_bytes = width.next_multiple_of(2) * height.div_ceil(2);
                let buffer = whole(buffer, width * height + chroma_bytes)?;
                self.pool.fill(width, height, |picture| {
                    nv12(picture, width, height, buffer);
                    Ok(())
                })
            }
            PixelFormat::Mjpeg => self.mjpeg(buffer),
        }
    }

    fn mjpeg(&mut self, buffer: &[u8]) -> Result<Arc<I420>, ConvertError> {
        let jpeg = &buffer[..jpeg_length(buffer).ok_or(ConvertError::NotJpeg)?];
        let broken = |error: turbojpeg::Error| ConvertError::Jpeg(error.to_string());
        let decompressor = match &mut self.decompressor {
            Some(decompressor) => decompressor,
            none => none.insert(Decompressor::new().map_err(broken)?),
        };
        let header = decompressor.read_header(jpeg).map_err(broken)?;
        let (width, height, subsamp) = (header.width, header.height, header.subsamp);
        // Chroma columns and rows for one chroma sample.
        let (across, down) = match subsamp {
            Subsamp::Sub2x2 => (2, 2),
            Subsamp::Sub2x1 => (2, 1),
            Subsamp::Sub1x2 => (1, 2),
            Subsamp::None => (1, 1),
            Subsamp::Gray => (0, 0),
            other => return Err(ConvertError::Jpeg(format!("its chroma subsampling is {other:?}"))),
        };
        let limit = protocol::limits::MAX_PICTURE_SIDE as usize;
        if width > limit || height > limit {
            return Err(ConvertError::Jpeg(format!("it is {width} × {height} pixels large")));
        }
        let bytes = turbojpeg::yuv_pixels_len(width, 1, height, subsamp).map_err(broken)?;
        self.planes.resize(bytes, 0);
        let image = YuvImage { pixels: &mut self.planes[..], width, align: 1, height, subsamp };
        decompressor.decompress_to_yuv(jpeg, image).map_err(broken)?;
        // libjpeg-turbo pads the planes to whole chroma samples.
        let luma_stride = width.next_multiple_of(across.max(1));
        let luma_rows = height.next_multiple_of(down.max(1));
        let (luma, chroma) = self.planes.split_at(luma_stride * luma_rows);
        self.pool.fill(width, height, |picture| {
            let (picture_width, stride, chroma_stride) =
                (picture.width(), picture.stride(), picture.chroma_stride());
            let planes = picture.planes_mut();
            for (row, source) in planes.y.chunks_exact_mut(stride).zip(luma.chunks_exact(luma_stride)) {
                row.copy_from_slice(&source[..picture_width]);
            }
            if across == 0 {
                planes.u.fill(128);
                planes.v.fill(128);
                limit_range(planes.y, &mut []);
                return Ok(());
            }
            let source_stride = luma_stride / across;
            let (blue, red) = chroma.split_at(chroma.len() / 2);
            for (plane, source) in [(&mut *planes.u, blue), (&mut *planes.v, red)] {
                for (y, row) in plane.chunks_exact_mut(chroma_stride).enumerate() {
                    let first = &source[y * 2 / down * source_stride..];
                    // The second source row is the same one when the source already has half the rows.
                    let second = &source[(y * 2 / down + (2 / down - 1)) * source_stride..];
                    for (x, sample) in row.iter_mut().enumerate() {
                        let (left, right) = (x * 2 / across, x * 2 / across + (2 / across - 1));
                        let sum = [first[left], first[right], second[left], second[right]];
                        #[allow(clippy::cast_possible_truncation)]
                        let mean = ((sum.iter().map(|s| u32::from(*s)).sum::<u32>() + 2) / 4) as u8;
                        *sample = mean;
                    }
                }
            }
            limit_range(planes.y, planes.u);
            limit_range(&mut [], planes.v);
            Ok(())
        })
    }
}

fn whole(buffer: &[u8], needed_bytes: usize) -> Result<&[u8], ConvertError> {
    buffer.get(..needed_bytes).ok_or(ConvertError::TooShort { found_bytes: buffer.len(), needed_bytes })
}

fn yuyv(picture: &mut I420, source_width: usize, buffer: &[u8]) -> Result<(), ConvertError> {
    let number = |side: usize| u32::try_from(side).map_err(|error| ConvertError::Size(error.to_string()));
    let (width, height) = (number(picture.width())?, number(picture.height())?);
    let (y_stride, chroma_stride) = (number(picture.stride())?, number(picture.chroma_stride())?);
    let yuy_stride = number(source_width.next_multiple_of(2) * 2)?;
    // The conversion insists on a buffer of exactly the rows it reads.
    let buffer = whole(buffer, yuy_stride as usize * picture.height())?;
    let packed = YuvPackedImage { yuy: buffer, yuy_stride, width, height };
    let planes = picture.planes_mut();
    let mut planar = YuvPlanarImageMut {
        y_plane: BufferStoreMut::Borrowed(planes.y),
        y_stride,
        u_plane: BufferStoreMut::Borrowed(planes.u),
        u_stride: chroma_stride,
        v_plane: BufferStoreMut::Borrowed(planes.v),
        v_stride: chroma_stride,
        width,
        height,
    };
    yuyv422_to_yuv420(&mut planar, &packed).map_err(|error| ConvertError::Size(error.to_string()))
}

fn nv12(picture: &mut I420, source_width: usize, source_height: usize, buffer: &[u8]) {
    let (width, stride, chroma_stride) = (picture.width(), picture.stride(), picture.chroma_stride());
    let (luma, chroma) = buffer.split_at(source_width * source_height);
    let planes = picture.planes_mut();
    for (row, source) in planes.y.chunks_exact_mut(stride).zip(luma.chunks_exact(source_width)) {
        row[..width].copy_from_slice(&source[..width]);
    }
    let rows = planes.u.chunks_exact_mut(chroma_stride).zip(planes.v.chunks_exact_mut(chroma_stride));
    for ((blue, red), source) in rows.zip(chroma.chunks_exact(source_width.next_multiple_of(2))) {
        for ((blue, red), pair) in blue.iter_mut().zip(red).zip(source.as_chunks::<2>().0) {
            [*blue, *red] = *pair;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use turbojpeg::PixelFormat as JpegPixels;
    use turbojpeg::{Compressor, Image};

    use super::*;

    fn mean(samples: &[u8]) -> u32 {
        samples.iter().map(|sample| u32::from(*sample)).sum::<u32>() / u32::try_from(samples.len()).unwrap()
    }

    #[test]
    fn packed_and_planar_pictures_become_i420() {
        let mut converter = Converter::default();
        let buffer: Vec<u8> = [10, 90, 20, 200].repeat(4 * 6 / 2).into_iter().chain([7; 100]).collect();
        let picture = converter.convert(PixelFormat::Yuyv, 4, 6, &buffer).unwrap();
        assert_eq!(picture.y(), [10, 20].repeat(12));
        assert_eq!((picture.u(), picture.v()), (&[90; 6][..], &[200; 6][..]));
        let buffer: Vec<u8> = [50; 24].into_iter().chain([90, 200].repeat(6)).chain([7; 9]).collect();
        let picture = converter.convert(PixelFormat::Nv12, 4, 6, &buffer).unwrap();
        assert_eq!((picture.y(), picture.u(), picture.v()), (&[50; 24][..], &[90; 6][..], &[200; 6][..]));
    }

    #[test]
    fn odd_sides_are_cut_to_even_ones() {
        let mut converter = Converter::default();
        for (format, bytes) in [(PixelFormat::Yuyv, 6 * 2 * 5), (PixelFormat::Nv12, 25 + 6 * 3)] {
            let picture = converter.convert(format, 5, 5, &vec![77; bytes]).unwrap();
            assert_eq!((picture.width(), picture.height(), picture.y()), (4, 4, &[77; 16][..]), "{format:?}");
            let error = converter.convert(format, 5, 5, &vec![77; bytes - 1]).unwrap_err();
            assert_eq!(error, ConvertError::TooShort { found_bytes: bytes - 1, needed_bytes: bytes });
        }
    }

    #[test]
    fn jpegs_of_every_subsampling_become_limited_range_and_stale_bytes_are_ignored() {
        // Full-range (235, 64, 64) is luma 121, blue 96, red 209; limited range brings (120, 100, 199).
        let pixels = [235, 64, 64].repeat(37 * 21);
        for subsamp in [Subsamp::None, Subsamp::Sub2x1, Subsamp::Sub1x2, Subsamp::Sub2x2, Subsamp::Gray] {
            let mut compressor = Compressor::new().unwrap();
            compressor.set_quality(95).unwrap();
            compressor.set_subsamp(subsamp).unwrap();
            let image =
                Image { pixels: &pixels[..], width: 37, pitch: 37 * 3, height: 21, format: JpegPixels::RGB };
            let mut jpeg = compressor.compress_to_vec(image).unwrap();
            jpeg.extend([1, 2, 0xff, 0xd9, 3]);
            let picture = Converter::default().convert(PixelFormat::Mjpeg, 1, 1, &jpeg).unwrap();
            assert_eq!((picture.width(), picture.height()), (36, 20));
            let means = [picture.y(), picture.u(), picture.v()].map(mean);
            let expected = if subsamp == Subsamp::Gray { [116, 128, 128] } else { [116, 103, 195] };
            for (found, expected) in means.iter().zip(expected) {
                assert!(found.abs_diff(expected) <= 8, "{subsamp:?}: {means:?}");
            }
        }
    }

    #[test]
    fn a_broken_jpeg_is_refused() {
        let mut converter = Converter::default();
        assert_eq!(converter.convert(PixelFormat::Mjpeg, 4, 4, b"no jpeg"), Err(ConvertError::NotJpeg));
        let hollow = [0xff, 0xd8, 0xff, 0xda, 0, 2, 5, 0xff, 0xd9];
        assert!(matches!(converter.convert(PixelFormat::Mjpeg, 4, 4, &hollow), Err(ConvertError::Jpeg(_))));
    }
}
