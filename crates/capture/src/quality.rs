//! Quality settings as people choose them.

use crate::camera::format::Wanted;

/// A named quality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Quality {
    /// 640 × 360.
    Q360,
    /// 960 × 540.
    Q540,
    /// 1280 × 720.
    #[default]
    Q720,
    /// 1920 × 1080.
    Q1080,
}

/// What a quality means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// What is typed: `720p`.
    pub name: &'static str,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Frames per second.
    pub fps: u32,
    /// Video, in bit/s.
    pub bitrate_bps: u32,
}

impl Quality {
    /// All of them, from the lowest to the highest.
    pub const ALL: [Self; 4] = [Self::Q360, Self::Q540, Self::Q720, Self::Q1080];

    /// Its meaning. About 0.07 bit per pixel at 720p and below, a little less above, where pixels are smaller.
    #[must_use]
    pub const fn preset(self) -> Preset {
        match self {
            Self::Q360 => Preset { name: "360p", width: 640, height: 360, fps: 30, bitrate_bps: 700_000 },
            Self::Q540 => Preset { name: "540p", width: 960, height: 540, fps: 30, bitrate_bps: 1_200_000 },
            Self::Q720 => Preset { name: "720p", width: 1280, height: 720, fps: 30, bitrate_bps: 2_000_000 },
            Self::Q1080 => {
                Preset { name: "1080p", width: 1920, height: 1080, fps: 30, bitrate_bps: 4_000_000 }
            }
        }
    }

    /// The quality of a name such as `720p`.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|quality| quality.preset().name == name)
    }
}

impl Preset {
    /// What to ask a camera for.
    #[must_use]
    pub const fn wanted(&self) -> Wanted {
        Wanted { width: self.width, height: self.height, fps: self.fps }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_rise_and_are_found_by_name() {
        for pair in Quality::ALL.map(Quality::preset).windows(2) {
            assert!(pair[0].width < pair[1].width && pair[0].bitrate_bps < pair[1].bitrate_bps);
        }
        for quality in Quality::ALL {
            assert_eq!(Quality::by_name(quality.preset().name), Some(quality));
            assert_eq!(quality.preset().width * 9, quality.preset().height * 16);
        }
        assert_eq!(Quality::by_name("4k"), None);
    }
}
