//! What a WebRTC publisher's decoder would get, as units: numbered without holes, with their parameters. Pure.
//!
//! RTP loses packets. A picture that needs a lost one is left out, and so is every one behind it up to the next IDR picture: the
//! recording holds what can be decoded, and an event tells that something is missing.

use bytes::Bytes;
use media::h264::{
    AccessUnit, H264Error, NalType, ParameterSets, access_unit_from_annexb, annexb_nals, codec_parameters,
};
use media::opus::{PRE_SKIP_48K, packet_duration_48k};
use protocol::codec::CodecParameters;
use protocol::limits::MAX_UNIT_BYTES;
use protocol::unit::{Lane, Unit};

/// How long a picture lasts until the first two tell: 30 a second.
const FRAME_90K: u32 = 3_000;
/// How long a picture lasts at the most, for its header; what counts is when the next one comes.
const MAX_FRAME_90K: u64 = 90_000;

/// Why a publisher's media cannot be taken at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(super) enum IntakeError {
    #[error(
        "the pictures come in another order than they are shown in: switch B-frames off in the encoder (bf=0 in OBS)"
    )]
    BFrames,
}

/// What became of a picture or a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Taken {
    /// A unit; with parameters, those hold from it on.
    Unit(Unit, Option<CodecParameters>),
    /// It is of no use: broken, or it needs what is missing.
    Dropped,
    /// It held no picture.
    Nothing,
}

/// A track's numbers.
#[derive(Debug, Default)]
struct Numbers {
    next: u64,
    last_90k: Option<u64>,
}

impl Numbers {
    /// The next unit.
    fn unit(&mut self, key: bool, pts_90k: u64, duration_90k: u32, payload: Bytes) -> Unit {
        let number = self.next;
        self.next += 1;
        self.last_90k = Some(pts_90k);
        Unit {
            lane: Lane::Live,
            key,
            number,
            pts_90k,
            duration_90k,
            capture_us: pts_90k.saturating_mul(100) / 9,
            payload,
        }
    }
}

/// The picture's way in.
#[derive(Debug, Default)]
pub(super) struct VideoIntake {
    numbers: Numbers,
    parameters: Option<CodecParameters>,
    /// Parameter sets that came without a picture, for the next IDR picture: SPS and PPS.
    apart: [Option<Vec<u8>>; 2],
    has_key: bool,
    last_rtp_90k: Option<i64>,
}

impl VideoIntake {
    /// As many units were there before; the ones so far come behind them.
    pub(super) const fn skip(&mut self, units: u64) {
        self.numbers.next += units;
    }

    /// Units so far.
    pub(super) const fn units(&self) -> u64 {
        self.numbers.next
    }

    /// Whether only an IDR picture is of use now.
    pub(super) const fn needs_key(&self) -> bool {
        !self.has_key
    }

    /// Something before the next picture is missing.
    pub(super) const fn lose(&mut self) {
        self.has_key = false;
    }

    /// Takes one picture in Annex B. `pts_90k` is its place in the session by its RTP time.
    pub(super) fn take(
        &mut self,
        picture: &[u8],
        rtp_90k: i64,
        pts_90k: impl FnOnce() -> u64,
    ) -> Result<Taken, IntakeError> {
        let access_unit = match access_unit_from_annexb(picture) {
            Ok(access_unit) => access_unit,
            Err(H264Error::NoSlice) => {
                self.keep_sets(picture);
                return Ok(Taken::Nothing);
            }
            Err(_) => {
                self.lose();
                return Ok(Taken::Dropped);
            }
        };
        if !access_unit.key && !self.has_key {
            return Ok(Taken::Dropped);
        }
        // RTP carries the time of showing, in the order of decoding.
        if !access_unit.key && self.last_rtp_90k.is_some_and(|last| rtp_90k < last) {
            return Err(IntakeError::BFrames);
        }
        let changed = match self.changed_parameters(&access_unit) {
            Ok(changed) if access_unit.payload.len() <= MAX_UNIT_BYTES => changed,
            _ => {
                self.lose();
                return Ok(Taken::Dropped);
            }
        };
        let parameters = changed.clone().or_else(|| self.parameters.clone());
        if parameters.is_none() {
            return Ok(Taken::Dropped);
        }
        self.parameters = parameters;
        self.has_key = true;
        self.last_rtp_90k = Some(rtp_90k);
        let pts_90k = pts_90k();
        let since = self.numbers.last_90k.map(|last| pts_90k.saturating_sub(last).clamp(1, MAX_FRAME_90K));
        let duration_90k = since.map_or(FRAME_90K, |since| since as u32);
        let AccessUnit { key, payload, .. } = access_unit;
        Ok(Taken::Unit(self.numbers.unit(key, pts_90k, duration_90k, payload), changed))
    }

