//! Values of webhooks: whatever the body, reading one ends, and what it says of itself is true.
#![no_main]

use libfuzzer_sys::fuzz_target;
use towpath_config::value::Value;
use towpath_select::{Selected, key};
use towpath_types::envelope::Webhook;

fuzz_target!(|input: (String, String, Vec<u8>)| {
    let (text, content_type, body) = input;
    let Ok(value) = text.parse::<Value>() else { return };
    assert_eq!(value.to_string().parse::<Value>().as_ref(), Ok(&value), "{text:?}");
    let headers = vec![("content-type".to_owned(), content_type.into_bytes())];
    let webhook = Webhook { headers, body, ..Webhook::default() };
    match key(&webhook, &value) {
        Selected::Sound(bytes) | Selected::Doubtful(bytes, _) => assert!(!bytes.is_empty()),
        Selected::None(why) => assert!(!why.code().is_empty()),
    }
});
