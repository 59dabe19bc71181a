//! What is stored comes out byte for byte, and nothing that is read breaks the reader.
#![no_main]

use libfuzzer_sys::fuzz_target;
use towpath_types::envelope::{decode, encode, is_envelope};

fuzz_target!(|text: &str| {
    let Ok(webhook) = decode(text) else {
        assert!(is_envelope(text), "a direct body is always readable");
        return;
    };
    if !is_envelope(text) {
        assert_eq!(webhook.body, text.as_bytes());
    }
    let again = encode(&webhook);
    assert!(is_envelope(&again));
    assert_eq!(decode(&again).expect("what was written can be read"), webhook);
});
