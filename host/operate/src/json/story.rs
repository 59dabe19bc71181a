//! Lines of a story, and the whole story of one message.

use serde::Serialize;
use serde_json::{Map, Value, json};
use towpath_types::queue::MessageId;

use super::Rfc3339;
use super::letter::Death;
use crate::story::Entry;
use crate::trace::{self, MessagePlace};

/// Fields that hosts log with a unit in short.
const SECONDS: [(&str, &str); 3] =
    [("retry_after_s", "retry_after_seconds"), ("age_s", "age_seconds"), ("probe_in_s", "probe_in_seconds")];

/// A line of a story: the fields that the host logged, with its level and time.
pub fn line(entry: &Entry) -> Value {
    let mut fields = entry.all_fields();
    let attempts = fields.get("attempts").and_then(Value::as_str).and_then(|text| serde_json::from_str(text).ok());
    if let Some(Value::Array(attempts)) = attempts {
        fields.insert("attempts".to_owned(), attempts.into_iter().map(attempt).collect());
    }
    for (logged, shown) in SECONDS {
        rename(&mut fields, logged, shown);
    }
    if !entry.at.is_empty() {
        // A time of another form is better than none.
        let at = Rfc3339::read(&entry.at).map_or_else(|| entry.at.clone(), |at| at.0.to_string());
        fields.insert("logged_at".to_owned(), at.into());
    }
    fields.insert("level".to_owned(), entry.level().into());
    Value::Object(fields)
}

/// An attempt as letters have it: without what is absent, and with its unit.
fn attempt(mut attempt: Value) -> Value {
    if let Some(attempt) = attempt.as_object_mut() {
        attempt.retain(|_, value| !value.is_null());
        rename(attempt, "ms", "duration_ms");
    }
    attempt
}

fn rename(fields: &mut Map<String, Value>, from: &str, to: &str) {
    if let Some(value) = fields.remove(from) {
        fields.insert(to.to_owned(), value);
    }
}

/// The whole story of one message.
#[derive(Debug, Serialize)]
pub struct Traced<'a> {
    message_id: &'a str,
    story: Vec<Value>,
    now: Value,
}

/// A message in its queue.
#[derive(Debug, Serialize)]
struct Waits<'a> {
    state: &'static str,
    receive_count: u32,
    group: &'a str,
    sent_at: Rfc3339,
}

/// A message in the dead-letter queue.
#[derive(Debug, Serialize)]
struct Dead<'a> {
    state: &'static str,
    letter_id: &'a MessageId,
    group: &'a str,
    letter: Death<'a>,
}

impl Traced<'_> {
    /// The shape of a story.
    pub fn of(traced: &trace::Traced) -> Traced<'_> {
        Traced {
            message_id: &traced.id,
            story: traced.entries.iter().map(line).collect(),
            now: now(&traced.place, traced.last_pass()),
        }
    }
}

fn now(place: &MessagePlace, last: Option<&Entry>) -> Value {
    match place {
        MessagePlace::Waits { receives, group, sent_at } => {
            json!(Waits { state: "waits", receive_count: *receives, group, sent_at: Rfc3339(*sent_at) })
        }
        MessagePlace::Dead { death, letter, group } => {
            json!(Dead { state: "dead", letter_id: letter, group, letter: Death::of(death) })
        }
        MessagePlace::Gone | MessagePlace::Unknown => match last.map(|entry| (entry.field("decision"), entry.what())) {
            Some(("ack", outcome)) => json!({ "state": outcome }),
            Some(("dead-letter", reason)) => json!({ "state": "dead-lettered", "reason": reason }),
            _ => json!({ "state": "unknown" }),
        },
    }
}
