//! Stored fragments, as recovery and `check` read them from a disk that may hold anything.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(index) = media::mp4::read_fragment(bytes) {
        let total: u64 = index.samples.iter().map(|sample| u64::from(sample.bytes)).sum();
        assert_eq!(total, u64::from(index.payload_bytes));
    }
});
