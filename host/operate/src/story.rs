//! The story of messages, as hosts log it: a line for each stored webhook, handshake and pass, and other log lines about a message. It is read
//! from `story.jsonl`, from a log in JSON, or from CloudWatch.

mod about;
mod filter;
mod follow;
mod last;
mod passes;
mod source;

use serde_json::{Map, Value};
use towpath_metrics::STORY;

pub(crate) use about::each_with;
pub use about::{About, MOST_LINES, about};
pub use filter::Filter;
pub use follow::FollowedFile;
pub use last::{MOST_READ, last_passes};
pub use passes::{Passes, passes};
pub use source::{LogGroups, Source, StoryError, StoryPlace};

/// Events that repeat what the line of a pass says, for those who read the whole log.
const REPEATS: [&str; 3] = ["message-retried", "message-skipped", "message-delivered"];

/// The messages of the same events in logs from before they carried `event`.
const OLD_REPEATS: [&str; 3] = ["message will be tried again", "message skipped", "message delivered"];

/// What a line tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Stored,
    Handshake,
    Pass,
    Other,
}

/// One line.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// The time in the log's own form; empty if the log has none.
    pub at: String,
    level: String,
    target: String,
    fields: Map<String, Value>,
    span: Map<String, Value>,
}

impl Entry {
    /// Reads a line; `None` if no host wrote it.
    pub fn read(line: &str) -> Option<Entry> {
        let Value::Object(mut line) = serde_json::from_str(line).ok()? else { return None };
        let mut object = |name: &str| match line.remove(name) {
            Some(Value::Object(object)) => Some(object),
            _ => None,
        };
        let fields = object("fields")?;
        let span = object("span").unwrap_or_default();
        let of = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        if REPEATS.contains(&of("event")) || OLD_REPEATS.contains(&of("message")) {
            return None;
        }
        let mut text = |name: &str| line.remove(name).and_then(|text| text.as_str().map(str::to_owned));
        let at = text("timestamp").unwrap_or_default();
        let level = text("level")?;
        Some(Entry { at, level, target: text("target")?, fields, span })
    }

