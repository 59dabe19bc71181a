//! Golden cases: a recorded event, and what the plugin must make of it.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};
use towpath_files::regular::{self, MAX_EVENT};
use towpath_plugin::{Plugin, Transformed};
use towpath_types::json::{Name, children};
use towpath_types::outcome::Fault;
use towpath_types::verdict::{HeaderValue, Payload, Request, Verdict};

use crate::event::{self, Event};

/// The file with the expectation, beside `message.json`.
const EXPECTED: &str = "expected.json";

/// By which part of it fuel may differ from the expectation: another build of the standard library uses
/// other amounts, a mistake that matters uses many times as much.
const FUEL_TOLERANCE: f64 = 0.2;

/// One case.
pub(crate) struct Case {
    pub(crate) name: String,
    folder: PathBuf,
}

/// Whether a run writes expectations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Update {
    No,
    /// What a plugin says. How it fails is no expectation: it would make a bug pass for ever.
    Verdicts,
    /// Failures too.
    Faults,
}

/// How a case ended.
pub(crate) enum Ended {
    Passed,
    Updated,
    /// Expected and found, as text to compare.
    Differs {
        expected: String,
        found: String,
    },
}

/// What a run of a case gave.
pub(crate) struct Ran {
    pub(crate) ended: Ended,
    /// How the plugin failed, if it did, with what it printed and where it was.
    pub(crate) fault: Option<Fault>,
    pub(crate) fuel: u64,
    pub(crate) time: Duration,
}

/// The cases of a plugin, by name.
pub(crate) fn cases(plugin: &Path) -> anyhow::Result<Vec<Case>> {
    let root = plugin.join("cases");
    if !root.is_dir() {
        return Ok(Vec::new());
    }
    let files = event::find(std::slice::from_ref(&root))?;
    let case = |file: PathBuf| {
        let folder = file.parent().unwrap_or(&root).to_owned();
        let name = folder.strip_prefix(&root).unwrap_or(&folder).display().to_string();
        Case { name, folder }
    };
    Ok(files.into_iter().map(case).collect())
}

impl Case {
    /// Runs the plugin on the case's event and compares, or writes the expectation anew.
    pub(crate) fn run(&self, plugin: &Plugin, update: Update) -> anyhow::Result<Ran> {
        let file = self.folder.join(event::FILE);
        let message = Event::read(&file)?.message(&file)?;
        let started = Instant::now();
        let transformed = plugin.transform(&message, plugin.limits());
        let (fuel, time) = (transformed.fuel, started.elapsed());
        let fault = transformed.verdict.as_ref().err().cloned();
        let ran = |ended| Ran { ended, fault, fuel, time };
        let found = describe(&transformed);
        let file = self.folder.join(EXPECTED);
        let expected = match regular::read_text(&file, MAX_EVENT) {
            Ok(text) => serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?,
            Err(_) => Value::Null,
        };
        let same_fuel = expected
            .get("fuel")
            .and_then(Value::as_f64)
            .is_some_and(|expected| (fuel as f64 - expected).abs() <= expected * FUEL_TOLERANCE);
        if same_fuel && expected.get("verdict") == found.get("verdict") {
            return Ok(ran(Ended::Passed));
        }
        let writes = match update {
            Update::No => false,
            Update::Verdicts => transformed.verdict.is_ok(),
            Update::Faults => true,
        };
        if writes {
            std::fs::write(&file, pretty(&found) + "\n").with_context(|| format!("writing {}", file.display()))?;
            return Ok(ran(Ended::Updated));
        }
        let mut expected = expected;
        if let (true, Some(entry)) = (same_fuel, expected.get_mut("fuel")) {
            // Fuel within its tolerance is no difference to show.
            *entry = json!(fuel);
        }
        let expected = if expected.is_null() { String::new() } else { pretty(&expected) };
        Ok(ran(Ended::Differs { expected, found: pretty(&found) }))
    }
}

pub(crate) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// A call's result as the JSON of `expected.json`.
pub(crate) fn describe(transformed: &Transformed) -> Value {
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

/// Whether a value that was read from this text has everything in it: no number was rounded or written otherwise, and no key
/// stood there twice. Else two bodies that differ would pass for one.
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
    fn a_body_is_shown_as_json_only_if_that_tells_all_of_it() {
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
