//! H.264 and Opus bytes: NAL walk, SPS, Annex B ⇄ length-prefixed, packet durations.
#![no_main]

use libfuzzer_sys::fuzz_target;
use media::h264::{self, Sps};

fuzz_target!(|bytes: &[u8]| {
    let _ = Sps::parse(bytes);
    let _ = media::opus::packet_duration_48k(bytes);
    let _ = h264::check_access_unit(bytes, true);
    let _ = h264::check_access_unit(bytes, false);
    let walked: usize = h264::annexb_nals(bytes).map(<[u8]>::len).sum();
    assert!(walked <= bytes.len());
    if let Ok(unit) = h264::access_unit_from_annexb(bytes) {
        // What our own publisher makes of an encoder's output is what our own server accepts.
        h264::check_access_unit(&unit.payload, unit.key).expect("the converted unit is well-formed");
        if let Some(sets) = unit.parameter_sets
            && let Ok(parameters) = h264::codec_parameters(&sets, 3_000)
        {
            media::params::check_parameters(&parameters).expect("parameters that we made are legal");
        }
    }
});