    /// A field of the line or of the message's span.
    pub fn field(&self, name: &str) -> &str {
        let of = |fields: &'static str| match fields {
            "line" => self.fields.get(name),
            _ => self.span.get(name),
        };
        ["line", "span"].into_iter().find_map(of).and_then(Value::as_str).unwrap_or_default()
    }

    fn number(&self, name: &str) -> f64 {
        self.fields.get(name).and_then(Value::as_f64).unwrap_or_default()
    }

    /// How long the pass took.
    pub fn took(&self) -> std::time::Duration {
        std::time::Duration::try_from_secs_f64(self.number("took_ms") / 1e3).unwrap_or_default()
    }

    fn line(&self) -> Line {
        match (self.target.as_str(), self.field("message")) {
            (STORY, "stored") => Line::Stored,
            (STORY, "handshake answered") => Line::Handshake,
            (STORY, _) => Line::Pass,
            _ => Line::Other,
        }
    }

    /// The event: `stored`, `handshake`, the outcome of a pass, or the level of any other line.
    pub fn what(&self) -> String {
        match self.line() {
            Line::Stored => "stored".to_owned(),
            Line::Handshake => "handshake".to_owned(),
            Line::Pass => self.field("outcome").to_owned(),
            Line::Other => self.level.to_ascii_lowercase(),
        }
    }

    /// Whether it is the line of a pass. The last pass tells the state of the message.
    pub fn is_pass(&self) -> bool {
        self.line() == Line::Pass
    }

    /// The id under which its message was first stored.
    pub fn first_id(&self) -> &str {
        match self.field("webhook_id") {
            "" => self.field("message_id"),
            first => first,
        }
    }

    /// Whether it reports a failure.
    pub fn is_failure(&self) -> bool {
        match self.line() {
            Line::Handshake => self.number("status") >= 400.0,
            _ => !matches!(self.what().as_str(), "stored" | "delivered" | "skipped" | "info" | "debug" | "trace"),
        }
    }

    /// Whether it is about a message whose id in the queue or `webhook-id` has this prefix.
    pub fn is_about(&self, id: &str) -> bool {
        !id.is_empty() && ["message_id", "webhook_id"].iter().any(|name| self.field(name).starts_with(id))
    }

    /// The attempts of a pass: `sss POST /tickets 503 in 12 ms`.
    pub fn attempts(&self) -> Vec<String> {
        let attempts: Vec<Value> = serde_json::from_str(self.field("attempts")).unwrap_or_default();
        attempts.iter().map(attempt).collect()
    }

    /// The rest of the line as text: attempts, reason, what comes next; of a handshake, what was asked and answered.
    pub fn detail(&self) -> String {
        let mut parts = self.attempts();
        match self.line() {
            Line::Stored => {
                parts.push(match self.field("sequence") {
                    "" => String::new(),
                    sequence => format!("as {sequence}"),
                });
                if self.fields.contains_key("items") {
                    parts.push(format!("event {} of {}", self.number("item") + 1.0, self.number("items")));
                }
                if !self.field("verified_by").is_empty() {
                    parts.push(format!("verified by {}", self.field("verified_by")));
                }
            }
            Line::Handshake => {
                let (method, route, status) = (self.field("method"), self.field("route"), self.number("status"));
                parts.push(format!("{method} {route} answered {status}"));
            }
            Line::Pass => {
                let reason = self.field("reason");
                parts.extend((!reason.is_empty()).then(|| reason.to_owned()));
                if parts.is_empty() {
                    parts.push(self.field("detail").to_owned());
                }
                match self.field("decision") {
                    "retry" => parts.push(format!("again in {}", seconds(self.number("retry_after_s")))),
                    "dead-letter" => parts.push("to the dead-letter queue".to_owned()),
                    _ => parts.push(format!("{} after it was stored", seconds(self.number("age_s")))),
                }
            }
            Line::Other => {
                parts.push(self.field("message").to_owned());
                let shown = ["message", "message_id", "group", "event"];
                let fields = self.fields.iter().filter(|(name, _)| !shown.contains(&name.as_str()));
                parts.extend(fields.map(|(name, value)| match value.as_str() {
                    Some(text) => format!("{name}={text}"),
                    None => format!("{name}={value}"),
                }));
            }
        }
        parts.retain(|part| !part.is_empty());
        parts.join(", ")
    }

    /// All fields of the line and of the message's span; the line's own win.
    pub fn all_fields(&self) -> Map<String, Value> {
        let mut all = self.span.clone();
        all.remove("name");
        all.extend(self.fields.clone());
        all
    }

    /// The level of the log line.
    pub fn level(&self) -> &str {
        &self.level
    }

    /// The time of day with milliseconds.
    pub fn time(&self) -> &str {
        self.at.get(11..23).unwrap_or(&self.at)
    }

    /// Sets the time, if the log has none.
    pub fn at(mut self, at: impl FnOnce() -> String) -> Entry {
        if self.at.is_empty() {
            self.at = at();
        }
        self
    }
}

/// The story of one message, beginning with its storage. The line `stored` may come late: it is written after the commit, when a worker
/// may already have the message.
pub fn from_storage(mut entries: Vec<Entry>) -> Vec<Entry> {
    if let Some(stored) = entries.iter().position(|entry| entry.what() == "stored") {
        let stored = entries.remove(stored);
        entries.insert(0, stored);
    }
    entries
}

fn attempt(attempt: &Value) -> String {
    let text = |name: &str| attempt.get(name).and_then(Value::as_str).unwrap_or_default();
    let status = attempt.get("status").and_then(Value::as_u64).map(|status| status.to_string());
    let answer = match (status, text("error")) {
        (Some(status), "") => status,
        (Some(status), error) => format!("{status}, then {error}"),
        (None, error) => error.to_owned(),
    };
    let millis = attempt.get("ms").and_then(Value::as_u64).unwrap_or_default();
    format!("{} {} {} {answer} in {millis} ms", text("target"), text("method"), text("path"))
}

fn seconds(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 10.0 => format!("{:.0} ms", seconds * 1e3),
        seconds => humantime::format_duration(std::time::Duration::from_secs(seconds as u64)).to_string(),
    }
}

#[cfg(test)]
#[path = "story/tests.rs"]
mod tests;
