//! Dead letters: the message as it was, and one attribute that says why it is there.

mod pack;

use serde::{Deserialize, Serialize};

pub use pack::TooLarge;

use crate::clock::Timestamp;
use crate::envelope::{self, Webhook};
use crate::message::{Note, ORIGIN_ATTRIBUTE, Origin, is_own, origin, origin_of, webhook};
use crate::outcome::{Attempt, Outcome};
use crate::queue::{Attribute, Attributes, GroupId, MessageId, NewMessage, Received};

/// The attribute that carries a [`DeadLetter`] as JSON.
pub const DEAD_LETTER_ATTRIBUTE: &str = "towpath-dead-letter";

/// The reason of a message that did not prove where it comes from. Its letter holds nobody back: anybody could have sent it.
pub const UNVERIFIED: &str = "unverified";

/// Every reason that a [`DeadLetter`] of this version can have.
pub const REASONS: [&str; 16] = [
    "bad-request",
    "expired",
    "max-receives",
    "missing-key",
    "no-route",
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

/// The most attributes that SQS takes.
const MAX_ATTRIBUTES: usize = 10;

/// How much of a text is kept. What does not fit into a message would never be stored.
const MAX_DETAIL: usize = 2 * 1024;
const MAX_STDERR: usize = 4 * 1024;
const MAX_TRACE: usize = 16;

/// Why a message is in the dead-letter queue.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The version of this format: 1.
    pub v: u32,
    /// A constant such as `refused`.
    pub reason: String,
    /// What happened.
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
    /// The guest's functions on the stack when its plugin failed, innermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trace: Vec<String>,
    /// The end of what the plugin wrote to stderr.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr: String,
    /// The path of the route, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The plugin's name, if there was a route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// The digest of the plugin's component, if it was loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What was cut away so that the letter fits into its queue: `story`, `excerpt`, `detail`, `3 headers`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<String>,
    /// The header in which its route had a secret sent along: nobody is shown its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_header: Option<String>,
    /// Whether its route parks what comes behind it: then its group goes back as a whole.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub parks: bool,
    /// Whether it had proved where it comes from, or its route asks for no proof.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub verified: bool,
    /// The id under which the message first was stored.
    pub id: String,
    /// Its sequence number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<String>,
    /// How often it was received.
    pub receive_count: u32,
    /// The queue it comes from.
    pub source: String,
    /// When it first was stored.
    pub sent_at: Timestamp,
    /// When it was given up.
    pub failed_at: Timestamp,
}

/// Why a message is given up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Death {
    /// A constant such as `refused`: a metric label and what `dlq list` filters by.
    pub code: &'static str,
    /// What happened, for the operator.
    pub detail: String,
}

/// Which plugin saw the message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen<'a> {
    /// The route's path.
    pub route: Option<&'a str>,
    /// The plugin's name.
    pub plugin: Option<&'a str>,
    /// The digest of its component.
    pub digest: Option<&'a str>,
    /// The header in which its route has a secret sent along.
    pub secret_header: Option<&'a str>,
    /// Whether its route parks what comes behind a dead letter.
    pub parks: bool,
    /// Whether it proved where it comes from, or need not.
    pub verified: bool,
}

