//! What a queue is set to.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use towpath_core::queue::{MAX_MESSAGE_BYTES, MAX_RETENTION};

/// The settings of one queue, with the defaults of SQS but for retention, which is the longest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct QueueSettings {
    /// How long a received message stays invisible, unless the receive says otherwise.
    pub visibility: Duration,
    /// How long a message is kept.
    pub retention: Duration,
    /// Among which messages a deduplication id is unique.
    pub dedup_scope: DedupScope,
    /// Whether a message that is sent without a deduplication id gets the SHA-256 of its body as one.
    #[serde(default)]
    pub content_based_dedup: bool,
    /// The most bytes of body and attributes together.
    pub max_message_bytes: usize,
    /// When a message moves to a dead-letter queue by itself.
    pub redrive: Option<RedrivePolicy>,
}

impl Default for QueueSettings {
    fn default() -> QueueSettings {
        QueueSettings {
            visibility: Duration::from_secs(30),
            retention: MAX_RETENTION,
            dedup_scope: DedupScope::Queue,
            content_based_dedup: false,
            max_message_bytes: MAX_MESSAGE_BYTES,
            redrive: None,
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
