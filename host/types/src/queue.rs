//! The queue as the host sees it: SQS FIFO, or the local queue that behaves like it.

mod limits;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use limits::{LONGEST_WAIT, QueueLimits, hidden_at_most};

use crate::body::Body;
use crate::clock::Timestamp;

/// Most messages per receive. Source: the `ReceiveMessage` API of SQS.
pub const MAX_BATCH: usize = 10;

/// Longest long poll. Source: the `ReceiveMessage` API of SQS.
pub const MAX_WAIT: Duration = Duration::from_secs(20);

/// How long a message can be held after its receive, all extensions included. Source: the `ChangeMessageVisibility` API
/// of SQS.
pub const MAX_VISIBILITY: Duration = Duration::from_secs(12 * 60 * 60);

/// Limit of SQS for a message, body and attributes together.
pub const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

/// Longest retention. Source: `MessageRetentionPeriod` of SQS.
pub const MAX_RETENTION: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// Longest group id or deduplication id. Source: the `SendMessage` API of SQS.
pub const MAX_ID: usize = 128;

/// Whether SQS accepts this text as a group id or deduplication id: 1–[`MAX_ID`] letters, digits and punctuation.
pub fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_ID && text.bytes().all(may_be_in_id)
}

/// Whether SQS accepts this character in a group id or deduplication id.
pub fn may_be_in_id(byte: u8) -> bool {
    byte.is_ascii_graphic()
}

/// 2006-01-01: SQS has no older message.
const FIRST_MESSAGE: Timestamp = Timestamp(1_136_073_600_000);

/// When a message was sent; if that is missing or not a time, when it was first received, or else now. An age that is
/// too low only prolongs retries; one that is too high would dead-letter a message that was never attempted.
pub fn sent_at(sent: Option<&str>, first_received: Option<&str>, now: Timestamp) -> Timestamp {
    let time = |text: &str| text.parse().ok().map(Timestamp).filter(|time| *time >= FIRST_MESSAGE);
    sent.and_then(time).or_else(|| first_received.and_then(time)).unwrap_or(now)
}

macro_rules! text_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                $name(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                $name(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

text_newtype!(
    /// The id that the queue assigned to a message when it was sent.
    MessageId
);
text_newtype!(
    /// A message group id. Order holds within a group. A queue checks it by [`is_id`] when a message is sent.
    GroupId
);
text_newtype!(
    /// A deduplication id: a second message with the same id within five minutes is a duplicate. A queue checks it by
    /// [`is_id`] when a message is sent.
    DedupId
);
text_newtype!(
    /// A receipt handle: identifies one receive of one message.
    Handle
);

/// The value of a message attribute.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttributeValue {
    /// Data type `String` or `Number`.
    Text(String),
    /// Data type `Binary`.
    Binary(Vec<u8>),
}

/// A message attribute: a data type such as `String`, `Number.int` or `Binary.png`, and a value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Attribute {
    /// The data type as sent.
    pub data_type: Cow<'static, str>,
    pub value: AttributeValue,
}

impl Attribute {
    /// An attribute of type `String`.
    pub fn text(value: impl Into<String>) -> Attribute {
        Attribute { data_type: Cow::Borrowed("String"), value: AttributeValue::Text(value.into()) }
    }

    /// The text, if it is a `String` or a `Number`.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            AttributeValue::Text(text) => Some(text),
            AttributeValue::Binary(_) => None,
        }
    }
}

impl Attribute {
    /// Bytes that count towards the message size. Source: `SendMessage` of SQS, which counts names, types and values.
    pub fn size(&self, name: &str) -> usize {
        let value = match &self.value {
            AttributeValue::Text(text) => text.len(),
            AttributeValue::Binary(bytes) => bytes.len(),
        };
        name.len() + self.data_type.len() + value
    }
}

pub type Attributes = BTreeMap<String, Attribute>;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewMessage {
    pub group: GroupId,
    /// `None` is for standard queues, and for FIFO queues with content-based deduplication.
    pub dedup_id: Option<DedupId>,
    pub body: Body,
    /// At most 10.
    pub attributes: Attributes,
}

impl NewMessage {
    /// The size in bytes as SQS counts it: body, and names, types and values of attributes.
    pub fn size(&self) -> usize {
        self.body.len() + self.attributes.iter().map(|(name, attribute)| attribute.size(name)).sum::<usize>()
    }
}

/// Proof that a sender signed its webhook at a given time. The same proof can be replayed until it expires.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    /// A digest of everything that was signed.
    pub id: String,
    /// When the proof expires.
    pub until: Timestamp,
}

impl Proof {
    /// The same proof, bound to one route.
    #[must_use]
    pub fn of_route(self, route: &str) -> Proof {
        let digest = Sha256::new().chain_update(route).chain_update(b"\0").chain_update(&self.id).finalize();
        Proof { id: hex::encode(digest), ..self }
    }
}

/// What is known of an arriving webhook besides its message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Arrival {
    /// The sender's proof, if it can be replayed.
    pub proof: Option<Proof>,
    /// The group that an earlier version would have given it, if that differs.
    pub former_group: Option<GroupId>,
    /// Whether its deduplication id was made up for it, so that no other message has the same.
    pub is_unique: bool,
}

/// One of the messages that a webhook becomes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    pub message: NewMessage,
    /// The group that an earlier version would have given it, if that differs.
    pub former_group: Option<GroupId>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    /// The id of the message; for a duplicate, that of the first one.
    pub id: MessageId,
    /// The sequence number, if the queue assigns one.
    pub sequence: Option<String>,
}

