//! Dead letters: the original message, plus one attribute that says why it is there.

mod pack;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use pack::TooLarge;

use crate::body::Body;
use crate::clock::Timestamp;
use crate::envelope::{self, Webhook};
use crate::message::{Note, ORIGIN_ATTRIBUTE, Origin, VERDICT_ATTRIBUTE, is_own, origin, origin_of, webhook};
use crate::outcome::{Attempt, MisfitKind, Outcome};
use crate::queue::{Attribute, Attributes, GroupId, MessageId, NewMessage, Received};

/// The attribute that carries a [`DeadLetter`] as JSON.
pub const DEAD_LETTER_ATTRIBUTE: &str = "towpath-dead-letter";

/// The reason of a message that failed verification. Its letter never blocks its group: anybody could have sent it.
pub const UNVERIFIED: &str = MisfitKind::Unverified.code();

/// The reason of a message that an operator moved to the dead-letter queue.
pub const OPERATOR: &str = "operator";

/// Every reason that a [`DeadLetter`] of this version can have.
pub const REASONS: [&str; 17] = [
    "bad-request",
    "expired",
    "max-receives",
    "missing-key",
    "no-route",
    OPERATOR,
    "parked",
    "plugin-error",
    "plugin-fuel",
    "plugin-limit",
    "plugin-timeout",
    "plugin-trap",
    "refused",
    "rejected",
    "unreadable",
    UNVERIFIED,
    "waited-too-long",
];

/// The SQS limit on attributes.
pub(crate) const MAX_ATTRIBUTES: usize = 10;

/// How much of a text is kept: the letter must fit into a message.
const MAX_DETAIL: usize = 2 * 1024;
const MAX_STDERR: usize = 4 * 1024;
const MAX_TRACE: usize = 16;

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The version of this format: 1.
    pub v: u32,
    /// A constant such as `refused`.
    pub reason: String,
    pub detail: String,
    /// The status of the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The beginning of the last answer's body.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub excerpt: String,
    /// The attempts of the last pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// The guest's stack when its plugin failed, innermost function first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trace: Vec<String>,
    /// The end of the plugin's stderr.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr: String,
    /// The path of the route; absent if none matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The plugin's name; absent if no route matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// The digest of the plugin's component, if it was loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What was cut so that the letter fits into its queue: `story`, `excerpt`, `detail`, `3 headers`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<String>,
    /// Where the webhook carries the secret of its route, so that it is never shown: names of headers and other values as
    /// in the config, separated by commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_header: Option<String>,
    /// Whether its route parks later messages of the group: then the group is redriven as a whole.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub parks: bool,
    /// Whether the message was verified, or its route needs no verification.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub verified: bool,
    /// The id under which the message was first stored.
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<String>,
    pub receive_count: u32,
    /// The queue that the message came from.
    pub source: String,
    /// When the message was first stored.
    pub sent_at: Timestamp,
    /// When the message was dead-lettered.
    pub failed_at: Timestamp,
    /// A MAC by a note key, with which a message that SQS itself moved back keeps its id and time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
}

/// Why a message is dead-lettered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Death {
    /// A constant such as `refused`: a metric label, and what `dlq list` filters by.
    pub code: &'static str,
    /// For the operator.
    pub detail: String,
}

/// How far a message got: its route and plugin.
#[derive(Clone, Debug, Default)]
pub struct Seen<'a> {
    /// The route's path.
    pub route: Option<&'a str>,
    pub plugin: Option<&'a str>,
    /// The digest of the plugin's component.
    pub digest: Option<&'a str>,
    /// Where the webhook carries the route's secret.
    pub secret_header: Option<String>,
    /// Whether the route parks messages behind a dead letter.
    pub parks: bool,
    /// Whether it was verified, or needs no verification.
    pub verified: bool,
}

