//! The queues of a local store.

use std::path::Path;
use std::time::Duration;

use towpath_local::{DedupScope, KEPT_FOR_EVER, LocalQueue, QueueSettings, Store};
use towpath_types::clock::Clock;

/// The queue of messages to deliver.
pub const EVENTS: &str = "events.fifo";
/// The dead-letter queue.
pub const DEAD_LETTERS: &str = "events-dead.fifo";
/// The queue of webhooks that ingest turned away.
pub const REFUSED: &str = "events-refused.fifo";

/// The file with the story of messages, in the folder of the store.
pub const STORY: &str = "story.jsonl";

/// How long webhooks that ingest turned away are kept.
const KEEP_REFUSED: Duration = Duration::from_secs(24 * 3600);

/// The largest message of the local queue: a body of 1 MiB in its envelope, with headers.
const MAX_LOCAL_MESSAGE: usize = 2 * 1024 * 1024;

/// The queues of a store.
#[derive(Clone)]
pub struct Queues {
    /// Messages to deliver.
    pub events: LocalQueue,
    /// Dead letters.
    pub dead_letters: LocalQueue,
    /// Webhooks that ingest turned away.
    pub refused: LocalQueue,
}

impl Queues {
    /// Opens the store in this folder, or creates it.
    pub async fn open(folder: &Path) -> anyhow::Result<Queues> {
        let store = Store::open(folder, Clock::wall())?;
        let settings = QueueSettings {
            dedup_scope: DedupScope::MessageGroup,
            max_message_bytes: MAX_LOCAL_MESSAGE,
            // Only the pipeline gives up old messages, and records why.
            retention: KEPT_FOR_EVER,
            ..QueueSettings::default()
        };
        let dead_letters = store.queue(DEAD_LETTERS, settings.clone()).await?;
        let refused = store.queue(REFUSED, QueueSettings { retention: KEEP_REFUSED, ..settings.clone() }).await?;
        let events = store.queue(EVENTS, settings).await?;
        Ok(Queues { events, dead_letters, refused })
    }

    /// Opens the store in this folder without changing or creating anything.
    pub async fn look(folder: &Path) -> anyhow::Result<Queues> {
        let store = Store::look(folder, Clock::wall())?;
        Ok(Queues {
            events: store.look_for(EVENTS).await?,
            dead_letters: store.look_for(DEAD_LETTERS).await?,
            refused: store.look_for(REFUSED).await?,
        })
    }
}
