//! The header byte of a NAL unit (§7.3.1).

use super::H264Error;

/// What a NAL unit holds (table 7-1), as far as this crate treats types differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NalType {
    /// A slice of a picture that is not an IDR picture.
    Slice,
    /// A part of a slice in data partitioning, which only the Extended profile has.
    Partition(u8),
    /// A slice of an IDR picture: decoding can start here.
    IdrSlice,
    /// Supplemental enhancement information.
    Sei,
    /// A sequence parameter set.
    Sps,
    /// A picture parameter set.
    Pps,
    /// Any other type. A decoder of the base stream may drop it: delimiters, ends of sequences,
    /// filler, extensions.
    Other(u8),
}

impl NalType {
    /// The type of a NAL unit, from its first byte.
    ///
    /// # Errors
    /// [`H264Error::EmptyNal`] and [`H264Error::ForbiddenBit`].
    pub const fn of(nal: &[u8]) -> Result<Self, H264Error> {
        let Some(&header) = nal.first() else { return Err(H264Error::EmptyNal) };
        if header & 0x80 != 0 {
            return Err(H264Error::ForbiddenBit);
        }
        Ok(match header & 0x1f {
            1 => Self::Slice,
            partition @ 2..=4 => Self::Partition(partition),
            5 => Self::IdrSlice,
            6 => Self::Sei,
            7 => Self::Sps,
            8 => Self::Pps,
            other => Self::Other(other),
        })
    }

    /// The number in table 7-1.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Slice => 1,
            Self::IdrSlice => 5,
            Self::Sei => 6,
            Self::Sps => 7,
            Self::Pps => 8,
            Self::Partition(number) | Self::Other(number) => number,
        }
    }
}

/// Gathers what the slices of one access unit say about it.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Slices {
    idr: bool,
    other: bool,
}

impl Slices {
    pub(super) const fn saw(&mut self, kind: NalType, nal: &[u8]) -> Result<(), H264Error> {
        match kind {
            NalType::Slice => self.other = true,
            NalType::IdrSlice => self.idr = true,
            _ => return Ok(()),
        }
        if nal.len() < 2 { Err(H264Error::EmptySlice) } else { Ok(()) }
    }

    /// Whether the picture is an IDR picture.
    pub(super) const fn key(self) -> Result<bool, H264Error> {
        match (self.idr, self.other) {
            (false, false) => Err(H264Error::NoSlice),
            (true, true) => Err(H264Error::MixedSlices),
            (idr, _) => Ok(idr),
        }
    }
}
