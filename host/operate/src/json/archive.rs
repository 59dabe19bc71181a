//! Events in the archive: listed, shown whole, and counted.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};
use towpath_archive::Stats;
use towpath_types::archive::{Archived as Event, Ending};
use towpath_types::message::{origin_of, webhook};
use towpath_types::queue::{DedupId, GroupId, MessageId};
use towpath_types::verdict::Reason;

use super::Rfc3339;
use super::letter::Attempt;
use crate::dlq::field;
use crate::secret_headers::SecretHeaders;

/// An event in a list.
#[derive(Debug, Serialize)]
pub struct Archived<'a> {
    message_id: MessageId,
    /// Its id in the queue from which it was delivered, which differs after a redrive.
    queue_id: &'a MessageId,
    webhook_id: &'a MessageId,
    group: &'a GroupId,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dedup_id: Option<&'a DedupId>,
    route: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    outcome: Ending,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a Reason>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<Attempt<'a>>,
    receive_count: u32,
    sent_at: Rfc3339,
    ended_at: Rfc3339,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    redacted: bool,
}

impl Archived<'_> {
    /// The row of an event.
    pub fn of(event: &Event) -> Archived<'_> {
        Archived {
            message_id: origin_of(&event.attributes).map_or_else(|| event.id.clone(), |origin| origin.id),
            queue_id: &event.id,
            webhook_id: &event.webhook_id,
            group: &event.group,
            sequence: event.sequence.as_deref(),
            dedup_id: event.dedup_id.as_ref(),
            route: &event.route,
            plugin: event.plugin.as_deref(),
            digest: event.digest.as_deref(),
            outcome: event.ending,
            reason: event.reason.as_ref(),
            attempts: event.attempts.iter().map(Attempt::of).collect(),
            receive_count: event.receive_count,
            sent_at: Rfc3339(event.sent_at),
            ended_at: Rfc3339(event.ended_at),
            redacted: event.redacted,
        }
    }
}

/// An event with its webhook, without its secret values.
#[derive(Debug, Serialize)]
pub struct ArchivedWhole<'a> {
    #[serde(flatten)]
    event: Archived<'a>,
    method: String,
    /// The named segments of the route's path; `*` is what follows it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    path: Vec<(String, String)>,
    #[serde(skip_serializing_if = "String::is_empty")]
    query: String,
    headers: Vec<(String, String)>,
    /// The names of the queue's attributes.
    attributes: Vec<&'a String>,
    #[serde(flatten)]
    body: Map<String, Value>,
}

impl ArchivedWhole<'_> {
    /// The whole of an event; `text` shows the value of a header.
    pub fn of<'a>(event: &'a Event, secrets: &SecretHeaders, text: impl Fn(&[u8]) -> String) -> ArchivedWhole<'a> {
        let webhook = webhook(&event.body, &event.attributes).unwrap_or_default();
        let webhook = secrets.hidden(Arc::unwrap_or_clone(webhook));
        ArchivedWhole {
            event: Archived::of(event),
            method: webhook.method.to_string(),
            path: webhook.path,
            query: webhook.query,
            headers: webhook.headers.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
            attributes: event.attributes.keys().collect(),
            body: field("body", &webhook.body),
        }
    }
}

/// What an archive holds.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct InArchive {
    events: u64,
    bytes: u64,
    segments: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_ended_at: Option<Rfc3339>,
    #[serde(skip_serializing_if = "Option::is_none")]
    newest_ended_at: Option<Rfc3339>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<u64>,
    damaged: u64,
}

impl InArchive {
    /// The shape of these stats.
    pub fn of(stats: &Stats) -> InArchive {
        let Stats { events, bytes, segments, ended, dropped, damaged } = *stats;
        let [oldest_ended_at, newest_ended_at] =
            ended.map_or([None, None], |ended| ended.map(|time| Some(Rfc3339(time))));
        InArchive { events, bytes, segments, oldest_ended_at, newest_ended_at, dropped, damaged }
    }
}
