//! What a queue is set to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use towpath_types::clock::Timestamp;
use towpath_types::queue::{MAX_MESSAGE_BYTES, MAX_RETENTION};

/// The retention of a queue that no message is removed from by its age.
pub const KEPT_FOR_EVER: Duration = Duration::from_secs(1000 * 365 * 24 * 3600);

/// The settings of one queue, with the defaults of SQS but for retention, which is the longest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct QueueSettings {
    /// Whether messages of a group come in order. In a standard queue every message is a group of its own.
    #[serde(default = "yes")]
    pub fifo: bool,
    /// How long a received message stays invisible, unless the receive says otherwise.
    pub visibility: Duration,
    /// How long a message is kept.
    pub retention: Duration,
    /// How long a message stays invisible after its send, unless the send says otherwise.
    #[serde(default)]
    pub delay: Duration,
    /// How long a receive waits, unless it says otherwise.
    #[serde(default)]
    pub wait: Duration,
    /// Among which messages a deduplication id is unique.
    pub dedup_scope: DedupScope,
    /// Whether a message that is sent without a deduplication id gets the SHA-256 of its body as one.
    #[serde(default)]
    pub content_based_dedup: bool,
    /// The most bytes of body and attributes together.
    pub max_message_bytes: usize,
    /// When a message moves to a dead-letter queue by itself.
    pub redrive: Option<RedrivePolicy>,
    /// Attributes of SQS that mean nothing here, such as `Policy`: kept and told.
    #[serde(default)]
    pub other: BTreeMap<String, String>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// When the queue was made.
    #[serde(default)]
    pub created_at: Timestamp,
    /// When it was set anew.
    #[serde(default)]
    pub modified_at: Timestamp,
}

impl QueueSettings {
    /// Which queues may use this one as their dead-letter queue; nothing if that was never said.
    pub(crate) fn redrive_allow(&self) -> Option<RedriveAllow> {
        self.other.get(REDRIVE_ALLOW).and_then(|text| RedriveAllow::read(text).ok())
    }
}

fn yes() -> bool {
    true
}

impl Default for QueueSettings {
    fn default() -> QueueSettings {
        QueueSettings {
            fifo: true,
            visibility: Duration::from_secs(30),
            retention: MAX_RETENTION,
            delay: Duration::ZERO,
            wait: Duration::ZERO,
            dedup_scope: DedupScope::Queue,
            content_based_dedup: false,
            max_message_bytes: MAX_MESSAGE_BYTES,
            redrive: None,
            other: BTreeMap::new(),
            tags: BTreeMap::new(),
            created_at: Timestamp::default(),
            modified_at: Timestamp::default(),
        }
    }
}

/// `DeduplicationScope` of SQS.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DedupScope {
    /// In the whole queue.
    Queue,
    /// Among the messages of one group.
    MessageGroup,
}

/// `RedrivePolicy` of SQS.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RedrivePolicy {
    /// The name of the dead-letter queue, in the same store.
    pub dead_letter_queue: String,
    /// A message that was received so often moves on its next receive.
    pub max_receive_count: u32,
}

/// The attribute of SQS that says which queues may use a queue as their dead-letter queue.
pub const REDRIVE_ALLOW: &str = "RedriveAllowPolicy";

/// `RedriveAllowPolicy` of SQS.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedriveAllow {
    redrive_permission: RedrivePermission,
    source_queue_arns: Option<BTreeSet<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum RedrivePermission {
    AllowAll,
    DenyAll,
    ByQueue,
}

/// What is wrong with a `RedriveAllowPolicy`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RedriveAllowError {
    /// It is no such policy.
    Format,
    /// `byQueue` without queues.
    NoQueues,
    /// Queues without `byQueue`.
    Queues,
    /// More queues than SQS takes.
    TooMany,
}

impl RedriveAllow {
    /// The most source queues that can be named. Source: the `SetQueueAttributes` API.
    const MAX: usize = 10;

    /// Reads the text of the attribute.
    pub fn read(text: &str) -> Result<RedriveAllow, RedriveAllowError> {
        let policy: RedriveAllow = serde_json::from_str(text).map_err(|_| RedriveAllowError::Format)?;
        match (policy.redrive_permission, &policy.source_queue_arns) {
            (RedrivePermission::ByQueue, None) => Err(RedriveAllowError::NoQueues),
            (RedrivePermission::ByQueue, Some(arns)) if arns.is_empty() => Err(RedriveAllowError::NoQueues),
            (RedrivePermission::ByQueue, Some(arns)) if arns.len() > RedriveAllow::MAX => {
                Err(RedriveAllowError::TooMany)
            }
            (RedrivePermission::AllowAll | RedrivePermission::DenyAll, Some(_)) => Err(RedriveAllowError::Queues),
            _ => Ok(policy),
        }
    }

    /// The ARNs of the queues that it names.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.source_queue_arns.iter().flatten().map(String::as_str)
    }

    /// Whether the queue of this name may use the one with this policy, whatever region and account its ARN names.
    pub fn allows(&self, queue: &str) -> bool {
        match self.redrive_permission {
            RedrivePermission::AllowAll => true,
            RedrivePermission::DenyAll => false,
            RedrivePermission::ByQueue => self.sources().any(|arn| arn.rsplit(':').next() == Some(queue)),
        }
    }
}