    /// The parameters that an IDR picture brings, if they are others than before.
    fn changed_parameters(&mut self, picture: &AccessUnit) -> Result<Option<CodecParameters>, H264Error> {
        if !picture.key {
            return Ok(None);
        }
        let apart = || match std::mem::take(&mut self.apart) {
            [Some(sps), Some(pps)] => Some(ParameterSets { sps, pps }),
            _ => None,
        };
        let Some(sets) = picture.parameter_sets.clone().or_else(apart) else { return Ok(None) };
        let parameters = codec_parameters(&sets, FRAME_90K)?;
        Ok((self.parameters.as_ref() != Some(&parameters)).then_some(parameters))
    }

    fn keep_sets(&mut self, stream: &[u8]) {
        for nal in annexb_nals(stream) {
            match NalType::of(nal) {
                Ok(NalType::Sps) => self.apart[0] = Some(nal.to_vec()),
                Ok(NalType::Pps) => self.apart[1] = Some(nal.to_vec()),
                _ => {}
            }
        }
    }
}

/// The sound's way in.
#[derive(Debug, Default)]
pub(super) struct AudioIntake {
    numbers: Numbers,
}

impl AudioIntake {
    /// As many units were there before; the ones so far come behind them.
    pub(super) const fn skip(&mut self, units: u64) {
        self.numbers.next += units;
    }

    /// Units so far.
    pub(super) const fn units(&self) -> u64 {
        self.numbers.next
    }

    /// Takes one Opus packet.
    pub(super) fn take(&mut self, packet: &[u8], pts_90k: u64) -> Taken {
        let Ok(duration_48k) = packet_duration_48k(packet) else { return Taken::Dropped };
        let parameters = (self.numbers.next == 0).then(|| CodecParameters::Opus {
            // The third bit of the first byte (RFC 6716 §3.1). A decoder of two channels takes packets of either kind.
            channels: if packet[0] & 0x04 == 0 { 1 } else { 2 },
            pre_skip_48k: PRE_SKIP_48K,
        });
        let payload = Bytes::copy_from_slice(packet);
        Taken::Unit(self.numbers.unit(true, pts_90k, duration_48k * 15 / 8, payload), parameters)
    }
}

#[cfg(test)]
mod tests {
    use media::h264::check_access_unit;
    use proptest::prelude::*;
    use testkit::units::{PPS, SPS};

    use super::*;

    fn annexb(nals: &[&[u8]]) -> Vec<u8> {
        nals.iter().flat_map(|nal| [&[0, 0, 0, 1], *nal].concat()).collect()
    }

    fn idr() -> Vec<u8> {
        annexb(&[&SPS, &PPS, &[0x65, 0x88, 0x84]])
    }

    fn delta() -> Vec<u8> {
        annexb(&[&[0x41, 0x9a, 0x02]])
    }

    /// Takes pictures 33 ms apart; yields the numbers of the units, and `-` for what was dropped.
    fn take(intake: &mut VideoIntake, picture: &[u8], number: u64) -> Taken {
        intake.take(picture, number as i64 * 3_000, || number * 3_000).unwrap()
    }

    fn number(taken: &Taken) -> Option<u64> {
        match taken {
            Taken::Unit(unit, _) => Some(unit.number),
            _ => None,
        }
    }

