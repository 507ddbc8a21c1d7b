//! Control messages of both directions: whatever parses must survive another round.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::control::{PublisherMessage, ServerMessage};

fuzz_target!(|text: &str| {
    if let Ok(message) = PublisherMessage::parse(text) {
        let json = message.to_json();
        let again = PublisherMessage::parse(&json).expect("what was written can be read");
        assert_eq!(again.to_json(), json);
    }
    if let Ok(message) = ServerMessage::parse(text) {
        let json = message.to_json();
        assert_eq!(ServerMessage::parse(&json).as_ref(), Ok(&message));
    }
});
