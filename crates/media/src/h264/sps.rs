//! The sequence parameter set (§7.3.2.1.1), as far as a container needs it.

use protocol::limits::MAX_PICTURE_SIDE;

use super::bits::BitReader;
use super::{H264Error, NalType};

/// What a sequence parameter set says about the pictures that refer to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sps {
    /// The profile: 66 Baseline, 77 Main, 100 High.
    pub profile_idc: u8,
    /// `constraint_set0_flag` and following, from the most significant bit.
    pub constraint_flags: u8,
    /// Ten times the level: 31 is level 3.1.
    pub level_idc: u8,
    /// The number by which picture parameter sets refer to this one, at most 31.
    pub id: u8,
    /// 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format_idc: u8,
    /// Bits of a luma sample, 8 to 14.
    pub luma_bits: u8,
    /// Bits of a chroma sample, 8 to 14.
    pub chroma_bits: u8,
    /// How many earlier pictures a picture may refer to.
    pub max_reference_frames: u32,
    /// Whether pictures may be coded as fields.
    pub interlaced: bool,
    /// Width of the picture shown, in pixels: 1 to [`MAX_PICTURE_SIDE`].
    pub width: u32,
    /// Height of the picture shown, in pixels: 1 to [`MAX_PICTURE_SIDE`].
    pub height: u32,
}

impl Sps {
    /// Parses a NAL unit, header byte included. What follows the picture's size (VUI) is not read.
    ///
    /// # Errors
    /// [`H264Error::BrokenSps`] when it is no such NAL unit, ends early or holds a value out of
    /// range; [`H264Error::PictureTooLarge`].
    pub fn parse(nal: &[u8]) -> Result<Self, H264Error> {
        if NalType::of(nal)? != NalType::Sps {
            return Err(H264Error::BrokenSps("the NAL unit is of another type"));
        }
        Fields::read(&mut BitReader::new(&nal[1..]))
            .ok_or(H264Error::BrokenSps("it ends early or a number is out of range"))?
            .check()
    }
}

/// The syntax elements as coded.
struct Fields {
    profile_idc: u8,
    constraint_flags: u8,
    level_idc: u8,
    id: u32,
    chroma: Chroma,
    max_reference_frames: u32,
    width_in_mbs: u64,
    height_in_map_units: u64,
    frame_mbs_only: bool,
    /// Left, right, top, bottom, in crop units.
    crop: [u64; 4],
}

/// The elements that only some profiles have.
struct Chroma {
    format_idc: u32,
    separate_planes: bool,
    luma_bits: u32,
    chroma_bits: u32,
}

impl Fields {
    fn read(bits: &mut BitReader<'_>) -> Option<Self> {
        let profile_idc = bits.bits(8)? as u8;
        let constraint_flags = bits.bits(8)? as u8;
        let level_idc = bits.bits(8)? as u8;
        let id = bits.unsigned()?;
        let chroma = match profile_idc {
            100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135 => Chroma::read(bits)?,
            _ => Chroma { format_idc: 1, separate_planes: false, luma_bits: 8, chroma_bits: 8 },
        };
        bits.unsigned()?; // log2_max_frame_num_minus4
        match bits.unsigned()? {
            0 => _ = bits.unsigned()?, // log2_max_pic_order_cnt_lsb_minus4
            1 => {
                bits.flag()?; // delta_pic_order_always_zero_flag
                bits.signed()?; // offset_for_non_ref_pic
                bits.signed()?; // offset_for_top_to_bottom_field
                // num_ref_frames_in_pic_order_cnt_cycle is at most 255; each takes a bit at least,
                // so that a larger number only runs into the end.
                for _ in 0..bits.unsigned()? {
                    bits.signed()?;
                }
            }
            2 => {}
            _ => return None,
        }
        let max_reference_frames = bits.unsigned()?;
        bits.flag()?; // gaps_in_frame_num_value_allowed_flag
        let width_in_mbs = u64::from(bits.unsigned()?) + 1;
        let height_in_map_units = u64::from(bits.unsigned()?) + 1;
        let frame_mbs_only = bits.flag()?;
        if !frame_mbs_only {
            bits.flag()?; // mb_adaptive_frame_field_flag
        }
        bits.flag()?; // direct_8x8_inference_flag
        let mut crop = [0; 4];
        if bits.flag()? {
            for side in &mut crop {
                *side = u64::from(bits.unsigned()?);
            }
        }
        Some(Self {
            profile_idc,
            constraint_flags,
            level_idc,
            id,
            chroma,
            max_reference_frames,
            width_in_mbs,
            height_in_map_units,
            frame_mbs_only,
            crop,
        })
    }

