//! Pairing links: whatever parses must survive another round.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::Secret;
use protocol::pairing::PairingLink;

fuzz_target!(|text: &str| {
    if let Ok(link) = text.parse::<PairingLink>() {
        let again: PairingLink = link.to_string().parse().expect("what was written can be read");
        assert_eq!(again.server, link.server);
        assert_eq!(again.token.as_ref().map(Secret::expose), link.token.as_ref().map(Secret::expose));
        assert_eq!(again.room, link.room);
    }
});