    #[test]
    fn units_begin_with_an_idr_picture_and_its_parameters_and_have_no_holes() {
        let mut intake = VideoIntake::default();
        assert_eq!(take(&mut intake, &delta(), 0), Taken::Dropped, "nothing to begin with");
        let Taken::Unit(first, Some(CodecParameters::H264 { width, height, .. })) =
            take(&mut intake, &idr(), 1)
        else {
            panic!("an IDR picture begins a track");
        };
        assert_eq!((width, height, first.number, first.key, first.pts_90k), (320, 180, 0, true, 3_000));
        let Taken::Unit(second, None) = take(&mut intake, &delta(), 2) else { panic!("a unit") };
        assert_eq!((second.number, second.key, second.duration_90k), (1, false, 3_000));
        assert!(matches!(take(&mut intake, &idr(), 3), Taken::Unit(_, None)), "the same parameters again");
        // Packets are lost.
        intake.lose();
        assert!(intake.needs_key());
        assert_eq!(take(&mut intake, &delta(), 5), Taken::Dropped);
        assert_eq!(number(&take(&mut intake, &idr(), 6)), Some(3));
        assert!(!intake.needs_key());
        assert_eq!(number(&take(&mut intake, &delta(), 7)), Some(4));
        assert_eq!(intake.units(), 5);
    }

    #[test]
    fn parameter_sets_may_come_apart_from_the_picture_and_may_change() {
        let mut intake = VideoIntake::default();
        assert_eq!(take(&mut intake, &annexb(&[&[0x65, 0x88]]), 0), Taken::Dropped, "no parameters yet");
        assert_eq!(take(&mut intake, &annexb(&[&SPS]), 0), Taken::Nothing);
        assert_eq!(take(&mut intake, &annexb(&[&PPS]), 0), Taken::Nothing);
        assert!(matches!(take(&mut intake, &annexb(&[&[0x65, 0x88]]), 1), Taken::Unit(_, Some(_))));
        let other_pps = [0x68, 0xce, 0x3c, 0x80];
        let changed = annexb(&[&SPS, &other_pps, &[0x65, 0x88]]);
        assert!(matches!(take(&mut intake, &changed, 2), Taken::Unit(_, Some(_))));
        assert!(matches!(take(&mut intake, &changed, 3), Taken::Unit(_, None)));
    }

    #[test]
    fn pictures_out_of_order_are_refused_with_what_to_do() {
        let mut intake = VideoIntake::default();
        take(&mut intake, &idr(), 0);
        take(&mut intake, &delta(), 3);
        let error = intake.take(&delta(), 3_000, || 3_000).unwrap_err();
        assert!(error.to_string().contains("bf=0"), "{error}");
    }

    #[test]
    fn a_source_that_begins_anew_is_no_b_frame() {
        let mut intake = VideoIntake::default();
        take(&mut intake, &idr(), 1_000);
        assert!(matches!(intake.take(&idr(), 5, || 3_003_000), Ok(Taken::Unit(..))));
    }

    #[test]
    fn sound_tells_its_channels_and_how_long_it_is() {
        let mut intake = AudioIntake::default();
        let stereo = [31 << 3 | 0x04, 1, 2, 3];
        let Taken::Unit(unit, Some(CodecParameters::Opus { channels: 2, .. })) = intake.take(&stereo, 77)
        else {
            panic!("a unit with parameters")
        };
        assert_eq!((unit.number, unit.key, unit.pts_90k, unit.duration_90k), (0, true, 77, 1_800));
        assert_eq!(intake.take(&[], 80), Taken::Dropped);
        assert!(matches!(intake.take(&stereo, 1_877), Taken::Unit(_, None)));
        assert_eq!(intake.units(), 2);
    }

    proptest! {
        #[test]
        fn whatever_comes_becomes_units_that_the_server_takes(
            pictures in prop::collection::vec((0_u8..6, any::<bool>(), prop::collection::vec(any::<u8>(), 0..60)), 1..60),
        ) {
            let mut intake = VideoIntake::default();
            let mut expected = 0;
            for (at, (kind, is_lost, noise)) in pictures.into_iter().enumerate() {
                if is_lost {
                    intake.lose();
                }
                let picture = match kind {
                    0 => idr(),
                    1 | 2 => delta(),
                    3 => noise,
                    4 => [idr(), noise].concat(),
                    _ => annexb(&[&SPS, &PPS]),
                };
                if let Taken::Unit(unit, _) = take(&mut intake, &picture, at as u64) {
                    prop_assert_eq!(unit.number, expected);
                    prop_assert_eq!(check_access_unit(&unit.payload, unit.key), Ok(()));
                    prop_assert!(unit.duration_90k > 0);
                    expected += 1;
                }
            }
        }
    }
}