impl DeadLetter {
    pub fn new(
        received: &Received,
        outcome: &Outcome,
        death: Death,
        seen: Seen<'_>,
        source: &str,
        now: Timestamp,
    ) -> Self {
        debug_assert!(REASONS.contains(&death.code), "REASONS lacks {}", death.code);
        let origin = origin(received);
        let attempts = outcome.attempts().to_vec();
        let last = attempts.last();
        let (trace, stderr) = match outcome {
            Outcome::Faulted(fault) => (fault.trace.iter().take(MAX_TRACE).cloned().collect(), fault.stderr.clone()),
            _ => (Vec::new(), String::new()),
        };
        DeadLetter {
            v: 1,
            reason: death.code.to_owned(),
            detail: clip(death.detail, MAX_DETAIL),
            status: last.and_then(|attempt| attempt.answer.status()),
            excerpt: last.map(|attempt| attempt.answer.excerpt().to_owned()).unwrap_or_default(),
            attempts,
            trace,
            stderr: clip(stderr, MAX_STDERR),
            route: seen.route.map(str::to_owned),
            plugin: seen.plugin.map(str::to_owned),
            digest: seen.digest.map(str::to_owned),
            cut: Vec::new(),
            secret_header: seen.secret_header,
            parks: seen.parks,
            verified: seen.verified,
            id: origin.id.into(),
            sequence: received.sequence.clone(),
            receive_count: received.receive_count,
            source: source.to_owned(),
            sent_at: origin.sent_at,
            failed_at: now,
            mac: None,
        }
    }

    /// The letter of a message that SQS itself moved to the dead-letter queue after too many receives: it has none of
    /// ours.
    pub fn moved_by_the_queue(id: MessageId, receive_count: u32, source: String, sent_at: Timestamp) -> DeadLetter {
        DeadLetter {
            v: 1,
            reason: "max-receives".to_owned(),
            detail: format!("moved by the queue after {receive_count} receives"),
            id: id.into(),
            receive_count,
            source,
            sent_at,
            failed_at: sent_at,
            ..DeadLetter::default()
        }
    }

    /// The letter of a webhook that the front door turned away. It never was a message, and is kept so that an operator
    /// can inspect it or send it on.
    pub fn refused_at_ingest(id: String, seen: Seen<'_>, reason: &str, detail: String, now: Timestamp) -> DeadLetter {
        debug_assert!(REASONS.contains(&reason), "REASONS lacks {reason}");
        DeadLetter {
            v: 1,
            reason: reason.to_owned(),
            detail,
            route: seen.route.map(str::to_owned),
            plugin: seen.plugin.map(str::to_owned),
            secret_header: seen.secret_header,
            verified: seen.verified,
            id,
            source: "ingest".to_owned(),
            sent_at: now,
            failed_at: now,
            ..DeadLetter::default()
        }
    }

    /// The message that carries this letter, for a body and its attributes.
    pub fn carried_by(&self, group: GroupId, body: Body, mut attributes: Attributes) -> NewMessage {
        attributes.insert(DEAD_LETTER_ATTRIBUTE.to_owned(), self.attribute());
        NewMessage { group, dedup_id: Some(self.id.as_str().into()), body, attributes }
    }

    /// The message to send back to the original queue, with its original ids and time and its own deduplication id.
    /// That id depends only on the letter, so sending it twice within five minutes stores it once.
    pub fn send_back(&self, stored: &Stored<'_>) -> NewMessage {
        let mut attributes = stored.attributes.clone();
        attributes.remove(DEAD_LETTER_ATTRIBUTE);
        let (notes, mac) = origin_of(&attributes).map(|origin| (origin.notes, origin.mac)).unwrap_or_default();
        let origin = Origin { notes, mac, ..self.origin() };
        let (body, attributes) = with_origin(stored.body, attributes, &origin);
        let dedup_id = format!("redrive-{}", stored.id).into();
        NewMessage { group: stored.group.clone(), dedup_id: Some(dedup_id), body, attributes }
    }

    /// The message of a letter that SQS itself moved back, as [`DeadLetter::send_back`] would have sent it.
    #[must_use]
    pub fn restored(&self, received: &Received) -> Received {
        let mut attributes = received.attributes.clone();
        attributes.remove(DEAD_LETTER_ATTRIBUTE);
        let (body, attributes) = with_origin(&received.body, attributes, &self.origin());
        Received { body, attributes, ..received.clone() }
    }

    /// Body and attributes of this letter with a new webhook body and these notes, which stay on the message. `seal`
    /// makes the MAC that authenticates them, for the new webhook. What the front door verified was another body.
    pub fn edited(
        &self,
        stored: &Stored<'_>,
        body: Vec<u8>,
        notes: Vec<Note>,
        seal: impl FnOnce(&Origin, &Webhook) -> Option<String>,
    ) -> (Body, Attributes) {
        let notes = notes.into_iter().map(legal_note).collect();
        let mut origin = Origin { notes, ..self.origin() };
        let before = webhook(stored.body, stored.attributes).map(Arc::unwrap_or_clone).unwrap_or_default();
        let after = Webhook { body, ..before };
        origin.mac = seal(&origin, &after);
        let had_headers = stored.body.has_headers();
        // A direct body stays direct if it is text that SQS accepts and that cannot be read as an envelope.
        let text = std::str::from_utf8(&after.body).ok().filter(|text| !had_headers && is_direct(text));
        let (body, mut attributes) = match text {
            Some(text) => (Body::from(text), stored.attributes.clone()),
            None => {
                let attributes = if had_headers { stored.attributes.clone() } else { own(stored.attributes) };
                (Body::from(after), attributes)
            }
        };
        attributes.remove(VERDICT_ATTRIBUTE);
        with_origin(&body, attributes, &origin)
    }

