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

use crate::clock::Timestamp;

/// The most that one receive returns. Source: the `ReceiveMessage` API of SQS.
pub const MAX_BATCH: usize = 10;

/// The longest that a receive may wait. Source: the `ReceiveMessage` API of SQS.
pub const MAX_WAIT: Duration = Duration::from_secs(20);

/// How long a message can be held from its receive on, all changes together. Source: the
/// `ChangeMessageVisibility` API of SQS.
pub const MAX_VISIBILITY: Duration = Duration::from_secs(12 * 60 * 60);

/// The most that a message may hold, body and attributes together, on SQS.
pub const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

/// The longest a queue keeps a message. Source: `MessageRetentionPeriod` of SQS.
pub const MAX_RETENTION: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// The longest a group id or deduplication id can be. Source: the `SendMessage` API of SQS.
pub const MAX_ID: usize = 128;

/// Whether SQS takes this text as a group id or deduplication id: letters, digits, punctuation.
pub fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_ID && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// 2006-01-01: SQS has no message that is older.
const FIRST_MESSAGE: Timestamp = Timestamp(1_136_073_600_000);

/// When a message was sent; where that is missing or no time, when it was first received, and in the end now. Too young, a
/// message is tried for longer than it should be; too old, it would be given up untried.
pub fn sent_at(sent: Option<&str>, first_received: Option<&str>, now: Timestamp) -> Timestamp {
    let time = |text: &str| text.parse().ok().map(Timestamp).filter(|time| *time >= FIRST_MESSAGE);
    sent.and_then(time).or_else(|| first_received.and_then(time)).unwrap_or(now)
}

macro_rules! text_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The text.
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
    };
}

text_newtype!(
    /// The id that the queue gave a message when it was sent.
    MessageId
);
text_newtype!(
    /// A message group id: 1–128 letters, digits and punctuation. Order holds inside a group.
    GroupId
);
text_newtype!(
    /// A receipt handle: names one receive of one message.
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
    /// The data type as it was sent.
    pub data_type: Cow<'static, str>,
    /// The value.
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
    /// How much of a message it takes under this name. Source: `SendMessage` of SQS, which counts names, types and values.
    pub fn size(&self, name: &str) -> usize {
        let value = match &self.value {
            AttributeValue::Text(text) => text.len(),
            AttributeValue::Binary(bytes) => bytes.len(),
        };
        name.len() + self.data_type.len() + value
    }
}

/// Message attributes by name.
pub type Attributes = BTreeMap<String, Attribute>;

/// A message to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewMessage {
    /// Its group.
    pub group: GroupId,
    /// Its deduplication id: 1–128 letters, digits and punctuation. It may be empty only for a queue with
    /// content-based deduplication.
    pub dedup_id: String,
    /// Its body: an envelope, or text as a SaaS sent it.
    pub body: String,
    /// Its attributes, at most 10.
    pub attributes: Attributes,
}

impl NewMessage {
    /// How large it is: body, and names, types and values of attributes.
    pub fn size(&self) -> usize {
        self.body.len() + self.attributes.iter().map(|(name, attribute)| attribute.size(name)).sum::<usize>()
    }
}

/// That a sender proved what it sent, at a time that it signed: the same proof can come again until then.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    /// A digest of all that was signed.
    pub id: String,
    /// When it is too old to prove anything.
    pub until: Timestamp,
}

impl Proof {
    /// The same proof, for one route.
    #[must_use]
    pub fn of_route(self, route: &str) -> Proof {
        let digest = Sha256::new().chain_update(route).chain_update(b"\0").chain_update(&self.id).finalize();
        Proof { id: hex::encode(digest), ..self }
    }
}

/// What is known of a webhook that arrives, beside its message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Arrival {
    /// What its sender proved, where that can come again.
    pub proof: Option<Proof>,
    /// The group that an earlier version gave it, where that is another one.
    pub former_group: Option<GroupId>,
}

/// What a queue answers to a send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    /// The id of the message; of the first one, if this was a duplicate.
    pub id: MessageId,
    /// The queue's sequence number, if it gives one.
    pub sequence: Option<String>,
}

/// What a queue holds of one route.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Held {
    /// How many messages.
    pub messages: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// What a queue holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Holdings {
    /// How many messages, about.
    pub messages: u64,
    /// How many of its dead letters are of which route, and about how many bytes they take; a queue of SQS does not tell.
    pub routes: BTreeMap<String, Held>,
}

