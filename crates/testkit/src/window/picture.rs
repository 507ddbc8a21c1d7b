//! What is seen on the screen, as pixels.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context, Result};

/// A place on the screen, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) x: u16,
    pub(super) y: u16,
    pub(super) width: u16,
    pub(super) height: u16,
}

/// Pixels: three bytes each, red, green, blue, row by row without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    width: u16,
    height: u16,
    rgb: Vec<u8>,
}

impl Picture {
    /// From X11's form: four bytes each, blue, green, red and one that means nothing.
    pub(super) fn from_bgrx(width: u16, height: u16, bgrx: &[u8]) -> Result<Self> {
        let (pixels, _) = bgrx.as_chunks::<4>();
        anyhow::ensure!(pixels.len() == usize::from(width) * usize::from(height), "a picture is whole");
        Ok(Self { width, height, rgb: pixels.iter().flat_map(|[b, g, r, _]| [*r, *g, *b]).collect() })
    }

    /// The mean difference of all bytes, 0 to 255. Pictures of different sizes differ wholly.
    #[must_use]
    pub fn difference(&self, other: &Self) -> f64 {
        if (self.width, self.height) != (other.width, other.height) || self.rgb.is_empty() {
            return 255.0;
        }
        let pairs = self.rgb.iter().zip(&other.rgb);
        pairs.map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / self.rgb.len() as f64
    }

    /// The mean of all bytes: 0 for black, 255 for white.
    #[must_use]
    pub fn brightness(&self) -> f64 {
        self.rgb.iter().map(|byte| f64::from(*byte)).sum::<f64>() / self.rgb.len().max(1) as f64
    }

    /// The difference between the darkest and the brightest green: 0 for a picture of one colour.
    #[must_use]
    pub fn contrast(&self) -> u8 {
        let (pixels, _) = self.rgb.as_chunks::<3>();
        let greens = || pixels.iter().map(|[_, green, _]| *green);
        greens().max().unwrap_or(0) - greens().min().unwrap_or(0)
    }

    /// Writes a PNG file, with its folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        std::fs::create_dir_all(path.parent().context("a file in a folder")?)?;
        let file = BufWriter::new(File::create(path)?);
        let mut encoder = png::Encoder::new(file, self.width.into(), self.height.into());
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.write_header()?.write_image_data(&self.rgb)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_told_apart_and_a_blank_one_is_known() {
        let of = |pixels: &[[u8; 4]]| Picture::from_bgrx(2, 1, pixels.as_flattened()).unwrap();
        let blank = of(&[[9, 9, 9, 0], [9, 9, 9, 255]]);
        let other = of(&[[9, 9, 9, 0], [9, 15, 9, 0]]);
        assert_eq!((blank.contrast(), other.contrast()), (0, 6));
        assert_eq!((blank.brightness(), other.brightness()), (9.0, 10.0));
        assert_eq!(blank.difference(&blank), 0.0);
        assert_eq!(blank.difference(&other), 1.0);
        let small = Picture::from_bgrx(1, 1, &[9, 9, 9, 0]).unwrap();
        assert_eq!(blank.difference(&small), 255.0);
        assert!(Picture::from_bgrx(2, 1, &[0; 4]).is_err());
    }
}
