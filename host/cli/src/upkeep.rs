//! What a host does for its store beside the messages: what may go is removed, and the room of what is gone given back.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use towpath_core::clock::Timestamp;
use towpath_core::telemetry;
use towpath_local::{Browsed, LocalQueue, Store};
use tracing::{error, info, warn};

use crate::audit::Audit;
use crate::compose::Queues;
use crate::letters::browsed_letter;

/// How often.
const PERIOD: Duration = Duration::from_secs(60);

/// So many messages are removed in one transaction.
const STEP: usize = 100;

/// So long before a dead letter is removed somebody is warned, or a tenth of the time that it is kept.
const WARNING: Duration = Duration::from_secs(24 * 3600);

/// The file gives room back once so many of its pages are free, and so large a share: a queue that fills and empties again
/// and again would only have it taken and given back.
const FREE_PAGES: u32 = 1_000;
const FREE_SHARE: u32 = 4;

/// So many pages are given back in one transaction, and so long messages have the writer for themselves then.
const SHRINK_STEP: u32 = 100;
const SHRINK_PAUSE: Duration = Duration::from_millis(50);

/// Looks after a store until `stop` is cancelled. Dead letters are removed only if somebody said how long they are kept.
pub(crate) async fn run(queues: Queues, keep: Option<Duration>, stop: CancellationToken) {
    let mut retention = keep.map(|keep| Retention::new(queues.dead_letters.clone(), keep));
    let work = async {
        loop {
            sweep(&queues.refused).await;
            tidy(queues.events.store()).await;
            if let Some(retention) = &mut retention
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

/// `dead_letters.keep`.
struct Retention {
    letters: LocalQueue,
    keep: Duration,
    /// The last letter that somebody was warned of: none behind it is removed.
    warned: Option<String>,
}

impl Retention {
    fn new(letters: LocalQueue, keep: Duration) -> Retention {
        Retention { letters, keep, warned: None }
    }

    /// Removes letters that were kept long enough, and warns of those that are next.
    async fn pass(&mut self) -> anyhow::Result<()> {
        let now = self.letters.store().now();
        let mut removed = 0;
        while let Some(warned) = &self.warned {
            let due = self.due(None, now - self.keep).await?;
            let due: Vec<Browsed> = due.into_iter().filter(|letter| letter.sequence <= *warned).collect();
            if due.is_empty() {
                break;
            }
            match self.remove(due).await? {
                // Somebody looks at them: they are tried again.
                0 => break,
                count => removed += count,
            }
        }
        if removed > 0 {
            warn!(removed, "dead letters were removed, as dead_letters.keep says; audit.jsonl has them");
        }
        let soon = now - self.keep + WARNING.min(self.keep / 10);
        let mut next = 0;
        loop {
            let due = self.due(self.warned.clone(), soon).await?;
            let Some(last) = due.last() else { break };
            self.warned = Some(last.sequence.clone());
            next += due.len();
        }
        if next > 0 {
            warn!(
                letters = next,
                "dead letters will be removed soon, as dead_letters.keep says: redrive them, or drop them"
            );
        }
        Ok(())
    }

    /// The letters behind this one that are kept since this time or longer, oldest first, as far as a transaction goes.
    async fn due(&self, after: Option<String>, since: Timestamp) -> anyhow::Result<Vec<Browsed>> {
        let letters = self.letters.browse(after.as_deref(), STEP).await?;
        Ok(letters.into_iter().take_while(|letter| letter.kept_since <= since).collect())
    }

    /// Writes letters down, then removes them. How many were there still.
    async fn remove(&self, letters: Vec<Browsed>) -> anyhow::Result<usize> {
        let folder = self.letters.store().file().parent().unwrap_or(Path::new("")).to_owned();
        let letters: Vec<_> = letters.into_iter().map(browsed_letter).collect();
        let note = format!("dead_letters.keep = {}", humantime::format_duration(self.keep));
        let written =
            tokio::task::spawn_blocking(move || Audit::in_folder(&folder).retention(&note, &letters).map(|()| letters));
        let letters = written.await.context("writing to the audit")??;
        let mut removed = 0;
        for letter in &letters {
            // Somebody may look at it, or have sent it back, meanwhile.
            if self.letters.discard(letter.sequence()).await? {
                telemetry::removed(letter.death.route.as_deref().unwrap_or_default(), &letter.death.reason);
                removed += 1;
            }
        }
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tempfile::TempDir;
    use towpath_core::clock::Clock;
    use towpath_core::queue::{NewMessage, Queue as _};
    use towpath_local::{KEPT_FOR_EVER, QueueSettings};

    use super::*;

    const DAY: u64 = 24 * 3600 * 1000;

    async fn letters(folder: &TempDir, clock: Clock) -> LocalQueue {
        let store = Store::open(folder.path(), clock).expect("store");
        let settings = QueueSettings { retention: KEPT_FOR_EVER, ..QueueSettings::default() };
        store.queue("events-dead.fifo", settings).await.expect("queue")
    }

    async fn dies(letters: &LocalQueue, id: &str) {
        let (group, dedup_id, body) = ("g".into(), id.replace(' ', "-"), id.to_owned());
        letters.send(NewMessage { group, dedup_id, body, attributes: Default::default() }).await.expect("send");
    }

    async fn bodies(letters: &LocalQueue) -> Vec<String> {
        letters.browse(None, 10_000).await.expect("letters").into_iter().map(|letter| letter.body).collect()
    }

    #[tokio::test]
    async fn a_letter_that_is_too_old_is_announced_written_down_and_removed_and_no_other() {
        static AHEAD: AtomicU64 = AtomicU64::new(0);
        let folder = TempDir::new().expect("folder");
        let letters = letters(&folder, Clock::wall().shifted(&AHEAD)).await;
        let mut retention = Retention::new(letters.clone(), Duration::from_secs(10 * 24 * 3600));
        for n in 0..STEP + 5 {
            dies(&letters, &format!("old {n}")).await;
        }
        AHEAD.fetch_add(8 * DAY, Ordering::Relaxed);
        dies(&letters, "young").await;
        retention.pass().await.expect("nothing to do");
        assert_eq!(retention.warned, None, "two days are left");
        AHEAD.fetch_add(3 * DAY, Ordering::Relaxed);
        retention.pass().await.expect("announced");
        assert!(retention.warned.is_some());
        assert_eq!(bodies(&letters).await.len(), STEP + 6, "nobody was told before");
        retention.pass().await.expect("removed");
        assert_eq!(bodies(&letters).await, ["young"]);
        let audit = std::fs::read_to_string(folder.path().join("audit.jsonl")).expect("audit");
        assert_eq!(audit.lines().count(), STEP + 5);
        let first: serde_json::Value = serde_json::from_str(audit.lines().next().expect("a line")).expect("JSON");
        assert_eq!([&first["action"], &first["reason"], &first["body"]], ["drop", "retention", "old 0"]);
        assert_eq!(first["note"], "dead_letters.keep = 10days");
    }

    #[tokio::test]
    async fn what_cannot_be_written_down_is_not_removed() {
        static AHEAD: AtomicU64 = AtomicU64::new(0);
        let folder = TempDir::new().expect("folder");
        let letters = letters(&folder, Clock::wall().shifted(&AHEAD)).await;
        let mut retention = Retention::new(letters.clone(), Duration::from_secs(3600));
        dies(&letters, "old").await;
        AHEAD.fetch_add(DAY, Ordering::Relaxed);
        std::fs::create_dir(folder.path().join("audit.jsonl")).expect("in the way");
        retention.pass().await.expect("announced");
        retention.pass().await.expect_err("there is no audit");
        assert_eq!(bodies(&letters).await, ["old"]);
    }

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
