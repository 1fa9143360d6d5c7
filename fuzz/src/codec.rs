//! No bytes on the disk make the reader panic, and what it reads it writes again the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use taskhub_core::{InstanceId, codec};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(events) = codec::decode_events(bytes) {
        let again = codec::decode_events(&codec::encode_events(&events));
        assert_eq!(again.expect("it was just written"), events);
    }
    if let Ok(message) = codec::decode_message(bytes) {
        let again = codec::decode_message(&codec::encode_message(&message));
        assert_eq!(again.expect("it was just written"), message);
    }
    let _ = (codec::decode_outcome(bytes), codec::decode_tags(bytes), codec::decode_parent(bytes));
    let _ = std::str::from_utf8(bytes).map(InstanceId::parse);
});
