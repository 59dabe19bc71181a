//! Removes values from bodies before they are archived.

use std::ops::Range;
use std::sync::Arc;

use serde::de::IgnoredAny;
use towpath_types::archive::Archived;
use towpath_types::body::Body;
use towpath_types::envelope::Webhook;
use towpath_types::json::{self, Pointer};

const REDACTED: &[u8] = b"\"[redacted]\"";

/// Where a host of any language writes a byte order mark.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The event without the values of its body that these pointers name. Of a body that is no JSON nothing is kept: nobody knows what is in
/// it.
pub fn redacted(event: Archived, pointers: &[Pointer]) -> Archived {
    let (body, is_changed) = redact(event.body, pointers);
    Archived { body, redacted: event.redacted || is_changed, ..event }
}

/// The body without these values, and whether it is another one than before.
fn redact(body: Body, pointers: &[Pointer]) -> (Body, bool) {
    if pointers.is_empty() {
        return (body, false);
    }
    let Ok(webhook) = body.webhook() else { return (Body::from(""), true) };
    let Some(redacted) = without(&webhook.body, pointers) else {
        return (with(&body, &webhook, Vec::new()), true);
    };
    if redacted == webhook.body {
        return (body, false);
    }
    (with(&body, &webhook, redacted), true)
}

/// A body of the same kind with these bytes.
fn with(body: &Body, webhook: &Arc<Webhook>, bytes: Vec<u8>) -> Body {
    if !body.has_headers()
        && let Ok(text) = String::from_utf8(bytes.clone())
    {
        return Body::Text(text);
    }
    let mut webhook = Arc::clone(webhook);
    Arc::make_mut(&mut webhook).body = bytes;
    Body::Webhook(webhook)
}

/// The document without these values; `None` if it is no JSON.
fn without(document: &[u8], pointers: &[Pointer]) -> Option<Vec<u8>> {
    let plain = document.strip_prefix(BYTE_ORDER_MARK).unwrap_or(document);
    serde_json::from_slice::<IgnoredAny>(plain).ok()?;
    let mut spans = Vec::new();
    for pointer in pointers {
        spans.extend(find(document, pointer.tokens())?);
    }
    spans.sort_unstable_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
    let mut redacted = Vec::with_capacity(document.len());
    let mut at = 0;
    for span in spans {
        // Inside of a value that is removed already.
        if span.start < at {
            continue;
        }
        redacted.extend_from_slice(document.get(at..span.start)?);
        redacted.extend_from_slice(REDACTED);
        at = span.end;
    }
    redacted.extend_from_slice(document.get(at..)?);
    Some(redacted)
}

