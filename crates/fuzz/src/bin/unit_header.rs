//! Binary messages: whatever decodes must encode to the same bytes again.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use protocol::unit::{Unit, decode_message};

fuzz_target!(|message: &[u8]| {
    let decoded: Result<Vec<Unit>, _> = decode_message(Bytes::copy_from_slice(message)).collect();
    if let Ok(units) = decoded {
        let mut encoded = BytesMut::new();
        for unit in &units {
            unit.encode(&mut encoded);
        }
        assert_eq!(&encoded[..], message);
    }
});