    /// Reads the attribute of a received dead letter.
    pub fn read(attributes: &Attributes) -> Option<DeadLetter> {
        serde_json::from_str(attributes.get(DEAD_LETTER_ATTRIBUTE)?.as_text()?).ok()
    }

    /// Whether its message was verified. Letters of earlier versions do not record it; there, a message that reached a
    /// plugin or a target had been verified before.
    pub fn is_verified(&self) -> bool {
        let seen = ["bad-request", "refused", "rejected"].contains(&self.reason.as_str());
        self.verified || seen || self.reason.starts_with("plugin-")
    }

    /// Whether it blocks later messages of its group, on a route that parks.
    pub fn holds_its_group(&self) -> bool {
        self.reason != UNVERIFIED
    }

    /// Where its message first came from, without the notes of operators.
    fn origin(&self) -> Origin {
        Origin { id: self.message_id(), sent_at: self.sent_at, notes: Vec::new(), mac: None }
    }

    /// The original message's id.
    pub fn message_id(&self) -> MessageId {
        MessageId::from(self.id.as_str())
    }
}

/// A dead letter as stored in its queue.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// Its id in the dead-letter queue.
    pub id: &'a MessageId,
    pub group: &'a GroupId,
    pub body: &'a Body,
    pub attributes: &'a Attributes,
}

/// A letter that SQS itself moved back into the queue of events. `None` for all other messages, also for a letter that an operator redrove
/// or edited: its origin is recorded.
pub fn moved_back(received: &Received) -> Option<DeadLetter> {
    if received.attributes.contains_key(ORIGIN_ATTRIBUTE) {
        return None;
    }
    DeadLetter::read(&received.attributes)
}

/// The notes that a message carries, authenticated or not.
pub fn carried_notes(attributes: &Attributes) -> Vec<Note> {
    origin_of(attributes).map(|origin| origin.notes).unwrap_or_default()
}

/// Records where a message first came from. If that makes one attribute too many, headers move into an envelope.
fn with_origin(body: &Body, mut attributes: Attributes, origin: &Origin) -> (Body, Attributes) {
    let mut body = body.clone();
    if attributes.len() >= MAX_ATTRIBUTES && !attributes.contains_key(ORIGIN_ATTRIBUTE) {
        (body, attributes) = as_envelope(&body, &attributes);
    }
    let text = legal(serde_json::to_string(origin).unwrap_or_default());
    attributes.insert(ORIGIN_ATTRIBUTE.to_owned(), Attribute::text(text));
    (body, attributes)
}

/// Moves the headers of a direct message from its attributes into an envelope, which is equivalent, to free attributes
/// for ours.
pub(crate) fn as_envelope(body: &Body, attributes: &Attributes) -> (Body, Attributes) {
    match webhook(body, attributes) {
        Ok(webhook) => (Body::Webhook(webhook), own(attributes)),
        Err(_) => (body.clone(), own(attributes)),
    }
}

/// The host's own attributes.
fn own(attributes: &Attributes) -> Attributes {
    let own = attributes.iter().filter(|(name, _)| is_own(name));
    own.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Whether a text can be a direct body: not empty, not an envelope, and legal XML, as SQS requires.
fn is_direct(text: &str) -> bool {
    let is_legal = |c| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{FFFD}' | '\u{10000}'..);
    !text.is_empty() && !envelope::is_envelope(text) && text.chars().all(is_legal)
}

/// A note that SQS accepts as text.
pub fn legal_note(note: Note) -> Note {
    Note { text: legal(note.text), by: legal(note.by), ..note }
}

fn clip(mut text: String, max: usize) -> String {
    text.truncate(text.floor_char_boundary(max));
    text
}

/// SQS accepts only text that is legal XML. JSON escapes the control characters; these two are left.
pub(crate) fn legal(text: String) -> String {
    text.replace(['\u{FFFE}', '\u{FFFF}'], "\u{FFFD}")
}

#[cfg(test)]
#[path = "dead_letter/tests.rs"]
mod tests;
