//! The settings of a queue, and its redrive policies.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use towpath_types::clock::Timestamp;
use towpath_types::queue::{MAX_MESSAGE_BYTES, MAX_RETENTION};

/// The retention of a queue that never expires messages.
pub const KEPT_FOR_EVER: Duration = Duration::from_secs(1000 * 365 * 24 * 3600);

/// The settings of one queue. The defaults are those of SQS, except for the retention, which is the longest that SQS allows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct QueueSettings {
    /// Whether the messages of a group are delivered in order. In a standard queue every message is a group of its own.
    #[serde(default = "yes")]
    pub fifo: bool,
    /// How long a received message stays invisible; a receive can override it.
    pub visibility: Duration,
    pub retention: Duration,
    /// How long a message stays invisible after its send; a send can override it.
    #[serde(default)]
    pub delay: Duration,
    /// How long a receive waits for a message; a receive can override it.
    #[serde(default)]
    pub wait: Duration,
    pub dedup_scope: DedupScope,
    /// Whether a message without a deduplication id gets the SHA-256 of its body as one.
    #[serde(default)]
    pub content_based_dedup: bool,
    /// The limit for body and attributes together.
    pub max_message_bytes: usize,
    pub redrive: Option<RedrivePolicy>,
    /// Attributes of SQS that have no effect here, such as `Policy`. They are stored and returned.
    #[serde(default)]
    pub other: BTreeMap<String, String>,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    #[serde(default)]
    pub created_at: Timestamp,
    /// When the settings last changed.
    #[serde(default)]
    pub modified_at: Timestamp,
}

impl QueueSettings {
    /// Which queues may use this one as their dead-letter queue. `None`, the default, allows all.
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
    /// An id is unique in the whole queue.
    Queue,
    /// An id is unique among the messages of one group.
    MessageGroup,
}

/// `RedrivePolicy` of SQS.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RedrivePolicy {
    /// The name of the dead-letter queue, in the same store.
    pub dead_letter_queue: String,
    /// A message that was received this many times is moved at its next receive.
    pub max_receive_count: u32,
}

/// The SQS attribute that says which queues may use a queue as their dead-letter queue.
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

/// Why a `RedriveAllowPolicy` is invalid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RedriveAllowError {
    /// The text is not such a policy.
    Format,
    /// `byQueue` without source queues.
    NoQueues,
    /// Source queues without `byQueue`.
    Queues,
    /// More source queues than SQS allows.
    TooMany,
}

impl RedriveAllow {
    /// The most source queues that can be named. Source: the `SetQueueAttributes` API.
    const MAX: usize = 10;

    /// Parses the text of the attribute.
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

    /// The ARNs of the source queues that it names.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.source_queue_arns.iter().flatten().map(String::as_str)
    }

    /// Whether the policy allows the queue of this name as a source. The region and account of an ARN are ignored.
    pub fn allows(&self, queue: &str) -> bool {
        match self.redrive_permission {
            RedrivePermission::AllowAll => true,
            RedrivePermission::DenyAll => false,
            RedrivePermission::ByQueue => self.sources().any(|arn| arn.rsplit(':').next() == Some(queue)),
        }
    }
}
