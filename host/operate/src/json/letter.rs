//! Dead letters: listed, shown whole, and edited.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};
use towpath_types::dead_letter::{DEAD_LETTER_ATTRIBUTE, DeadLetter, carried_notes};
use towpath_types::message::{Note as StoredNote, webhook};
use towpath_types::outcome::Attempt as StoredAttempt;
use towpath_types::queue::{GroupId, MessageId};

use super::Rfc3339;
#[cfg(feature = "schema")]
use super::schema;
use crate::dlq::edit::{Done, WebhookId};
use crate::dlq::preview::Preview;
use crate::dlq::{field, page};
use crate::letters::Letter;
use crate::secret_headers::SecretHeaders;

/// A letter in a list.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = Letter))]
pub struct Listed<'a> {
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    message_id: MessageId,
    /// Its id in the dead-letter queue, which changes when SQS stores it again.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    letter_id: &'a MessageId,
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    group: &'a GroupId,
    letter: Death<'a>,
}

impl Listed<'_> {
    /// The row of a letter.
    pub fn of(letter: &Letter) -> Listed<'_> {
        Listed {
            message_id: letter.first_id(),
            letter_id: &letter.id,
            group: &letter.group,
            letter: Death::of(&letter.death),
        }
    }
}

/// A page of letters.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LetterPage<'a> {
    letters: Vec<Listed<'a>>,
    /// How many letters were read for it.
    looked_at: u64,
    /// About how many letters there are.
    all: u64,
    /// The cursor of the next page; null if everything was read.
    next: Option<&'a str>,
}

impl LetterPage<'_> {
    /// The shape of a page.
    pub fn of(page: &page::Page) -> LetterPage<'_> {
        let letters = page.letters.iter().map(Listed::of).collect();
        LetterPage { letters, looked_at: page.looked_at, all: page.all, next: page.next.as_deref() }
    }
}

/// Why a message was dead-lettered.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub(super) struct Death<'a> {
    message_id: &'a str,
    reason: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "str::is_empty")]
    excerpt: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<Attempt<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    trace: &'a [String],
    #[serde(skip_serializing_if = "str::is_empty")]
    stderr: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    cut: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_header: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    parks: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<&'a str>,
    receive_count: u32,
    /// The queue that the message came from.
    queue: &'a str,
    sent_at: Rfc3339,
    failed_at: Rfc3339,
}

impl Death<'_> {
    pub(super) fn of(death: &DeadLetter) -> Death<'_> {
        Death {
            message_id: &death.id,
            reason: &death.reason,
            detail: &death.detail,
            status: death.status,
            excerpt: &death.excerpt,
            attempts: death.attempts.iter().map(Attempt::of).collect(),
            trace: &death.trace,
            stderr: &death.stderr,
            route: death.route.as_deref(),
            plugin: death.plugin.as_deref(),
            digest: death.digest.as_deref(),
            cut: &death.cut,
            secret_header: death.secret_header.as_deref(),
            parks: death.parks,
            verified: death.verified,
            sequence: death.sequence.as_deref(),
            receive_count: death.receive_count,
            queue: &death.source,
            sent_at: Rfc3339(death.sent_at),
            failed_at: Rfc3339(death.failed_at),
        }
    }
}

/// One request to a target, and its answer.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub(super) struct Attempt<'a> {
    target: &'a str,
    method: &'a str,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    duration_ms: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    excerpt: &'a str,
}

impl Attempt<'_> {
    pub(super) fn of(attempt: &StoredAttempt) -> Attempt<'_> {
        Attempt {
            target: &attempt.target,
            method: &attempt.method,
            path: &attempt.path,
            status: attempt.answer.status(),
            error: attempt.answer.problem(),
            duration_ms: attempt.millis,
            excerpt: attempt.answer.excerpt(),
        }
    }
}

/// A letter with its webhook, without its secret values.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = WholeLetter))]
pub struct Whole<'a> {
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    message_id: MessageId,
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    letter_id: &'a MessageId,
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    webhook_id: MessageId,
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    group: &'a GroupId,
    letter: Death<'a>,
    notes: Vec<Note>,
    method: String,
    /// The named segments of the route's path; `*` is what follows it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    path: Vec<(String, String)>,
    #[serde(skip_serializing_if = "String::is_empty")]
    query: String,
    headers: Vec<(String, String)>,
    /// The names of the queue's attributes, without the one that holds `letter`.
    attributes: Vec<&'a String>,
    #[serde(flatten)]
    #[cfg_attr(feature = "schema", schema(value_type = schema::Body))]
    body: Map<String, Value>,
}

