//! The result of a plugin call as JSON, as in the `expected.json` of a case.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};
use towpath_plugin::Transformed;
use towpath_types::json::{Name, children};
use towpath_types::verdict::{HeaderValue, Payload, Request, Verdict};

/// The result of a call as the JSON of `expected.json`.
pub fn describe(transformed: &Transformed) -> Value {
    let verdict = match &transformed.verdict {
        Ok(Verdict::Deliver(requests)) => json!({ "deliver": requests.iter().map(request).collect::<Vec<_>>() }),
        Ok(Verdict::Skip(reason)) => json!({ "skip": reason }),
        Ok(Verdict::Reject(reason)) => json!({ "reject": reason }),
        Ok(Verdict::Retry { reason, after }) => {
            json!({ "retry": { "reason": reason, "after_ms": after.map(|after| after.as_millis() as u64) } })
        }
        Err(fault) => json!({ "fault": { "kind": fault.kind, "message": fault.message } }),
    };
    json!({ "verdict": verdict, "fuel": transformed.fuel })
}

fn request(request: &Request) -> Value {
    let header = |(name, value): &(String, HeaderValue)| match value {
        HeaderValue::Text(text) => json!([name, text]),
        // Plugins have none.
        HeaderValue::Bytes(bytes) => json!([name, String::from_utf8_lossy(bytes)]),
        HeaderValue::Secret(secret) => json!([name, { "secret": secret }]),
    };
    let (key, value) = match &request.body {
        Payload::Unchanged => ("body", json!("unchanged")),
        Payload::Empty => ("body", Value::Null),
        Payload::Bytes(bytes) => match (serde_json::from_slice::<Value>(bytes), std::str::from_utf8(bytes)) {
            (Ok(json), Ok(text)) if !json.is_string() && says_all(&json, text.as_bytes()) => ("body", json),
            (_, Ok(text)) => ("body_text", json!(text)),
            _ => ("body_base64", json!(BASE64.encode(bytes))),
        },
    };
    let mut described = Map::from_iter([
        ("target".to_owned(), json!(request.target)),
        ("method".to_owned(), json!(request.method)),
        ("path".to_owned(), json!(request.path)),
        ("headers".to_owned(), request.headers.iter().map(header).collect()),
        (key.to_owned(), value),
    ]);
    if let Some(idempotency_key) = &request.idempotency_key {
        described.insert("idempotency_key".to_owned(), json!(idempotency_key));
    }
    Value::Object(described)
}

/// Whether a value keeps everything in the text that it was read from: no number is rounded or reformatted, and no key occurs twice.
/// Otherwise two different bodies could look the same.
fn says_all(json: &Value, text: &[u8]) -> bool {
    let children: Vec<(Name<'_>, Range<usize>)> = children(text).map_while(Result::ok).collect();
    let says = |(name, span): &(Name<'_>, Range<usize>)| {
        let value = match name {
            Name::Member(name) => name.as_deref().and_then(|name| json.get(std::str::from_utf8(name).ok()?)),
            Name::Element(at) => json.get(at),
        };
        value.zip(text.get(span.clone())).is_some_and(|(value, text)| says_all(value, text))
    };
    match json {
        Value::Number(number) => number.to_string().as_bytes() == text.trim_ascii(),
        Value::Array(items) => children.len() == items.len() && children.iter().all(says),
        Value::Object(fields) => children.len() == fields.len() && children.iter().all(says),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_shown_as_json_only_if_nothing_is_lost() {
        let cases = [
            (r#"{"b": [1, -2.5, "x"], "a": {"n": null}}"#, true),
            ("18446744073709551615", true),
            ("100000000000000000001", false),
            (r#"{"a":[1.10]}"#, false),
            (r#"{"a":1,"a":1}"#, false),
            ("1E2", false),
        ];
        for (text, expected) in cases {
            let json: Value = serde_json::from_str(text).expect(text);
            assert_eq!(says_all(&json, text.as_bytes()), expected, "{text}");
        }
    }
}
