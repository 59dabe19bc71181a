//! Values of webhooks: whatever the body, reading one ends, and what it says of itself is true.
#![no_main]

use libfuzzer_sys::fuzz_target;
use towpath_config::value::{Source, Value};
use towpath_select::{Scope, Selected, elements, hide, items, key, unpacked};
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
    if let Source::Json(pointer) | Source::Raw(pointer) | Source::Item(pointer) = &value.source
        && let Ok(spans) = elements(&webhook.body, pointer, usize::MAX)
    {
        // What is split: elements in order, apart, each of which can be read alone.
        assert!(spans.is_sorted_by(|one, next| one.end < next.start));
        let own = items(&webhook.body, pointer).expect("the same array");
        assert_eq!(own.len(), spans.len());
        let first = elements(&webhook.body, pointer, 1).expect("the same array");
        assert_eq!(first.as_slice(), spans.get(..1).unwrap_or_default());
        if let (Some(first), Some(last)) = (spans.first(), spans.last()) {
            for span in &spans {
                let part = |span| webhook.body.get(span).expect("in the body");
                let alone = [part(0..first.start), part(span.clone()), part(last.end..webhook.body.len())].concat();
                assert_eq!(items(&alone, pointer).expect("an array"), [part(span.clone())]);
            }
        }
    }
    hide(&mut webhook, &value);
});