    fn check(self) -> Result<Sps, H264Error> {
        let Chroma { format_idc, separate_planes, luma_bits, chroma_bits } = self.chroma;
        if self.id > 31 {
            return Err(H264Error::BrokenSps("its id exceeds 31"));
        }
        if format_idc > 3 || luma_bits > 14 || chroma_bits > 14 {
            return Err(H264Error::BrokenSps("its chroma format or bit depth does not exist"));
        }
        // Crop units (7-19 to 7-22): chroma samples of a frame, or of a field when there are fields.
        let (unit_x, unit_y) = match format_idc {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        let (unit_x, unit_y) = if separate_planes { (1, 1) } else { (unit_x, unit_y) };
        let fields = if self.frame_mbs_only { 1 } else { 2 };
        let [left, right, top, bottom] = self.crop;
        let coded_width = self.width_in_mbs * 16;
        let coded_height = self.height_in_map_units * 16 * fields;
        let width = coded_width.saturating_sub((left + right) * unit_x);
        let height = coded_height.saturating_sub((top + bottom) * unit_y * fields);
        if width == 0 || height == 0 {
            return Err(H264Error::BrokenSps("it crops the whole picture away"));
        }
        match (u32::try_from(width), u32::try_from(height)) {
            (Ok(width), Ok(height)) if width.max(height) <= MAX_PICTURE_SIDE => Ok(Sps {
                profile_idc: self.profile_idc,
                constraint_flags: self.constraint_flags,
                level_idc: self.level_idc,
                id: self.id as u8,
                chroma_format_idc: format_idc as u8,
                luma_bits: luma_bits as u8,
                chroma_bits: chroma_bits as u8,
                max_reference_frames: self.max_reference_frames,
                interlaced: !self.frame_mbs_only,
                width,
                height,
            }),
            _ => Err(H264Error::PictureTooLarge { width, height }),
        }
    }
}

impl Chroma {
    fn read(bits: &mut BitReader<'_>) -> Option<Self> {
        let format_idc = bits.unsigned()?;
        let separate_planes = format_idc == 3 && bits.flag()?;
        let luma_bits = bits.unsigned()?.saturating_add(8);
        let chroma_bits = bits.unsigned()?.saturating_add(8);
        bits.flag()?; // qpprime_y_zero_transform_bypass_flag
        if bits.flag()? {
            let lists = if format_idc == 3 { 12 } else { 8 };
            for list in 0..lists {
                if bits.flag()? {
                    skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
        Some(Self { format_idc, separate_planes, luma_bits, chroma_bits })
    }
}

/// §7.3.2.1.1.1: values are coded as differences until one of them makes the scale zero.
fn skip_scaling_list(bits: &mut BitReader<'_>, coefficients: usize) -> Option<()> {
    let (mut last_scale, mut next_scale) = (8i64, 8i64);
    for _ in 0..coefficients {
        if next_scale != 0 {
            next_scale = (last_scale + bits.signed()?).rem_euclid(256);
        }
        if next_scale != 0 {
            last_scale = next_scale;
        }
    }
    Some(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::bits::tests::BitWriter;
    use super::*;

    /// A Baseline SPS of `mbs` macroblocks with the given crop.
    fn baseline(mbs: (u32, u32), crop: Option<[u32; 4]>) -> Vec<u8> {
        let mut bits = BitWriter::default();
        bits.bits(66, 8).bits(0xc0, 8).bits(31, 8).unsigned(0);
        bits.unsigned(0).unsigned(2).unsigned(1).bits(0, 1);
        bits.unsigned(mbs.0 - 1).unsigned(mbs.1 - 1).bits(1, 1).bits(1, 1);
        bits.bits(u32::from(crop.is_some()), 1);
        crop.iter().flatten().for_each(|&side| {
            bits.unsigned(side);
        });
        bits.bits(0, 1);
        [&[0x67], &bits.escaped()[..]].concat()
    }

    #[test]
    fn sizes_follow_macroblocks_and_cropping() {
        let table = [
            (baseline((40, 23), Some([0, 0, 0, 4])), (640, 360)),
            (baseline((80, 45), None), (1280, 720)),
            (baseline((120, 68), Some([0, 0, 0, 4])), (1920, 1080)),
            (baseline((1, 1), Some([3, 4, 0, 7])), (2, 2)),
        ];
        for (nal, size) in table {
            let sps = Sps::parse(&nal).unwrap();
            assert_eq!((sps.width, sps.height), size);
            assert_eq!((sps.profile_idc, sps.constraint_flags, sps.level_idc), (66, 0xc0, 31));
            assert!(!sps.interlaced);
        }
    }

    #[test]
    fn a_high_profile_with_scaling_lists_and_fields_is_understood() {
        let mut bits = BitWriter::default();
        bits.bits(122, 8).bits(0, 8).bits(40, 8).unsigned(1);
        bits.unsigned(2).unsigned(2).unsigned(2).bits(0, 1).bits(1, 1);
        // One list that ends at once, one of differences, six that are absent.
        bits.bits(1, 1).signed(-8).bits(1, 1);
        (0..16).for_each(|_| _ = bits.signed(1));
        bits.bits(0, 6);
        bits.unsigned(0).unsigned(1).bits(0, 1).signed(-1).signed(2).unsigned(2).signed(3).signed(-3);
        bits.unsigned(4).bits(0, 1).unsigned(119).unsigned(33).bits(0, 1).bits(1, 1).bits(1, 1);
        bits.bits(1, 1).unsigned(0).unsigned(0).unsigned(0).unsigned(4).bits(0, 1);
        let sps = Sps::parse(&[&[0x27], &bits.escaped()[..]].concat()).unwrap();
        let expected = Sps {
            profile_idc: 122,
            constraint_flags: 0,
            level_idc: 40,
            id: 1,
            chroma_format_idc: 2,
            luma_bits: 10,
            chroma_bits: 10,
            max_reference_frames: 4,
            interlaced: true,
            width: 1920,
            height: 1080,
        };
        assert_eq!(sps, expected);
    }

    #[test]
    fn hostile_numbers_are_refused() {
        let huge = 0x7fff_fff0;
        let too_large =
            |mbs| matches!(Sps::parse(&baseline(mbs, None)), Err(H264Error::PictureTooLarge { .. }));
        assert!(too_large((huge, 1)) && too_large((1, huge)) && too_large((513, 1)));
        let gone = Sps::parse(&baseline((1, 1), Some([huge, huge, huge, huge])));
        assert_eq!(gone, Err(H264Error::BrokenSps("it crops the whole picture away")));
        assert_eq!(Sps::parse(&[]), Err(H264Error::EmptyNal));
        assert_eq!(Sps::parse(&[0x68, 1]), Err(H264Error::BrokenSps("the NAL unit is of another type")));
        let whole = baseline((40, 23), Some([0, 0, 0, 4]));
        for length in 1..whole.len() - 1 {
            assert!(matches!(Sps::parse(&whole[..length]), Err(H264Error::BrokenSps(_))), "{length} bytes");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_fail_without_panic(
            profile in prop_oneof![Just(66u8), Just(100), any::<u8>()],
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            if let Ok(sps) = Sps::parse(&[&[0x67, profile], &bytes[..]].concat()) {
                prop_assert!((1..=MAX_PICTURE_SIDE).contains(&sps.width));
                prop_assert!((1..=MAX_PICTURE_SIDE).contains(&sps.height));
            }
        }
    }
}
