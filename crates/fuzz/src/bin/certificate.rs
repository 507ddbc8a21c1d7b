//! Certificates, as `longtake verify` reads them from anyone.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::certificate::Certificate;

fuzz_target!(|text: &str| {
    if let Ok(read) = Certificate::read(text) {
        for (statement, (device, digests)) in read.statement.tracks.iter().zip(&read.tracks) {
            assert_eq!(statement.units, device.units);
            assert_eq!(statement.durable_units, digests.numbers().count());
        }
    }
});