/// Every value with this path: a document may repeat a name, and each parser picks the one it likes.
fn find(document: &[u8], tokens: &[String]) -> Option<Vec<Range<usize>>> {
    let whole = 0..document.len();
    let mut found = vec![whole];
    for token in tokens {
        let mut below = Vec::new();
        for value in found {
            for child in json::children(document.get(value.clone())?) {
                let (name, span) = child.ok()?;
                below.extend(name.is(token).then_some(value.start + span.start..value.start + span.end));
            }
        }
        found = below;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use towpath_types::archive::Ending;
    use towpath_types::clock::Timestamp;
    use towpath_types::queue::Attributes;

    use super::*;

    fn pointers(texts: &[&str]) -> Vec<Pointer> {
        texts.iter().map(|text| text.parse().expect("a pointer")).collect()
    }

    #[test]
    fn every_value_that_a_pointer_names_is_replaced_and_nothing_else_changes() {
        let cases = [
            ("a member", r#"{"a":1.10, "b" : {"c":"x"}}"#, vec!["/a"], r#"{"a":"[redacted]", "b" : {"c":"x"}}"#),
            ("nested", r#"{"b":{"c":{"d":[1,2]},"e":2}}"#, vec!["/b/c"], r#"{"b":{"c":"[redacted]","e":2}}"#),
            ("an element", r#"[{"a":1},{"a":2}]"#, vec!["/1/a"], r#"[{"a":1},{"a":"[redacted]"}]"#),
            ("several", r#"{"a":1,"b":2,"c":3}"#, vec!["/c", "/a"], r#"{"a":"[redacted]","b":2,"c":"[redacted]"}"#),
            ("one in another", r#"{"a":{"b":1},"c":2}"#, vec!["/a/b", "/a"], r#"{"a":"[redacted]","c":2}"#),
            ("one twice", r#"{"a":1}"#, vec!["/a", "/a"], r#"{"a":"[redacted]"}"#),
            ("a repeated name", r#"{"a":1,"a":2}"#, vec!["/a"], r#"{"a":"[redacted]","a":"[redacted]"}"#),
            ("below a repeated name", r#"{"a":{"b":1},"a":3}"#, vec!["/a/b"], r#"{"a":{"b":"[redacted]"},"a":3}"#),
            ("an escaped name", r#"{"\u0061":1}"#, vec!["/a"], r#"{"\u0061":"[redacted]"}"#),
            ("all", r#"{"a":1}"#, vec![""], r#""[redacted]""#),
            ("after a byte order mark", "\u{feff}{\"a\":1}", vec!["/a"], "\u{feff}{\"a\":\"[redacted]\"}"),
        ];
        for (case, document, names, expected) in cases {
            let (body, redacted) = redact(Body::from(document), &pointers(&names));
            assert_eq!((body, redacted), (Body::from(expected), true), "{case}");
            let webhook = Webhook { body: document.into(), query: "q".to_owned(), ..Webhook::default() };
            let (body, redacted) = redact(webhook.clone().into(), &pointers(&names));
            assert_eq!((body, redacted), (Webhook { body: expected.into(), ..webhook }.into(), true), "{case}");
        }
    }

    #[test]
    fn a_body_may_be_nested_as_deep_as_it_likes() {
        let deep = |value: &str| format!("{{\"b\":{}{},\"a\":{value}}}", "[".repeat(300_000), "]".repeat(300_000));
        let expected = (Body::from(deep("\"[redacted]\"")), true);
        assert!(redact(Body::from(deep("1")), &pointers(&["/a", "/b/0/a"])) == expected);
    }

    #[test]
    fn a_body_without_the_values_is_kept_as_it_is() {
        for (document, names) in [(r#"{"b": 1.10}"#, &["/a", "/b/c"][..]), ("not json", &[])] {
            let body = Body::from(document);
            assert_eq!(redact(body.clone(), &pointers(names)), (body, false));
        }
    }

    #[test]
    fn of_a_body_that_cannot_be_searched_nothing_is_kept() {
        for document in ["", "email=a@example.com", r#"{"a":1"#, r#"{"a":1} x"#, r#"{"a":NaN}"#] {
            assert_eq!(redact(Body::from(document), &pointers(&["/a"])), (Body::from(""), true), "{document}");
        }
        let webhook = Webhook { body: b"\x1f\x8b\x08".to_vec(), ..Webhook::default() };
        assert_eq!(redact(webhook.into(), &pointers(&["/a"])), (Webhook::default().into(), true));
        let broken = Body::from_parts(Some("{}".to_owned()), b"{\"a\":1}".to_vec());
        assert_eq!(redact(broken, &pointers(&["/a"])), (Body::from(""), true), "its envelope cannot be read");
    }

    #[test]
    fn an_event_that_was_redacted_before_stays_so() {
        let event = |body: &str, redacted| Archived {
            id: "m-1".into(),
            webhook_id: "m-1".into(),
            group: "g".into(),
            dedup_id: None,
            sequence: None,
            route: "crm".to_owned(),
            plugin: None,
            digest: None,
            sent_at: Timestamp(1),
            ended_at: Timestamp(2),
            receive_count: 1,
            ending: Ending::Delivered,
            reason: None,
            attempts: Vec::new(),
            attributes: Attributes::new(),
            redacted,
            body: Body::from(body),
        };
        let cases = [
            (r#"{"a":1}"#, false, r#"{"a":"[redacted]"}"#, true),
            ("{}", false, "{}", false),
            ("{}", true, "{}", true),
        ];
        for (body, before, without, after) in cases {
            assert_eq!(redacted(event(body, before), &pointers(&["/a"])), event(without, after), "{body} {before}");
        }
    }

    #[test]
    fn a_webhook_that_travelled_as_text_is_redacted_inside_its_envelope() {
        let webhook = Webhook { body: br#"{"a":1}"#.to_vec(), ..Webhook::default() };
        let text = Body::Text(Body::from(webhook).into_text());
        let (body, redacted) = redact(text, &pointers(&["/a"]));
        assert!(redacted);
        assert_eq!(body.webhook().expect("a webhook").body, br#"{"a":"[redacted]"}"#);
    }
}
