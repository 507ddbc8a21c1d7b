//! The heads of recordings, as `longtake verify` reads them from anyone.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(contents) = media::mp4::read_recording(bytes) {
        // Each unit has an entry of four bytes in a table of sizes.
        assert!(contents.units.len() <= bytes.len() / 4);
        for unit in &contents.units {
            assert!(unit.offset + u64::from(unit.bytes) <= contents.total_bytes);
        }
    }
});