impl DeadLetter {
    /// Describes the death of a message.
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
            secret_header: seen.secret_header.map(str::to_owned),
            parks: seen.parks,
            verified: seen.verified,
            id: origin.id.0,
            sequence: received.sequence.clone(),
            receive_count: received.receive_count,
            source: source.to_owned(),
            sent_at: origin.sent_at,
            failed_at: now,
        }
    }

    /// The letter of a message that came into the dead-letter queue without one: the queue itself moved it,
    /// after too many receives.
    pub fn moved_by_the_queue(id: MessageId, receive_count: u32, source: String, sent_at: Timestamp) -> DeadLetter {
        DeadLetter {
            v: 1,
            reason: "max-receives".to_owned(),
            detail: format!("the queue moved it: received {receive_count} times"),
            id: id.0,
            receive_count,
            source,
            sent_at,
            failed_at: sent_at,
            ..DeadLetter::default()
        }
    }

    /// The letter of a webhook that the front door refused: it never was a message, and is kept to be looked at, or sent
    /// on after all.
    pub fn refused_at_ingest(id: String, seen: Seen<'_>, reason: &str, detail: String, now: Timestamp) -> DeadLetter {
        debug_assert!(REASONS.contains(&reason), "REASONS lacks {reason}");
        DeadLetter {
            v: 1,
            reason: reason.to_owned(),
            detail,
            route: seen.route.map(str::to_owned),
            plugin: seen.plugin.map(str::to_owned),
            secret_header: seen.secret_header.map(str::to_owned),
            verified: seen.verified,
            id,
            source: "ingest".to_owned(),
            sent_at: now,
            failed_at: now,
            ..DeadLetter::default()
        }
    }

    /// The message that carries this letter with an enveloped webhook and its attributes.
    pub fn carried_by(&self, group: GroupId, body: String, mut attributes: Attributes) -> NewMessage {
        attributes.insert(DEAD_LETTER_ATTRIBUTE.to_owned(), self.attribute());
        NewMessage { group, dedup_id: self.id.clone(), body, attributes }
    }

    /// The message to send back to the queue that this letter came from: with the ids and the time that it
    /// first had, and a deduplication id of its own. The same letter always gets the same one, so that a
    /// queue swallows it if it is sent twice within five minutes.
    pub fn send_back(&self, stored: &Stored<'_>) -> NewMessage {
        let mut attributes = stored.attributes.clone();
        attributes.remove(DEAD_LETTER_ATTRIBUTE);
        let (notes, mac) = origin_of(&attributes).map(|origin| (origin.notes, origin.mac)).unwrap_or_default();
        let origin = Origin { id: self.message_id(), sent_at: self.sent_at, notes, mac };
        let (body, attributes) = with_origin(stored.body, attributes, &origin);
        let dedup_id = format!("redrive-{}", stored.id);
        NewMessage { group: stored.group.clone(), dedup_id, body, attributes }
    }

    /// Body and attributes of this letter with another webhook body and these notes, which stay on the message. `seal` makes
    /// the MAC that vouches for them.
    pub fn edited(
        &self,
        stored: &Stored<'_>,
        body: Vec<u8>,
        notes: Vec<Note>,
        seal: impl FnOnce(&Origin, &[u8]) -> Option<String>,
    ) -> (String, Attributes) {
        let legal_note = |note: Note| Note { text: legal(note.text), by: legal(note.by), ..note };
        let notes = notes.into_iter().map(legal_note).collect();
        let mut origin = Origin { id: self.message_id(), sent_at: self.sent_at, notes, mac: None };
        origin.mac = seal(&origin, &body);
        let was_envelope = envelope::is_envelope(stored.body);
        // A direct body stays one if it can: as text that SQS takes and nobody reads as an envelope.
        let text = std::str::from_utf8(&body).ok().filter(|text| !was_envelope && is_direct(text));
        let (body, attributes) = match text {
            Some(text) => (text.to_owned(), stored.attributes.clone()),
            None => {
                let attributes = if was_envelope { stored.attributes.clone() } else { own(stored.attributes) };
                let before = webhook(stored.body, stored.attributes).unwrap_or_default();
                (envelope::encode(&Webhook { body, ..before }), attributes)
            }
        };
        with_origin(&body, attributes, &origin)
    }

    /// Reads the attribute of a received dead letter.
    pub fn read(attributes: &Attributes) -> Option<DeadLetter> {
        serde_json::from_str(attributes.get(DEAD_LETTER_ATTRIBUTE)?.as_text()?).ok()
    }

    /// Whether its message proved where it comes from. A letter of an earlier version does not say so: what a plugin or a
    /// target has seen was verified before.
    pub fn is_verified(&self) -> bool {
        let seen = ["bad-request", "refused", "rejected"].contains(&self.reason.as_str());
        self.verified || seen || self.reason.starts_with("plugin-")
    }

    /// Whether it holds back what comes behind it in its group, on a route that parks.
    pub fn holds_its_group(&self) -> bool {
        self.reason != UNVERIFIED
    }

    /// The id of the message that died.
    pub fn message_id(&self) -> MessageId {
        MessageId(self.id.clone())
    }
}

/// A dead letter as it is stored in its queue.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// Its id in the dead-letter queue.
    pub id: &'a MessageId,
    /// Its group.
    pub group: &'a GroupId,
    /// Its body.
    pub body: &'a str,
    /// Its attributes.
    pub attributes: &'a Attributes,
}

/// The notes that a message carries, proven or not.
pub fn carried_notes(attributes: &Attributes) -> Vec<Note> {
    origin_of(attributes).map(|origin| origin.notes).unwrap_or_default()
}

/// Sets where a message first came from. If there are too many attributes already, its headers move into an
/// envelope.
fn with_origin(body: &str, mut attributes: Attributes, origin: &Origin) -> (String, Attributes) {
    let mut body = body.to_owned();
    if attributes.len() >= MAX_ATTRIBUTES && !attributes.contains_key(ORIGIN_ATTRIBUTE) {
        (body, attributes) = as_envelope(&body, &attributes);
    }
    let text = legal(serde_json::to_string(origin).unwrap_or_default());
    attributes.insert(ORIGIN_ATTRIBUTE.to_owned(), Attribute::text(text));
    (body, attributes)
}

/// A direct message with so many attributes that ours would be one too many: its headers move into an
/// envelope, which says the same.
fn as_envelope(body: &str, attributes: &Attributes) -> (String, Attributes) {
    match webhook(body, attributes) {
        Ok(webhook) => (envelope::encode(&webhook), own(attributes)),
        Err(_) => (body.to_owned(), own(attributes)),
    }
}

/// The host's own attributes.
fn own(attributes: &Attributes) -> Attributes {
    let own = attributes.iter().filter(|(name, _)| is_own(name));
    own.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Whether a text can be a direct body: not empty, no envelope, and legal in XML, as SQS wants it.
fn is_direct(text: &str) -> bool {
    let is_legal = |c| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{FFFD}' | '\u{10000}'..);
    !text.is_empty() && !envelope::is_envelope(text) && text.chars().all(is_legal)
}

fn clip(mut text: String, max: usize) -> String {
    text.truncate(text.floor_char_boundary(max));
    text
}

/// SQS takes text that is legal in XML: JSON escapes the control characters, these two are left.
fn legal(text: String) -> String {
    text.replace(['\u{FFFE}', '\u{FFFF}'], "\u{FFFD}")
}

#[cfg(test)]
#[path = "dead_letter/tests.rs"]
mod tests;
