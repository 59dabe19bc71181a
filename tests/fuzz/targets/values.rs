//! Values of webhooks: whatever the body, reading one ends, and what it says of itself is true.
#![no_main]

use libfuzzer_sys::fuzz_target;
use towpath_config::value::Value;
use towpath_select::{Scope, Selected, hide, key, unpacked};
use towpath_types::envelope::Webhook;

fuzz_target!(|input: (String, String, Vec<u8>, String, String)| {
    let (text, content_type, body, query, encoding) = input;
    let Ok(value) = text.parse::<Value>() else { return };
    assert_eq!(value.to_string().parse::<Value>().as_ref(), Ok(&value), "{text:?}");
    let headers = vec![
        ("content-type".to_owned(), content_type.into_bytes()),
        ("content-encoding".to_owned(), encoding.into_bytes()),
    ];
    let path = vec![("tenant".to_owned(), query.clone())];
    let mut webhook = Webhook { headers, body, query, path, ..Webhook::default() };
    let _ = unpacked(&webhook);
    let scope = Scope { secret: Some(b"key"), url: Some("https://a.example"), ..Scope::of(&webhook) };
    match key(&scope, &value) {
        Selected::Sound(bytes) | Selected::Doubtful(bytes, _) => assert!(!bytes.is_empty()),
        Selected::None(why) => assert!(!why.code().is_empty()),
    }
    hide(&mut webhook, &value);
});
