//! Maintains a host's store: releases the leases of killed hosts, removes what has expired, and shrinks the file.

mod retention;

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use towpath_local::{LocalQueue, Store};
use towpath_operate::queues::Queues;
use tracing::{error, info, warn};

use retention::{Retention, STEP};

/// How often the store is maintained.
const PERIOD: Duration = Duration::from_secs(60);

/// The file shrinks once this many pages, and at least one in this many, are free. Otherwise a queue that fills and empties in turn would
/// shrink and grow it all the time.
const FREE_PAGES: u32 = 1_000;
const FREE_SHARE: u32 = 4;

/// The pages freed in one transaction, and the pause after it, in which messages have the writer for themselves.
const SHRINK_STEP: u32 = 100;
const SHRINK_PAUSE: Duration = Duration::from_millis(50);

/// Maintains a store until `stop` is cancelled. Removes dead letters only if `keep` says how long they are kept.
pub(crate) async fn run(queues: Queues, keep: Option<Duration>, stop: CancellationToken) {
    let retention = keep.map(|keep| Retention::new(queues.dead_letters.clone(), keep));
    let work = async {
        if retention.is_none() {
            retention::forget(queues.dead_letters.store()).await;
        }
        loop {
            // First, because messages wait for it.
            release(queues.events.store()).await;
            sweep(&queues.refused).await;
            tidy(queues.events.store()).await;
            if let Some(retention) = &retention
                && let Err(problem) = retention.pass().await
            {
                error!(problem = format!("{problem:#}"), "removing dead letters failed, keeping them");
            }
            shrink(queues.events.store()).await;
            sleep(PERIOD).await;
        }
    };
    stop.run_until_cancelled(work).await;
}

/// Releases the leases of hosts that were killed.
async fn release(store: &Store) {
    if let Err(error) = store.release_gone().await {
        warn!(
            error = &error as &dyn std::error::Error,
            "leases of hosts that were killed cannot be released, they run out"
        );
    }
}

/// Removes expired webhooks that ingest turned away.
async fn sweep(queue: &LocalQueue) {
    loop {
        match queue.sweep(STEP).await {
            Ok(0) => return,
            Ok(removed) => info!(removed, "removed expired webhooks that ingest turned away"),
            Err(error) => {
                return warn!(
                    error = &error as &dyn std::error::Error,
                    "expired webhooks that ingest turned away cannot be removed, trying again at the next sweep"
                );
            }
        }
    }
}

/// Removes expired messages from queues that belong to clients of the SQS endpoint, and finishes interrupted operations on them.
async fn tidy(store: &Store) {
    match store.tidy().await {
        Ok(0) => {}
        Ok(removed) => info!(removed, "removed expired messages from queues of clients"),
        Err(error) => warn!(error = &error as &dyn std::error::Error, "maintaining the queues of clients failed"),
    }
}

/// Shrinks the file by its free pages.
async fn shrink(store: &Store) {
    loop {
        match store.shrink(FREE_PAGES, FREE_SHARE, SHRINK_STEP).await {
            Ok(true) => sleep(SHRINK_PAUSE).await,
            Ok(false) => return,
            Err(error) => return warn!(error = &error as &dyn std::error::Error, "shrinking the store failed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tempfile::TempDir;
    use towpath_local::{KEPT_FOR_EVER, QueueSettings};
    use towpath_types::clock::Clock;
    use towpath_types::queue::{NewMessage, Queue as _};

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[tokio::test]
    async fn what_is_past_its_retention_is_removed_and_its_room_given_back_though_nobody_receives() {
        static AHEAD: AtomicU64 = AtomicU64::new(0);
        let folder = TempDir::new().expect("folder");
        let store = Store::open(folder.path(), Clock::wall().shifted(&AHEAD)).expect("store");
        let kept = |retention| QueueSettings { retention, ..QueueSettings::default() };
        let queues = Queues {
            events: store.queue("events.fifo", kept(KEPT_FOR_EVER)).await.expect("queue"),
            dead_letters: store.queue("dead.fifo", kept(KEPT_FOR_EVER)).await.expect("queue"),
            refused: store.queue("refused.fifo", kept(DAY)).await.expect("queue"),
        };
        let of_a_client = store.queue("client.fifo", kept(DAY)).await.expect("queue");
        for queue in [&queues.events, &queues.refused, &of_a_client] {
            for n in 0..10 {
                let body = "x".repeat(500_000);
                let attributes = Default::default();
                let message = NewMessage {
                    group: "g".into(),
                    dedup_id: Some(n.to_string().into()),
                    body: body.into(),
                    attributes,
                };
                queue.send(message).await.expect("send");
            }
        }
        AHEAD.store(DAY.as_millis() as u64, Ordering::SeqCst);
        let look = rusqlite::Connection::open(store.file()).expect("store");
        let free_pages = || look.query_row("PRAGMA freelist_count", [], |row| row.get::<_, u32>(0)).expect("a number");
        let messages = |queue: &LocalQueue| queue.standing().expect("counts").messages;
        let stop = CancellationToken::new();
        let done = async {
            while messages(&queues.refused) + messages(&of_a_client) > 0 || free_pages() >= FREE_PAGES {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let done = async {
            let done = tokio::time::timeout(Duration::from_secs(60), done).await;
            stop.cancel();
            done
        };
        let ((), done) = tokio::join!(run(queues.clone(), None, stop.clone()), done);
        done.expect("within a minute");
        assert_eq!(messages(&queues.events), 10);
    }

    #[tokio::test]
    async fn nothing_that_waits_expires_unless_the_config_says_so() {
        let folder = TempDir::new().expect("folder");
        let queues = Queues::open(folder.path()).await.expect("store");
        for queue in [&queues.events, &queues.dead_letters] {
            assert_eq!(queue.settings().retention, KEPT_FOR_EVER);
        }
        assert_eq!(queues.refused.settings().retention, Duration::from_secs(24 * 3600));
    }
}
