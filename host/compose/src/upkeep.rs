//! Maintains a host's store: removes what has expired, and shrinks the file.

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

/// Removes expired webhooks that ingest turned away.
async fn sweep(queue: &LocalQueue) {
    loop {
        match queue.sweep(STEP).await {
            Ok(0) => return,
            Ok(removed) => info!(removed, "removed expired webhooks that ingest turned away"),
            Err(error) => return warn!(error = &error as &dyn std::error::Error, "sweep failed"),
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
    use tempfile::TempDir;
    use towpath_local::KEPT_FOR_EVER;

    use super::*;

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
