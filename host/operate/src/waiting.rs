//! How much waits in a queue.

use towpath_local::LocalQueue;
use towpath_types::clock::Timestamp;

/// How much waits in a queue, as far as the queue tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// All messages.
    pub messages: u64,
    /// Messages in flight or delayed.
    pub invisible: u64,
    /// The number of their groups.
    pub groups: Option<u64>,
    /// When the oldest of them was stored.
    pub oldest: Option<Timestamp>,
}

impl Waiting {
    /// Reads a queue of a local store.
    pub async fn of(queue: &LocalQueue) -> anyhow::Result<Waiting> {
        let depth = queue.depth().await?;
        Ok(Waiting {
            messages: depth.messages,
            invisible: depth.invisible,
            groups: Some(depth.groups),
            oldest: depth.oldest,
        })
    }
}
