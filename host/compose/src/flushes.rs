//! Flushes an archive that buffers, while the host polls.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;
use towpath_types::archive::Archive;

/// How often: what waits is lost in a crash.
const EVERY: Duration = Duration::from_secs(1);

/// How long one flush may take. Nothing waits for it but the end of the host.
const WAIT: Duration = Duration::from_secs(5);

/// Flushes until all senders of `drained` are gone, which everybody who processes messages holds, and then once more.
pub(crate) async fn run(archive: Arc<dyn Archive>, mut drained: Receiver<()>) {
    // An archive counts and logs itself what it drops when it is cancelled.
    while timeout(EVERY, drained.recv()).await.is_err() {
        let _ = timeout(WAIT, archive.flush()).await;
    }
    let _ = timeout(WAIT, archive.flush()).await;
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use tokio::sync::mpsc;
    use tokio::task::JoinSet;
    use tokio::time::sleep;
    use towpath_types::archive::Archived;

    use super::*;

    /// Counts its flushes. The first one hangs.
    #[derive(Default)]
    struct Counting(AtomicUsize);

    #[async_trait]
    impl Archive for Counting {
        fn keep(&self, _: Archived) {}

        async fn flush(&self) {
            if self.0.fetch_add(1, Ordering::SeqCst) == 0 {
                std::future::pending().await
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_archive_is_flushed_each_second_and_after_the_last_worker_has_ended() {
        let archive = Arc::new(Counting::default());
        let flushes = || archive.0.load(Ordering::SeqCst);
        let (working, drained) = mpsc::channel(1);
        let other = working.clone();
        let mut running = JoinSet::new();
        running.spawn(run(Arc::clone(&archive) as Arc<dyn Archive>, drained));
        sleep(Duration::from_millis(5999)).await;
        assert_eq!(flushes(), 1, "it hangs, and is given up after 5 s");
        sleep(Duration::from_millis(3002)).await;
        assert_eq!(flushes(), 4);
        drop(working);
        sleep(Duration::from_millis(100)).await;
        assert!(running.try_join_next().is_none() && flushes() == 4, "another one still works");
        drop(other);
        running.join_next().await.expect("a task").expect("it ends");
        assert_eq!(flushes(), 5);
    }
}