/// A message as it was received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Received {
    /// Its id.
    pub id: MessageId,
    /// Its group. A message of a standard queue without one is a group of its own.
    pub group: GroupId,
    /// The deduplication id it was sent with.
    pub dedup_id: Option<String>,
    /// Its sequence number; grows within a group.
    pub sequence: Option<String>,
    /// How often it was received, this time included; at least 1.
    pub receive_count: u32,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// Its body.
    pub body: String,
    /// Its attributes.
    pub attributes: Attributes,
    /// The trace that the queue was told of: the system attribute `AWSTraceHeader`.
    pub trace: Option<String>,
    /// The handle of this receive.
    pub handle: Handle,
}

/// What to receive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receive {
    /// At most so many messages: 1–[`MAX_BATCH`].
    pub max: usize,
    /// How long to wait for one: at most [`MAX_WAIT`].
    pub wait: Duration,
    /// How long what is received stays invisible to others. `None` is the queue's default.
    pub visibility: Option<Duration>,
    /// `ReceiveRequestAttemptId`: the same id within five minutes gives the same answer again, if
    /// nothing of it was deleted or changed since.
    pub attempt_id: Option<String>,
}

impl Default for Receive {
    /// As many as may be had, without waiting, for the queue's own visibility timeout.
    fn default() -> Receive {
        Receive { max: MAX_BATCH, wait: Duration::ZERO, visibility: None, attempt_id: None }
    }
}

/// Why a queue did not do what it was asked to do.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The handle's visibility ran out, or the message was received again since.
    #[error("the receipt handle has expired")]
    HandleExpired,
    /// No handle of this queue.
    #[error("the receipt handle is not valid")]
    HandleInvalid,
    /// The message is gone or not in flight.
    #[error("the message does not exist or is not available for a visibility timeout change")]
    NotInFlight,
    /// What was asked for breaks a limit of the queue.
    #[error("{0}")]
    Invalid(String),
    /// The queue was removed.
    #[error("there is no queue {queue}")]
    NoSuchQueue {
        /// The name that it had.
        queue: String,
    },
    /// The message is larger than the queue takes.
    #[error("{said}")]
    TooLong {
        /// The most bytes that it takes, body and attributes together, if it tells.
        most: Option<usize>,
        /// What the queue said.
        said: String,
    },
    /// The queue could not be reached or could not store.
    #[error("queue {queue} is not available")]
    Unavailable {
        /// The queue's name.
        queue: String,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A FIFO queue with receipt handles and visibility timeouts.
///
/// The deliverable messages of a group are its longest prefix of visible ones; an in-flight message
/// holds back all that come after it in its group.
#[async_trait]
pub trait Queue: Send + Sync + 'static {
    /// The queue's name: an ARN or URL on AWS. It is what plugins see as `source`.
    fn name(&self) -> &str;

    /// The most bytes that a message may have, body and attributes together, as far as it is known.
    fn max_message_bytes(&self) -> usize {
        MAX_MESSAGE_BYTES
    }

    /// Stores a message. When this returns, the message survives a crash. A duplicate within five
    /// minutes succeeds and returns the first message's id.
    async fn send(&self, message: NewMessage) -> Result<Sent, QueueError>;

    /// Stores a webhook that arrives, as [`Queue::send`] does. In the same transaction a queue that can remembers its proof for as
    /// long as that is good: what comes with a proof that is stored already is a duplicate, whatever its deduplication id.
    /// And it puts the webhook behind what an earlier version stored for the same key. SQS can do neither.
    async fn arrive(&self, message: NewMessage, _: Arrival) -> Result<Sent, QueueError> {
        self.send(message).await
    }

    /// What it holds, as far as it can tell.
    async fn holdings(&self) -> Result<Option<Holdings>, QueueError> {
        Ok(None)
    }

    /// Receives up to `max` messages; messages of one group stand together, in order.
    async fn receive(&self, request: Receive) -> Result<Vec<Received>, QueueError>;

    /// Whether the answer of a receive can be lost on its way here. Only then is an attempt id worth what it costs to remember.
    fn loses_answers(&self) -> bool {
        true
    }

    /// Deletes messages; one answer an entry, in order. Deleting twice is no error.
    async fn delete(&self, handles: &[Handle]) -> Vec<Result<(), QueueError>>;

    /// Makes messages invisible for so long from now on, in the order given; zero gives them back at
    /// once. One answer an entry, in order.
    async fn change_visibility(&self, changes: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>>;

    /// How long a message can wait here.
    async fn limits(&self) -> Result<QueueLimits, QueueError>;

    /// Whether messages of this group are stored; `None` if the queue cannot tell, as SQS cannot.
    /// Dead letters that were never verified do not count: anybody could have caused them.
    async fn has_group(&self, group: &GroupId) -> Result<Option<bool>, QueueError>;
}
