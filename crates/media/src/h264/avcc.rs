//! NAL units behind 4-byte lengths, and the `avcC` record that goes with them.

use mp4_atom::{Atom as _, Avcc, AvccExt};
use protocol::codec::{Base64, CodecParameters};

use super::nal::Slices;
use super::{H264Error, NalType, ParameterSets, Sps};
use crate::params::MAX_AVCC_BYTES;

const LENGTH_BYTES: usize = 4;
const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// The NAL units of a unit's payload.
///
/// The iterator ends after the last NAL unit or after the first error. An item may be empty.
pub fn length_prefixed_nals(payload: &[u8]) -> impl Iterator<Item = Result<&[u8], H264Error>> {
    let mut rest = payload;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let nal = split_nal(&mut rest);
        if nal.is_err() {
            rest = &[];
        }
        Some(nal)
    })
}

fn split_nal<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], H264Error> {
    let Some((length, after)) = rest.split_first_chunk::<LENGTH_BYTES>() else {
        return Err(H264Error::Truncated { missing_bytes: LENGTH_BYTES - rest.len() });
    };
    let length = u32::from_be_bytes(*length) as usize;
    let Some((nal, after)) = after.split_at_checked(length) else {
        return Err(H264Error::Truncated { missing_bytes: length - after.len() });
    };
    *rest = after;
    Ok(nal)
}

/// Checks a unit that a peer sent: the lengths add up, every NAL unit is a slice, SEI or filler,
/// there is a slice, and the key flag says whether the picture is an IDR picture.
///
/// Reads five bytes of each NAL unit, however long it is.
///
/// # Errors
/// [`H264Error`] with the first thing that is wrong.
pub fn check_access_unit(payload: &[u8], key: bool) -> Result<(), H264Error> {
    let mut slices = Slices::default();
    for nal in length_prefixed_nals(payload) {
        let nal = nal?;
        let kind = NalType::of(nal)?;
        match kind {
            NalType::Slice | NalType::IdrSlice | NalType::Sei | NalType::Other(12) => {
                slices.saw(kind, nal)?
            }
            illegal => return Err(H264Error::IllegalNal(illegal.number())),
        }
    }
    if slices.key()? == key { Ok(()) } else { Err(H264Error::KeyMismatch { flag: key }) }
}

/// Describes a stream for `hello`, from what the encoder put before its first picture.
///
/// `frame_duration_90k` is the nominal time between two frames.
///
/// # Errors
/// [`H264Error`] when the SPS cannot be parsed or a set does not fit in an `avcC`.
pub fn codec_parameters(sets: &ParameterSets, frame_duration_90k: u32) -> Result<CodecParameters, H264Error> {
    let sps = Sps::parse(&sets.sps)?;
    let mut avcc =
        Avcc::new(&sets.sps, &sets.pps).map_err(|_| H264Error::BrokenAvcc("the SPS is too short"))?;
    // Every profile but Baseline, Main and Extended has the extension.
    if !matches!(sps.profile_idc, 66 | 77 | 88) {
        avcc.ext = Some(AvccExt {
            chroma_format: sps.chroma_format_idc,
            bit_depth_luma: sps.luma_bits,
            bit_depth_chroma: sps.chroma_bits,
            sequence_parameter_sets_ext: Vec::new(),
        });
    }
    let mut bytes = Vec::new();
    avcc.encode_body(&mut bytes).map_err(|_| H264Error::BrokenAvcc("it cannot be written"))?;
    if bytes.len() > MAX_AVCC_BYTES {
        return Err(H264Error::BrokenAvcc("the parameter sets are too large"));
    }
    // What a server would refuse is refused here, where the encoder is at hand.
    Configuration::parse(&bytes)?;
    Ok(CodecParameters::H264 {
        width: sps.width,
        height: sps.height,
        frame_duration_90k,
        avcc: Base64(bytes),
    })
}

