//! The message as plugins see it: a received one with its webhook unpacked.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::body::Body;
use crate::clock::Timestamp;
use crate::envelope::{EnvelopeError, Webhook};
use crate::queue::{AttributeValue, Attributes, DedupId, GroupId, MessageId, Received};

/// The attribute that carries an [`Origin`] as JSON; set when a dead letter is sent back.
pub const ORIGIN_ATTRIBUTE: &str = "towpath-origin";

/// The attribute that carries the `webhook-id` of a message whose route names a deduplication key.
pub const WEBHOOK_ID_ATTRIBUTE: &str = "towpath-webhook-id";

/// The attribute by which the front door says that it verified the webhook: a MAC by a note key proves it.
pub const VERDICT_ATTRIBUTE: &str = "towpath-verdict";

/// The attribute of one element of a webhook that the front door split: its position in the array, from 0. Its body is what
/// the plugin sees.
pub const ITEM_ATTRIBUTE: &str = "towpath-item";

/// Prefix of the host's own attributes, which never become headers.
const OWN_ATTRIBUTES: &str = "towpath-";

/// Where a redriven message first came from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Origin {
    /// The id under which it was first stored.
    pub id: MessageId,
    /// When it was first stored.
    pub sent_at: Timestamp,
    /// What operators did to it since: an edited body matches no signature.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// A MAC over the notes, by a key that the config names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
}

/// What an operator did to a dead letter, and why. It stays on the message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Note {
    pub at: Timestamp,
    pub by: String,
    pub text: String,
    /// Whether the operator accepted a message that was never verified.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unverified: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// What its target receives as `webhook-id`: stable across retries and redrives.
    pub id: MessageId,
    pub group: GroupId,
    /// If the queue provides it.
    pub dedup_id: Option<DedupId>,
    /// If the queue provides it.
    pub sequence: Option<String>,
    /// Receives so far, from 1.
    pub receive_count: u32,
    /// When it was first stored.
    pub sent_at: Timestamp,
    /// The queue's name.
    pub source: String,
    /// `AWSTraceHeader`, if the queue provides it: the trace that the sender gave to the queue.
    pub aws_trace: Option<String>,
    /// When an operator sent it again, once the host has checked that.
    pub replayed_at: Option<Timestamp>,
    pub webhook: Arc<Webhook>,
}

impl Message {
    /// Unpacks a message received from the queue `source`. An envelope brings its headers; the string and binary
    /// attributes of a direct body become its headers.
    pub fn read(received: &Received, source: &str) -> Result<Message, EnvelopeError> {
        let webhook = webhook(&received.body, &received.attributes)?;
        let origin = origin(received);
        Ok(Message {
            id: webhook_id(&received.id, &received.attributes),
            group: received.group.clone(),
            dedup_id: received.dedup_id.clone(),
            sequence: received.sequence.clone(),
            receive_count: received.receive_count,
            sent_at: origin.sent_at,
            source: source.to_owned(),
            aws_trace: received.trace.clone(),
            replayed_at: None,
            webhook,
        })
    }
}

/// Where a received message first came from: itself, unless it was sent again.
pub fn origin(received: &Received) -> Origin {
    origin_of(&received.attributes).unwrap_or_else(|| Origin {
        id: received.id.clone(),
        sent_at: received.sent_at,
        notes: Vec::new(),
        mac: None,
    })
}

/// The origin recorded in these attributes; `None` unless the message was sent again.
pub fn origin_of(attributes: &Attributes) -> Option<Origin> {
    let carried = attributes.get(ORIGIN_ATTRIBUTE).and_then(|attribute| attribute.as_text());
    carried.and_then(|text| serde_json::from_str(text).ok())
}

/// What a target receives as `webhook-id`: the one derived from the event's own key when the message was stored, or
/// else the id under which it was first stored.
pub fn webhook_id(id: &MessageId, attributes: &Attributes) -> MessageId {
    let carried = attributes.get(WEBHOOK_ID_ATTRIBUTE).and_then(|attribute| attribute.as_text());
    match carried {
        Some(carried) => MessageId::from(carried),
        None => origin_of(attributes).map_or_else(|| id.clone(), |origin| origin.id),
    }
}

/// The webhook in a queued body. A direct body has its attributes as headers.
pub fn webhook(body: &Body, attributes: &Attributes) -> Result<Arc<Webhook>, EnvelopeError> {
    let mut webhook = body.webhook()?;
    if !body.has_headers() {
        Arc::make_mut(&mut webhook).headers = attribute_headers(attributes);
    }
    Ok(webhook)
}

/// Whether a message is one element of a webhook that the front door split.
pub fn is_item(attributes: &Attributes) -> bool {
    attributes.get(ITEM_ATTRIBUTE).is_some_and(|item| item.as_text().is_some())
}

/// Whether an attribute is the host's own, and never becomes a header.
pub fn is_own(attribute: &str) -> bool {
    attribute.starts_with(OWN_ATTRIBUTES)
}

fn attribute_headers(attributes: &Attributes) -> Vec<(String, Vec<u8>)> {
    let foreign = attributes.iter().filter(|(name, _)| !is_own(name));
    foreign
        .map(|(name, attribute)| {
            let value = match &attribute.value {
                AttributeValue::Text(text) => text.clone().into_bytes(),
                AttributeValue::Binary(bytes) => bytes.clone(),
            };
            (name.to_ascii_lowercase(), value)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::{Attribute, Handle};

    fn received(body: Body) -> Received {
        Received {
            id: "m-2".into(),
            group: "g".into(),
            dedup_id: None,
            sequence: None,
            receive_count: 1,
            sent_at: Timestamp(5),
            body,
            attributes: Default::default(),
            trace: None,
            handle: Handle::from("h"),
        }
    }

    #[test]
    fn an_envelope_brings_its_own_headers() {
        let webhook = Webhook { headers: vec![("a".into(), b"1".to_vec())], body: b"x".to_vec(), ..Webhook::default() };
        let mut received = received(webhook.clone().into());
        received.attributes.insert("b".into(), Attribute::text("2"));
        let message = Message::read(&received, "q").expect("readable");
        assert_eq!(message.webhook.headers, webhook.headers);
        assert_eq!(message.webhook.header("A"), Some(b"1".as_slice()));
    }

    #[test]
    fn a_direct_body_has_its_attributes_as_headers_and_never_the_hosts_own() {
        let mut received = received("{}".into());
        received.attributes.insert("X-GitHub-Event".into(), Attribute::text("push"));
        received.attributes.insert("towpath-anything".into(), Attribute::text("secret"));
        let message = Message::read(&received, "q").expect("readable");
        assert_eq!(message.webhook.headers, [("x-github-event".to_owned(), b"push".to_vec())]);
    }

    #[test]
    fn a_redriven_message_keeps_its_original_id_and_time() {
        let mut received = received("{}".into());
        let origin = Origin { id: "m-1".into(), sent_at: Timestamp(1), notes: Vec::new(), mac: None };
        let text = serde_json::to_string(&origin).expect("json");
        received.attributes.insert(ORIGIN_ATTRIBUTE.into(), Attribute::text(text));
        let message = Message::read(&received, "q").expect("readable");
        assert_eq!((message.id.as_str(), message.sent_at), ("m-1", Timestamp(1)));
    }
}
