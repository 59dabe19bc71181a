//! One of the receivers of a poll driver: takes batches and has their groups worked on.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::batch::by_group;
use super::worker::Worker;
use crate::pipeline::Line;
use towpath_runtime::health::Health;
use towpath_runtime::tasks::log_panic;
use towpath_types::backoff::Backoff;
use towpath_types::queue::{MAX_BATCH, Queue, QueueError, Receive};

/// How long to wait after a receive that failed.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(400), cap: Duration::from_secs(30) };

/// Receives until it is time to stop, then waits for the groups of its batches.
pub(super) async fn run<L: Line>(worker: Arc<Worker<L>>, health: Arc<Health>) {
    let Worker { queue, options, stop, .. } = &*worker;
    let mut groups = JoinSet::new();
    let mut attempt = Attempt::new(queue.as_ref());
    while !stop.is_cancelled() {
        let request = Receive {
            max: MAX_BATCH,
            wait: options.wait,
            visibility: Some(options.visibility),
            attempt_id: attempt.id.clone(),
        };
        worker.places.worth_receiving().await;
        // The lease counts from here. The queue hands messages out at some moment between this and its answer, and nobody
        // knows how long the answer, or this process, took after that.
        let asked = options.clock.moment();
        // Not cancelled by a stop: a receive that is dropped may have taken messages with it.
        let received = match queue.receive(request).await {
            Ok(received) => received,
            Err(error) => {
                let wait = attempt.failed();
                health.failed();
                warn!(queue = queue.name(), error = %error, cause = cause(&error), retry_after_s = wait.as_secs_f64(), "receive failed");
                tokio::select! {
                    () = tokio::time::sleep(wait) => continue,
                    () = stop.cancelled() => break,
                }
            }
        };
        #[cfg(feature = "faults")]
        let asked = super::planted::asked(asked, options.clock);
        attempt = Attempt::new(queue.as_ref());
        health.succeeded();
        while let Some(ended) = groups.try_join_next() {
            log_panic("group", ended);
        }
        if received.is_empty() {
            continue;
        }
        debug!(messages = received.len(), "batch received");
        // One batch waits for free places, kept by heartbeats: whoever ends finds the next group there.
        let mut begun = Vec::new();
        for messages in by_group(received) {
            let (turn, has_begun) = oneshot::channel();
            begun.push(has_begun);
            groups.spawn(Arc::clone(&worker).group(messages, asked, turn));
        }
        for has_begun in begun {
            // It is dropped where a group was lost, or is given back, before its turn.
            let _ = has_begun.await;
        }
    }
    while let Some(ended) = groups.join_next().await {
        log_panic("group", ended);
    }
}

/// One receive, tried until it is answered. It keeps its id, so that messages whose answer was lost on the
/// way are handed out again at once instead of standing still until their visibility runs out.
struct Attempt {
    /// None if there is no way on which an answer could get lost.
    id: Option<String>,
    failures: u32,
}

impl Attempt {
    fn new(queue: &dyn Queue) -> Attempt {
        let id = queue.loses_answers().then(|| uuid::Uuid::new_v4().to_string());
        Attempt { id, failures: 0 }
    }

    /// How long to wait before the next try. The queue remembers an id for five minutes; behind that a new
    /// one is as good.
    fn failed(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        BACKOFF.plain(self.failures)
    }
}

/// What lies beneath an error: the network's or the service's own words.
fn cause(error: &QueueError) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}
