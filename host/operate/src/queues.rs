//! The queues of a local store.

use std::path::Path;
use std::time::Duration;

use towpath_local::{DedupScope, KEPT_FOR_EVER, LocalQueue, QueueSettings, Store};
use towpath_types::clock::Clock;

/// The names of the queues in a store: of what is to be delivered,
pub const EVENTS: &str = "events.fifo";
/// of what could not be,
pub const DEAD_LETTERS: &str = "events-dead.fifo";
/// and of what the front door refused.
pub const REFUSED: &str = "events-refused.fifo";

/// The story of messages, in the folder of the store.
pub const STORY: &str = "story.jsonl";

/// How long what the front door refused is kept.
const KEEP_REFUSED: Duration = Duration::from_secs(24 * 3600);

/// A message of the local queue may be this large: a body of 1 MiB in its envelope, with headers.
const MAX_LOCAL_MESSAGE: usize = 2 * 1024 * 1024;

/// The queues of a store: events, dead letters, and what the front door refused.
#[derive(Clone)]
pub struct Queues {
    /// What is to be delivered.
    pub events: LocalQueue,
    /// What could not be.
    pub dead_letters: LocalQueue,
    /// What the front door refused.
    pub refused: LocalQueue,
}

impl Queues {
    /// Opens the store in this folder, or makes it.
    pub async fn open(folder: &Path) -> anyhow::Result<Queues> {
        let store = Store::open(folder, Clock::wall())?;
        let settings = QueueSettings {
            dedup_scope: DedupScope::MessageGroup,
            max_message_bytes: MAX_LOCAL_MESSAGE,
            // The pipeline gives up what is too old, and says why; nothing else does.
            retention: KEPT_FOR_EVER,
            ..QueueSettings::default()
        };
        let dead_letters = store.queue(DEAD_LETTERS, settings.clone()).await?;
        let refused = store.queue(REFUSED, QueueSettings { retention: KEEP_REFUSED, ..settings.clone() }).await?;
        let events = store.queue(EVENTS, settings).await?;
        Ok(Queues { events, dead_letters, refused })
    }

    /// Opens the store in this folder for a look: it stays as it is until something is changed.
    pub async fn look(folder: &Path) -> anyhow::Result<Queues> {
        let store = Store::look(folder, Clock::wall())?;
        Ok(Queues {
            events: store.look_for(EVENTS).await?,
            dead_letters: store.look_for(DEAD_LETTERS).await?,
            refused: store.look_for(REFUSED).await?,
        })
    }
}
