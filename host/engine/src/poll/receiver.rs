//! A receiver of the poll driver: receives batches and starts work on their groups.

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

/// How long to wait after a failed receive.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(400), cap: Duration::from_secs(30) };

/// Receives until the driver stops, then waits for the groups of its batches.
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
        // The lease counts from here. The queue starts it at some moment between this and its answer, and it is unknown
        // how long the answer, or this process, took after that.
        let asked = options.clock.moment();
        // A stop does not cancel a receive: dropping it could lose track of received messages until they are visible again.
        let received = match queue.receive(request).await {
            Ok(received) => received,
            Err(error) => {
                let wait = attempt.failed();
                health.failed();
                warn!(
                    event = "receive-failed",
                    queue = queue.name(),
                    error = %error,
                    cause = cause(&error),
                    retry_after_s = wait.as_secs_f64(),
                    "receive failed"
                );
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
        // One batch waits for free places, kept by heartbeats, so that the next group is at hand when a place is free.
        let mut begun = Vec::new();
        for messages in by_group(received) {
            let (turn, has_begun) = oneshot::channel();
            begun.push(has_begun);
            groups.spawn(Arc::clone(&worker).group(messages, asked, turn));
        }
        for has_begun in begun {
            // The sender is dropped if the group is lost, or released, before its turn.
            let _ = has_begun.await;
        }
    }
    while let Some(ended) = groups.join_next().await {
        log_panic("group", ended);
    }
}

/// One receive, retried until it is answered. Its retries share an id, so that messages whose answer was lost are
/// delivered again at once, instead of staying hidden until their visibility timeout ends.
struct Attempt {
    /// `None` if no answer can get lost.
    id: Option<String>,
    failures: u32,
}

impl Attempt {
    fn new(queue: &dyn Queue) -> Attempt {
        let id = queue.loses_answers().then(|| uuid::Uuid::new_v4().to_string());
        Attempt { id, failures: 0 }
    }

    /// The wait before the next try. After five minutes the queue has forgotten the id, and treats it as a new one.
    fn failed(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        BACKOFF.plain(self.failures)
    }
}

/// The source of an error: the words of the network or the service.
fn cause(error: &QueueError) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}