impl Whole<'_> {
    /// The whole of a letter; `text` shows the value of a header.
    pub fn of<'a>(letter: &'a Letter, secrets: &SecretHeaders, text: impl Fn(&[u8]) -> String) -> Whole<'a> {
        let webhook = webhook(&letter.body, &letter.attributes).unwrap_or_default();
        let webhook = secrets.hidden(Arc::unwrap_or_clone(webhook));
        Whole {
            message_id: letter.first_id(),
            letter_id: &letter.id,
            webhook_id: letter.webhook_id(),
            group: &letter.group,
            letter: Death::of(&letter.death),
            notes: carried_notes(&letter.attributes).into_iter().map(Note::from).collect(),
            method: webhook.method.to_string(),
            path: webhook.path,
            query: webhook.query,
            headers: webhook.headers.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
            attributes: letter.attributes.keys().filter(|name| *name != DEAD_LETTER_ATTRIBUTE).collect(),
            body: field("body", &webhook.body),
        }
    }
}

/// Who edited a letter, and why.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = LetterNote))]
struct Note {
    edited_at: Rfc3339,
    by: String,
    text: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unverified: bool,
}

impl From<StoredNote> for Note {
    fn from(note: StoredNote) -> Note {
        let StoredNote { at, by, text, unverified } = note;
        Note { edited_at: Rfc3339(at), by, text, unverified }
    }
}

/// The result of an edit.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = EditedLetter))]
pub struct Edited<'a> {
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    message_id: MessageId,
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    group: &'a GroupId,
    /// The group that the letter was in, if the edit moved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    group_before: Option<&'a GroupId>,
    #[serde(flatten)]
    #[cfg_attr(feature = "schema", schema(value_type = schema::Before))]
    before: Map<String, Value>,
    #[serde(flatten)]
    #[cfg_attr(feature = "schema", schema(value_type = schema::After))]
    after: Map<String, Value>,
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    webhook_id: MessageId,
    /// The id that the letter's keys would give it now, if it kept another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    webhook_id_of_key: Option<&'a MessageId>,
}

impl Edited<'_> {
    /// The result of this edit.
    pub fn of(done: &Done) -> Edited<'_> {
        let kept = done.letter.webhook_id();
        let (webhook_id, webhook_id_of_key) = match &done.webhook_id {
            WebhookId::Fits => (kept, None),
            WebhookId::Kept { of_key } => (kept, Some(of_key)),
            WebhookId::New { now } => (now.clone(), None),
        };
        Edited {
            message_id: done.letter.first_id(),
            group: &done.group,
            group_before: Some(&done.letter.group).filter(|before| **before != done.group),
            before: field("before", &done.before),
            after: field("after", &done.after),
            webhook_id,
            webhook_id_of_key,
        }
    }
}

/// What an edit would do.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = EditPreview))]
pub struct Previewed<'a> {
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    message_id: MessageId,
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    group: &'a GroupId,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    group_before: Option<&'a GroupId>,
    #[serde(flatten)]
    #[cfg_attr(feature = "schema", schema(value_type = schema::Before))]
    before: Map<String, Value>,
    #[serde(flatten)]
    #[cfg_attr(feature = "schema", schema(value_type = schema::After))]
    after: Map<String, Value>,
    /// The verdict before the edit.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<&'a Value>,
    /// The verdict after the edit.
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<&'a Value>,
    /// Why there are no verdicts.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_verdict: Option<&'a str>,
}

impl Previewed<'_> {
    /// The shape of a preview.
    pub fn of(preview: &Preview) -> Previewed<'_> {
        let change = &preview.change;
        let [before, after] = &preview.bodies;
        let [now, new] = match &preview.verdicts {
            Ok([now, new]) => [Some(now), Some(new)],
            Err(_) => [None, None],
        };
        Previewed {
            message_id: change.letter.first_id(),
            group: &change.group,
            group_before: Some(&change.letter.group).filter(|before| **before != change.group),
            before: field("before", before),
            after: field("after", after),
            now,
            new,
            no_verdict: preview.verdicts.as_ref().err().map(String::as_str),
        }
    }
}
