//! Units as payloads of RTP: H.264 in packetization mode 1 (RFC 6184), Opus as it is (RFC 7587). Pure.

use std::sync::Arc;

use media::h264::to_annexb;
use protocol::codec::CodecParameters;
use str0m::unversioned::{H264Packetizer, Packetizer as _};

use crate::fanout::{LiveUnit, Payloads};

/// Bytes of a payload at the most. With 12 of header, 28 of extensions, 2 of a repetition and 16 of the tag a packet has the 1,200
/// that browsers keep to.
const MAX_PAYLOAD_BYTES: usize = 1_142;

/// A unit's payloads. None for one that the ingest should not have let pass.
pub(super) fn payloads(live: &LiveUnit) -> Payloads {
    match &*live.parameters {
        CodecParameters::H264 { avcc, .. } => {
            let Ok(stream) = to_annexb(&live.unit.payload, &avcc.0, live.unit.key) else {
                return Payloads::default();
            };
            let payloads = H264Packetizer::default().packetize(MAX_PAYLOAD_BYTES, &stream);
            payloads.unwrap_or_default().into_iter().map(Arc::from).collect()
        }
        CodecParameters::Opus { .. } => Box::new([Arc::from(&live.unit.payload[..])]),
    }
}

#[cfg(test)]
mod tests {
    use media::h264::check_access_unit;
    use protocol::Track;
    use testkit::units::{PPS, SPS, UnitSource, parameters};

    use super::*;

    fn live(track: Track) -> impl Iterator<Item = LiveUnit> {
        let parameters = Arc::new(parameters(track));
        let units = UnitSource::new(track, 1).with_larger_pictures(5);
        units.map(move |unit| LiveUnit { unit, parameters: Arc::clone(&parameters) })
    }

    #[test]
    fn a_picture_is_cut_to_packets_and_an_idr_picture_brings_its_parameter_sets() {
        for live in live(Track::Video).take(90) {
            let payloads = payloads(&live);
            assert!(payloads.iter().all(|payload| payload.len() <= MAX_PAYLOAD_BYTES));
            // STAP-A (RFC 6184 §5.7.1) of SPS and PPS.
            let sets = [&[0x78, 0, SPS.len() as u8][..], &SPS, &[0, PPS.len() as u8], &PPS].concat();
            assert_eq!(*payloads[0] == *sets, live.unit.key, "{}", live.unit.number);
        }
    }

    #[test]
    fn a_packet_of_sound_is_a_payload_and_what_is_no_picture_is_none() {
        let sound = live(Track::Audio).next().unwrap();
        assert_eq!(*payloads(&sound)[0], sound.unit.payload[..]);
        let mut broken = live(Track::Video).next().unwrap();
        broken.unit.payload = broken.unit.payload.slice(..20);
        assert!(check_access_unit(&broken.unit.payload, true).is_err());
        assert!(payloads(&broken).is_empty());
    }
}