/// What a queue holds of one route.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Held {
    pub messages: u64,
    pub bytes: u64,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Holdings {
    /// Approximate.
    pub messages: u64,
    /// The dead letters of each route, and their approximate size; SQS does not provide it.
    pub routes: BTreeMap<String, Held>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Received {
    pub id: MessageId,
    /// A message without a group, from a standard queue, is a group of its own.
    pub group: GroupId,
    /// The deduplication id of the send.
    pub dedup_id: Option<DedupId>,
    /// Grows within a group.
    pub sequence: Option<String>,
    /// Receives so far, including this one; at least 1.
    pub receive_count: u32,
    pub sent_at: Timestamp,
    pub body: Body,
    pub attributes: Attributes,
    /// The trace that the sender gave to the queue: the system attribute `AWSTraceHeader`.
    pub trace: Option<String>,
    /// The handle of this receive.
    pub handle: Handle,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receive {
    /// At most this many messages: 1–[`MAX_BATCH`].
    pub max: usize,
    /// How long to wait for one: at most [`MAX_WAIT`].
    pub wait: Duration,
    /// How long the received messages stay invisible to others. `None` is the queue's default.
    pub visibility: Option<Duration>,
    /// `ReceiveRequestAttemptId`: the same id within five minutes returns the same messages, unless one of them was
    /// deleted or changed since.
    pub attempt_id: Option<String>,
}

impl Default for Receive {
    /// The largest batch, without waiting, for the queue's own visibility timeout.
    fn default() -> Receive {
        Receive { max: MAX_BATCH, wait: Duration::ZERO, visibility: None, attempt_id: None }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The handle's visibility timeout ran out, or the message was received again since.
    #[error("the receipt handle has expired")]
    HandleExpired,
    /// The handle does not belong to this queue.
    #[error("the receipt handle is not valid")]
    HandleInvalid,
    /// The message is gone or not in flight.
    #[error("the message does not exist or is not available for a visibility timeout change")]
    NotInFlight,
    /// The request breaks a limit of the queue.
    #[error("{0}")]
    Invalid(String),
    #[error("there is no queue {queue}")]
    NoSuchQueue { queue: String },
    /// The message exceeds the queue's size limit.
    #[error("{said}")]
    TooLong {
        /// The limit in bytes, body and attributes together, if known.
        most: Option<usize>,
        /// The queue's own error text.
        said: String,
    },
    /// The queue could not be reached or could not store.
    #[error("queue {queue} is not available")]
    Unavailable { queue: String, source: Box<dyn std::error::Error + Send + Sync> },
}

/// A FIFO queue with receipt handles and visibility timeouts.
///
/// The deliverable messages of a group are its longest prefix of visible ones; an in-flight message blocks all later
/// ones of its group.
#[async_trait]
pub trait Queue: Send + Sync + 'static {
    /// An ARN or URL on AWS. Plugins see it as `source`.
    fn name(&self) -> &str;

    /// The size limit of a message in bytes, body and attributes together, as far as known.
    fn max_message_bytes(&self) -> usize {
        MAX_MESSAGE_BYTES
    }

    /// Stores a message. Resolves once the message survives a crash. A duplicate within five minutes succeeds and
    /// returns the first message's id.
    async fn send(&self, message: NewMessage) -> Result<Sent, QueueError>;

    /// Stores an arriving webhook, like [`Queue::send`]. A queue that can does two more things in the same transaction:
    /// it remembers the proof until it expires, so that a webhook with a stored proof is a duplicate whatever its
    /// deduplication id; and it orders the webhook behind what an earlier version stored for the same key. SQS can do
    /// neither.
    async fn arrive(&self, message: NewMessage, _: Arrival) -> Result<Sent, QueueError> {
        self.send(message).await
    }

    /// Stores the messages of one arriving webhook, like [`Queue::arrive`]. Those of one group are stored in order. Returns
    /// what was stored, or was stored before, in the order of the parts; of a webhook whose proof is known, perhaps only the
    /// first.
    ///
    /// A queue that can stores all of them or none. SQS can fail halfway: then nothing is stored behind the failure, and
    /// sending the same again, with the same deduplication ids, completes it.
    async fn arrive_all(&self, parts: Vec<Part>, _: Option<Proof>) -> Result<Vec<Sent>, QueueError> {
        let mut sent = Vec::with_capacity(parts.len());
        for Part { message, former_group } in parts {
            sent.push(self.arrive(message, Arrival { former_group, ..Arrival::default() }).await?);
        }
        Ok(sent)
    }

    /// What the queue holds, as far as it can tell.
    async fn holdings(&self) -> Result<Option<Holdings>, QueueError> {
        Ok(None)
    }

    /// Receives up to `max` messages; those of one group are adjacent and in order.
    async fn receive(&self, request: Receive) -> Result<Vec<Received>, QueueError>;

    /// Whether the answer of a receive can get lost. Only then is an attempt id worth its cost.
    fn loses_answers(&self) -> bool {
        true
    }

    /// Deletes messages; returns one result per handle, in order. Deleting twice is not an error.
    async fn delete(&self, handles: &[Handle]) -> Vec<Result<(), QueueError>>;

    /// Hides messages for these durations from now on, in the given order; zero releases them at once. Returns one
    /// result per change, in order.
    async fn change_visibility(&self, changes: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>>;

    /// Like [`Queue::change_visibility`], once no work on the messages is under way. A queue that can tells it from a
    /// heartbeat: nothing may shorten these waits, not even after a crash.
    async fn release(&self, changes: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        self.change_visibility(changes).await
    }

    /// How long a message can wait here.
    async fn limits(&self) -> Result<QueueLimits, QueueError>;

    /// Whether the queue stores messages of this group; `None` if it cannot tell, like SQS. Unverified dead letters do
    /// not count: anybody could have caused them.
    async fn has_group(&self, group: &GroupId) -> Result<Option<bool>, QueueError>;
}
