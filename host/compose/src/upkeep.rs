//! What a host does for its store beside the messages: what may go is removed, and the room of what is gone given back.

mod retention;

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use towpath_local::{LocalQueue, Store};
use towpath_operate::queues::Queues;
use tracing::{error, info, warn};

use retention::{Retention, STEP};

/// How often.
const PERIOD: Duration = Duration::from_secs(60);

/// The file gives room back once so many of its pages are free, and so large a share: a queue that fills and empties again
/// and again would only have it taken and given back.
const FREE_PAGES: u32 = 1_000;
const FREE_SHARE: u32 = 4;

/// So many pages are given back in one transaction, and so long messages have the writer for themselves then.
const SHRINK_STEP: u32 = 100;
const SHRINK_PAUSE: Duration = Duration::from_millis(50);

/// Looks after a store until `stop` is cancelled. Dead letters are removed only if somebody said how long they are kept.
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
                error!(problem = format!("{problem:#}"), "dead letters cannot be removed, keeping them");
            }
            shrink(queues.events.store()).await;
            sleep(PERIOD).await;
        }
    };
    stop.run_until_cancelled(work).await;
}

/// Removes what the front door refused, once it is past its retention.
async fn sweep(queue: &LocalQueue) {
    loop {
        match queue.sweep(STEP).await {
            Ok(0) => return,
            Ok(removed) => info!(removed, "refused webhooks past their retention were removed"),
            Err(error) => return warn!(error = &error as &dyn std::error::Error, "sweep failed"),
        }
    }
}

/// Removes what is past its retention in the queues that clients of the SQS endpoint own, and finishes what they broke off.
async fn tidy(store: &Store) {
    match store.tidy().await {
        Ok(0) => {}
        Ok(removed) => info!(removed, "messages past the retention of their queues were removed"),
        Err(error) => warn!(error = &error as &dyn std::error::Error, "queues of clients cannot be tidied"),
    }
}

/// Gives free pages of the file back.
async fn shrink(store: &Store) {
    loop {
        match store.shrink(FREE_PAGES, FREE_SHARE, SHRINK_STEP).await {
            Ok(true) => sleep(SHRINK_PAUSE).await,
            Ok(false) => return,
            Err(error) => return warn!(error = &error as &dyn std::error::Error, "the store cannot be made smaller"),
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use towpath_local::KEPT_FOR_EVER;

    use super::*;

    #[tokio::test]
    async fn nothing_that_waits_is_removed_unless_somebody_said_so() {
        let folder = TempDir::new().expect("folder");
        let queues = Queues::open(folder.path()).await.expect("store");
        for queue in [&queues.events, &queues.dead_letters] {
            assert_eq!(queue.settings().retention, KEPT_FOR_EVER);
        }
        assert_eq!(queues.refused.settings().retention, Duration::from_secs(24 * 3600));
    }
}
