//! Annex B: NAL units between start codes, as encoders emit them.

use bytes::{BufMut, Bytes, BytesMut};

use super::nal::Slices;
use super::{AccessUnit, H264Error, NalType, ParameterSets};

/// The NAL units of a byte stream, without start codes and without the zero bytes around them.
///
/// Bytes before the first start code are skipped; empty NAL units are left out. Any bytes are fine.
pub fn annexb_nals(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let first = start_code(stream).map(|at| &stream[at + 3..]);
    AnnexbNals { rest: first }.filter(|nal| !nal.is_empty())
}

struct AnnexbNals<'a> {
    /// What follows the last start code found.
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for AnnexbNals<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest.take()?;
        let end = match start_code(rest) {
            Some(at) => {
                self.rest = Some(&rest[at + 3..]);
                at
            }
            None => rest.len(),
        };
        // A NAL unit never ends in a zero byte (§7.4.1): those belong to the next start code or pad.
        let length = rest[..end].iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        Some(&rest[..length])
    }
}

/// Where the next `00 00 01` begins.
fn start_code(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    // `at` is where the code's last byte would be; a larger byte there rules out three positions.
    while let Some(&byte) = bytes.get(at) {
        match byte {
            0 => at += 1,
            1 if bytes[at - 1] == 0 && bytes[at - 2] == 0 => return Some(at - 2),
            _ => at += 3,
        }
    }
    None
}

/// Turns what an encoder emitted for one picture into a unit's payload and its parameter sets.
///
/// Slices and SEI are kept; delimiters, filler and extension layers are dropped, since a decoder
/// does without them.
///
/// # Errors
/// [`H264Error`] when the bytes hold no slice, mix IDR slices with others, or use data partitioning.
/// An encoder that skipped a frame emits nothing, which is [`H264Error::NoSlice`].
pub fn access_unit_from_annexb(stream: &[u8]) -> Result<AccessUnit, H264Error> {
    // Each NAL unit's start code has at least three bytes, its length prefix four.
    let mut payload = BytesMut::with_capacity(stream.len() + 64);
    let (mut sps, mut pps) = (None, None);
    let mut slices = Slices::default();
    for nal in annexb_nals(stream) {
        let kind = NalType::of(nal)?;
        slices.saw(kind, nal)?;
        match kind {
            NalType::Slice | NalType::IdrSlice | NalType::Sei => {
                let length = u32::try_from(nal.len()).map_err(|_| H264Error::IllegalNal(kind.number()))?;
                payload.put_u32(length);
                payload.put_slice(nal);
            }
            NalType::Sps => _ = sps.get_or_insert(nal),
            NalType::Pps => _ = pps.get_or_insert(nal),
            NalType::Partition(number) => return Err(H264Error::IllegalNal(number)),
            NalType::Other(_) => {}
        }
    }
    let key = slices.key()?;
    let parameter_sets =
        sps.zip(pps).map(|(sps, pps)| ParameterSets { sps: sps.to_vec(), pps: pps.to_vec() });
    Ok(AccessUnit { payload: Bytes::from(payload), key, parameter_sets })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::{check_access_unit, length_prefixed_nals};
    use super::*;

    fn nals(stream: &[u8]) -> Vec<&[u8]> {
        annexb_nals(stream).collect()
    }

    #[test]
    fn start_codes_of_three_and_four_bytes_part_nal_units() {
        assert_eq!(
            nals(&[0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 2, 0, 0, 0, 1, 0x65, 3]),
            [&[0x67, 1][..], &[0x68, 2], &[0x65, 3]]
        );
    }

    #[test]
    fn what_lies_around_nal_units_is_left_out() {
        assert_eq!(nals(&[]), [&[] as &[u8]; 0]);
        assert_eq!(nals(&[7, 8, 9]), [&[] as &[u8]; 0]);
        assert_eq!(nals(&[9, 9, 0, 0, 1, 0x65, 3, 0, 0, 0]), [&[0x65, 3]]);
        assert_eq!(nals(&[0, 0, 1, 0, 0, 1, 0x41, 0, 0, 2]), [&[0x41, 0, 0, 2]]);
        assert_eq!(nals(&[0, 0, 1]), [&[] as &[u8]; 0]);
    }

    #[test]
    fn an_idr_picture_is_parted_from_its_parameter_sets() {
        let stream = [
            &[0, 0, 0, 1, 9, 0xf0][..],
            &[0, 0, 0, 1, 0x67, 66, 0xc0, 31],
            &[0, 0, 0, 1, 0x68, 0xce],
            &[0, 0, 1, 6, 5, 1, 7],
            &[0, 0, 1, 0x65, 0x88, 0x84],
        ]
        .concat();
        let unit = access_unit_from_annexb(&stream).unwrap();
        assert_eq!(&unit.payload[..], [0, 0, 0, 4, 6, 5, 1, 7, 0, 0, 0, 3, 0x65, 0x88, 0x84]);
        assert!(unit.key);
        let sets = unit.parameter_sets.unwrap();
        assert_eq!((&sets.sps[..], &sets.pps[..]), (&[0x67, 66, 0xc0, 31][..], &[0x68, 0xce][..]));
    }

    #[test]
    fn a_stream_without_a_picture_is_refused() {
        let table: &[(&[u8], H264Error)] = &[
            (&[], H264Error::NoSlice),
            (&[0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 1], H264Error::NoSlice),
            (&[0, 0, 1, 0x65, 1, 0, 0, 1, 0x41, 1], H264Error::MixedSlices),
            (&[0, 0, 1, 0x42, 1], H264Error::IllegalNal(2)),
            (&[0, 0, 1, 0xe5, 1], H264Error::ForbiddenBit),
            (&[0, 0, 1, 0x65], H264Error::EmptySlice),
        ];
        for (stream, error) in table {
            assert_eq!(access_unit_from_annexb(stream), Err(*error), "{stream:02x?}");
        }
    }

    proptest! {
        #[test]
        fn any_stream_becomes_a_legal_payload_or_an_error(
            // Mostly small bytes, so that start codes are common.
            stream in prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0x65), Just(0x41), any::<u8>()], 0..200),
        ) {
            for nal in annexb_nals(&stream) {
                prop_assert!(!nal.is_empty() && nal.last() != Some(&0) && start_code(nal).is_none());
            }
            if let Ok(unit) = access_unit_from_annexb(&stream) {
                prop_assert_eq!(check_access_unit(&unit.payload, unit.key), Ok(()));
                prop_assert!(length_prefixed_nals(&unit.payload).all(|nal| nal.is_ok()));
            }
        }
    }
}
