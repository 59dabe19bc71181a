//! The archive: delivered and skipped events, kept for a while so that they can be found and sent again. [`Archive`] hides where:
//! segments in a folder, or a stream of Amazon Data Firehose.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::body::Body;
use crate::clock::Timestamp;
use crate::message::{origin_of, webhook_id};
use crate::outcome::{Attempt, Outcome};
use crate::queue::{Attributes, DedupId, GroupId, MessageId, Received};
use crate::verdict::Reason;

/// How an archived event ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// All its requests were answered 2xx.
    Delivered,
    /// Its plugin had nothing to do for it.
    Skipped,
}

/// An event in the archive: what tells it from others, and all that it takes to send it again.
///
/// An event may be kept twice, because it may be delivered twice: entries with the same `id` and `sequence` are one event,
/// and the last one counts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Archived {
    /// The id under which it was stored.
    pub id: MessageId,
    /// What its targets received as `webhook-id`.
    pub webhook_id: MessageId,
    pub group: GroupId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedup_id: Option<DedupId>,
    /// Grows within a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<String>,
    pub route: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// The digest of the plugin's build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// When it was first stored.
    pub sent_at: Timestamp,
    pub ended_at: Timestamp,
    pub receive_count: u32,
    pub ending: Ending,
    /// Why it was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The requests of its last pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// Those of the message, the host's own included.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// Whether parts of the body were removed before it was kept. Such a body matches no signature.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redacted: bool,
    /// Kept apart from the other fields: bytes in a segment, text in a line of JSON.
    #[serde(skip, default = "no_body")]
    pub body: Body,
}

fn no_body() -> Body {
    Body::from("")
}

impl Archived {
    /// The entry of a message that was delivered or skipped; `None` if it was neither.
    pub fn of(
        received: &Received,
        outcome: &Outcome,
        route: &str,
        plugin: Option<(&str, &str)>,
        now: Timestamp,
    ) -> Option<Archived> {
        let (ending, reason) = match outcome {
            Outcome::Delivered(_) => (Ending::Delivered, None),
            Outcome::Skipped(reason) => (Ending::Skipped, Some(reason.clone())),
            _ => return None,
        };
        let (plugin, digest) = plugin.map(|(name, digest)| (name.to_owned(), digest.to_owned())).unzip();
        Some(Archived {
            id: received.id.clone(),
            webhook_id: webhook_id(&received.id, &received.attributes),
            group: received.group.clone(),
            dedup_id: received.dedup_id.clone(),
            sequence: received.sequence.clone(),
            route: route.to_owned(),
            plugin,
            digest,
            sent_at: origin_of(&received.attributes).map_or(received.sent_at, |origin| origin.sent_at),
            ended_at: now,
            receive_count: received.receive_count,
            ending,
            reason,
            attempts: outcome.attempts().to_vec(),
            attributes: received.attributes.clone(),
            redacted: false,
            body: received.body.clone(),
        })
    }
}

/// Where delivered and skipped events are kept.
#[async_trait]
pub trait Archive: Send + Sync + 'static {
    /// Keeps an event, before its message is deleted from the queue. It returns no error, because a full or broken archive must not keep
    /// an event from being acknowledged: what cannot be kept is counted and logged. The caller waits for it, so a slow disk delays deliveries.
    fn keep(&self, event: Archived);

    /// Hands on what is buffered. The Lambda host calls it at the end of an invocation, for a function may freeze after it.
    async fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::Webhook;
    use crate::message::{ORIGIN_ATTRIBUTE, Origin};
    use crate::outcome::Answer;
    use crate::queue::{Attribute, Handle};

    fn received() -> Received {
        Received {
            id: "m-2".into(),
            group: "g".into(),
            dedup_id: Some("d".into()),
            sequence: Some("7".to_owned()),
            receive_count: 3,
            sent_at: Timestamp(5),
            body: Webhook { body: b"\xff".to_vec(), ..Webhook::default() }.into(),
            attributes: Attributes::new(),
            trace: None,
            handle: Handle::from("h"),
        }
    }

    fn attempt() -> Attempt {
        let answer = Answer::Status { status: 200, excerpt: String::new() };
        Attempt { target: "sss".to_owned(), method: "POST".to_owned(), path: "/".to_owned(), answer, millis: 3 }
    }

    #[test]
    fn what_was_delivered_or_skipped_is_an_entry_and_nothing_else_is() {
        let received = received();
        let reason = Reason { code: "old".to_owned(), message: "too old".to_owned() };
        let entry = |outcome: &Outcome| Archived::of(&received, outcome, "crm", Some(("map", "d1")), Timestamp(9));
        let delivered = entry(&Outcome::Delivered(vec![attempt()])).expect("an entry");
        assert_eq!((delivered.ending, delivered.attempts.len(), &delivered.reason), (Ending::Delivered, 1, &None));
        assert_eq!(delivered.body, received.body);
        let skipped = entry(&Outcome::Skipped(reason.clone())).expect("an entry");
        assert_eq!((skipped.ending, skipped.reason), (Ending::Skipped, Some(reason.clone())));
        for other in [Outcome::Refused(vec![attempt()]), Outcome::Rejected(reason), Outcome::Blocked] {
            assert_eq!(entry(&other), None);
        }
    }

    #[test]
    fn an_event_that_was_sent_back_keeps_its_first_time_and_its_webhook_id() {
        let mut received = received();
        let origin = Origin { id: "m-1".into(), sent_at: Timestamp(1), notes: Vec::new(), mac: None };
        let text = serde_json::to_string(&origin).expect("JSON");
        received.attributes.insert(ORIGIN_ATTRIBUTE.into(), Attribute::text(text));
        let entry =
            Archived::of(&received, &Outcome::Delivered(Vec::new()), "crm", None, Timestamp(9)).expect("an entry");
        assert_eq!((entry.id.as_str(), entry.webhook_id.as_str(), entry.sent_at), ("m-2", "m-1", Timestamp(1)));
    }

    #[test]
    fn an_entry_is_the_same_after_it_was_written_as_json_but_for_its_body() {
        let entry = Archived::of(&received(), &Outcome::Delivered(vec![attempt()]), "crm", None, Timestamp(9))
            .expect("an entry");
        let text = serde_json::to_string(&entry).expect("JSON");
        let read: Archived = serde_json::from_str(&text).expect("an entry");
        assert_eq!(Archived { body: entry.body.clone(), ..read }, entry);
    }
}