/// A parsed `AVCDecoderConfigurationRecord` of the form that this project uses: 4-byte lengths,
/// one SPS, at least one PPS, reserved bits as prescribed, nothing behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// What the one SPS says.
    pub sps: Sps,
    record: Avcc,
}

impl Configuration {
    /// Parses the record.
    ///
    /// # Errors
    /// [`H264Error::BrokenAvcc`] when it has another form, or what [`Sps::parse`] finds.
    pub fn parse(avcc: &[u8]) -> Result<Self, H264Error> {
        let mut rest = avcc;
        let record = Avcc::decode_body(&mut rest)
            .map_err(|_| H264Error::BrokenAvcc("it ends early or has another version"))?;
        if record.length_size != 4 {
            return Err(H264Error::BrokenAvcc("NAL units must have 4-byte lengths"));
        }
        let [sps_nal] = &record.sequence_parameter_sets[..] else {
            return Err(H264Error::BrokenAvcc("it must hold exactly one sequence parameter set"));
        };
        let sps = Sps::parse(sps_nal)?;
        let coded =
            [record.avc_profile_indication, record.profile_compatibility, record.avc_level_indication];
        if coded != [sps.profile_idc, sps.constraint_flags, sps.level_idc] {
            return Err(H264Error::BrokenAvcc("its profile differs from the sequence parameter set's"));
        }
        let pps = &record.picture_parameter_sets;
        if pps.is_empty() || !pps.iter().all(|nal| is_pps(nal)) {
            return Err(H264Error::BrokenAvcc("it must hold picture parameter sets"));
        }
        let mut written = Vec::with_capacity(avcc.len());
        if record.encode_body(&mut written).is_err() || written != avcc {
            return Err(H264Error::BrokenAvcc("reserved bits are wrong or bytes follow it"));
        }
        Ok(Self { sps, record })
    }

    /// The record for an MP4 sample entry.
    pub(crate) fn into_record(self) -> Avcc {
        self.record
    }

    /// The SPS and every PPS, as NAL units.
    pub fn parameter_sets(&self) -> impl Iterator<Item = &[u8]> {
        let sets = self.record.sequence_parameter_sets.iter().chain(&self.record.picture_parameter_sets);
        sets.map(Vec::as_slice)
    }
}

/// Whether this is a picture parameter set with something in it.
fn is_pps(nal: &[u8]) -> bool {
    nal.len() >= 2 && NalType::of(nal) == Ok(NalType::Pps)
}

/// A unit's payload as an Annex B access unit; a key unit gets the parameter sets in front.
///
/// # Errors
/// [`H264Error`] when the payload's lengths do not add up, or, for a key unit, the `avcC` is broken.
pub fn to_annexb(payload: &[u8], avcc: &[u8], key: bool) -> Result<Vec<u8>, H264Error> {
    let mut stream = Vec::with_capacity(payload.len() + if key { avcc.len() + 16 } else { 0 });
    if key {
        for set in Configuration::parse(avcc)?.parameter_sets() {
            stream.extend_from_slice(&START_CODE);
            stream.extend_from_slice(set);
        }
    }
    for nal in length_prefixed_nals(payload) {
        stream.extend_from_slice(&START_CODE);
        stream.extend_from_slice(nal?);
    }
    Ok(stream)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::{access_unit_from_annexb, annexb_nals};
    use super::*;

    /// 640×360 Constrained Baseline.
    const SPS: [u8; 9] = [0x67, 0x42, 0xc0, 0x1f, 0xda, 0x02, 0x80, 0xbf, 0xe5];
    const PPS: [u8; 4] = [0x68, 0xce, 0x3c, 0x80];

    fn sets() -> ParameterSets {
        ParameterSets { sps: SPS.to_vec(), pps: PPS.to_vec() }
    }

    fn avcc() -> Vec<u8> {
        match codec_parameters(&sets(), 3000).unwrap() {
            CodecParameters::H264 { avcc, .. } => avcc.0,
            CodecParameters::Opus { .. } => unreachable!(),
        }
    }

    #[test]
    fn units_of_a_peer_are_checked() {
        let idr: &[u8] = &[0, 0, 0, 2, 0x65, 0x88];
        let slice: &[u8] = &[0, 0, 0, 3, 0x41, 0x9a, 1];
        let sei: &[u8] = &[0, 0, 0, 2, 6, 5];
        type Case<'a> = (&'a [&'a [u8]], bool, Result<(), H264Error>);
        let table: &[Case<'_>] = &[
            (&[idr], true, Ok(())),
            (&[sei, idr, idr], true, Ok(())),
            (&[slice], false, Ok(())),
            (&[slice, &[0, 0, 0, 2, 12, 0xff]], false, Ok(())),
            (&[idr], false, Err(H264Error::KeyMismatch { flag: false })),
            (&[slice], true, Err(H264Error::KeyMismatch { flag: true })),
            (&[idr, slice], true, Err(H264Error::MixedSlices)),
            (&[], false, Err(H264Error::NoSlice)),
            (&[sei], false, Err(H264Error::NoSlice)),
            (&[slice, &[0, 0, 0, 2, 0x67, 1]], false, Err(H264Error::IllegalNal(7))),
            (&[&[0, 0, 0, 2, 0x68, 1], idr], true, Err(H264Error::IllegalNal(8))),
            (&[&[0, 0, 0, 2, 9, 0xf0], idr], true, Err(H264Error::IllegalNal(9))),
            (&[&[0, 0, 0, 2, 0x43, 1]], false, Err(H264Error::IllegalNal(3))),
            (&[&[0, 0, 0, 2, 0x58, 1]], false, Err(H264Error::IllegalNal(24))),
            (&[&[0, 0, 0, 0], slice], false, Err(H264Error::EmptyNal)),
            (&[&[0, 0, 0, 1, 0x65]], true, Err(H264Error::EmptySlice)),
            (&[&[0, 0, 0, 2, 0xe5, 1]], true, Err(H264Error::ForbiddenBit)),
            (&[slice, &[0, 0, 0]], false, Err(H264Error::Truncated { missing_bytes: 1 })),
            (&[&[0, 0, 0, 9, 0x41]], false, Err(H264Error::Truncated { missing_bytes: 8 })),
            (
                &[&[0xff, 0xff, 0xff, 0xff, 0x41]],
                false,
                Err(H264Error::Truncated { missing_bytes: 0xffff_fffe }),
            ),
            (&[&[0, 0, 1, 0x65, 0x88, 0x84]], true, Err(H264Error::Truncated { missing_bytes: 0x163 })),
        ];
        for (nals, key, expected) in table {
            assert_eq!(check_access_unit(&nals.concat(), *key), *expected, "{nals:02x?} key {key}");
        }
    }

    #[test]
    fn the_description_of_a_stream_holds_its_parameter_sets() {
        let parameters = codec_parameters(&sets(), 3000).unwrap();
        let CodecParameters::H264 { width, height, frame_duration_90k, ref avcc } = parameters else {
            unreachable!()
        };
        assert_eq!((width, height, frame_duration_90k), (640, 360, 3000));
        assert_eq!(&avcc.0[..8], [1, 0x42, 0xc0, 0x1f, 0xff, 0xe1, 0, 9]);
        let parsed = Configuration::parse(&avcc.0).unwrap();
        assert_eq!(parsed.parameter_sets().collect::<Vec<_>>(), [&SPS[..], &PPS]);
        assert_eq!(parameters.rfc6381(), "avc1.42c01f");
    }

    #[test]
    fn an_avcc_of_another_form_is_refused() {
        let good = avcc();
        let with = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            Configuration::parse(&bytes).is_err()
        };
        assert!(with(0, 2), "version");
        assert!(with(1, 77) && with(3, 30), "profile and level differ from the SPS");
        assert!(with(4, 0xfd), "2-byte lengths");
        assert!(with(4, 0x03), "reserved bits");
        assert!(with(5, 0xe0) && with(5, 0xe2), "none or two SPS");
        assert!(with(8, 0x68), "not an SPS");
        assert!(with(17, 0), "no PPS");
        for length in 0..good.len() {
            assert!(Configuration::parse(&good[..length]).is_err(), "{length} bytes");
        }
        assert!(Configuration::parse(&[&good[..], &[0]].concat()).is_err(), "trailing byte");
    }

    #[test]
    fn key_units_carry_their_parameter_sets_in_annexb() {
        let idr = [0, 0, 0, 2, 0x65, 0x88];
        let stream = to_annexb(&idr, &avcc(), true).unwrap();
        assert_eq!(annexb_nals(&stream).collect::<Vec<_>>(), [&SPS[..], &PPS, &[0x65, 0x88]]);
        assert_eq!(to_annexb(&idr, &[], false).unwrap(), [0, 0, 0, 1, 0x65, 0x88]);
        assert!(to_annexb(&idr, &[], true).is_err());
        assert!(to_annexb(&idr[..5], &avcc(), false).is_err());
    }

    #[test]
    fn a_picture_parameter_set_without_content_makes_no_codec_parameters() {
        for pps in [&[0x68][..], &[], &[0x67, 0xce]] {
            let sets = ParameterSets { pps: pps.to_vec(), ..sets() };
            assert!(codec_parameters(&sets, 3000).is_err(), "{pps:?}");
        }
    }

    #[test]
    fn parameter_sets_that_a_server_would_refuse_make_no_codec_parameters() {
        // An emulation prevention byte among the profile and level bytes: the avcC would differ from the SPS.
        let escaped = vec![0x07, 0x00, 0x00, 0x03, 0x2c, 0x59, 0xff, 0x27, 0x1a, 0, 0x1a, 0x1a, 0x1a, 0x1a];
        assert!(codec_parameters(&ParameterSets { sps: escaped, ..sets() }, 3000).is_err());
        let large = [&PPS[..], &[0xff; MAX_AVCC_BYTES]].concat();
        assert!(codec_parameters(&ParameterSets { pps: large, ..sets() }, 3000).is_err());
    }

    proptest! {
        #[test]
        fn payloads_survive_annexb(
            slices in prop::collection::vec(prop::collection::vec(1..=255u8, 1..50), 1..5), key: bool,
        ) {
            let mut payload = Vec::new();
            for slice in &slices {
                payload.extend_from_slice(&(slice.len() as u32 + 1).to_be_bytes());
                payload.push(if key { 0x65 } else { 0x41 });
                payload.extend_from_slice(slice);
            }
            let unit = access_unit_from_annexb(&to_annexb(&payload, &avcc(), key).unwrap()).unwrap();
            prop_assert_eq!(&unit.payload[..], &payload[..]);
            prop_assert_eq!(unit.key, key);
            prop_assert_eq!(unit.parameter_sets.is_some(), key);
        }

        #[test]
        fn any_payload_is_checked_without_panic(
            payload in prop::collection::vec(prop_oneof![Just(0u8), 1..8u8, any::<u8>()], 0..100), key: bool,
        ) {
            let checked = check_access_unit(&payload, key);
            let nals: Result<Vec<&[u8]>, H264Error> = length_prefixed_nals(&payload).collect();
            prop_assert!(checked.is_err() || nals.is_ok());
            _ = to_annexb(&payload, &payload, key);
        }

        #[test]
        fn any_avcc_parses_or_fails_without_panic(
            at in 0..30usize, bytes in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut avcc = avcc();
            avcc.truncate(at);
            avcc.extend(bytes);
            _ = Configuration::parse(&avcc);
        }
    }
}
