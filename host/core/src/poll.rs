//! The poll driver: receives from a queue, runs the pipeline, settles. `serve` and `dev` run it over the
//! local queue.

mod deleter;
mod health;
mod keeper;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::pipeline::{Lease, Pipeline, Settlement};
use crate::queue::{Handle, MAX_BATCH, MAX_VISIBILITY, Queue, QueueError, Receive, Received};
use deleter::Deleter;
use keeper::Keeper;

pub use health::Health;

/// How a queue is polled.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many groups are worked on at the same time, at least 1.
    pub concurrency: usize,
    /// How long one receive waits. A stop is felt after this at the latest.
    pub wait: Duration,
    /// How long received messages stay invisible without a heartbeat: how long a group stands still
    /// after this process was killed.
    pub visibility: Duration,
}

impl Default for Options {
    /// 16 groups, receives of one second, 30 s of visibility.
    fn default() -> Options {
        Options { concurrency: 16, wait: Duration::from_secs(1), visibility: Duration::from_secs(30) }
    }
}

/// How long to wait after a receive that failed, doubled up to the second.
const RECEIVE_BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// For so many groups there is one delete request under way: the more wait for it, the fuller the next one is.
const GROUPS_A_REQUEST: usize = 8;

/// How often a delete is tried before the group is left alone.
const DELETE_TRIES: u32 = 4;

/// Polls until `stop` is cancelled, then finishes the messages that are being worked on and gives the
/// rest back, tail to head.
pub async fn run(
    queue: Arc<dyn Queue>,
    pipeline: Arc<Pipeline>,
    options: Options,
    health: Arc<Health>,
    stop: CancellationToken,
) {
    let permits = Arc::new(Semaphore::new(options.concurrency.max(1)));
    let mut groups = JoinSet::new();
    let (all, free) = (options.concurrency.max(1), Arc::clone(&permits));
    let at_work = Box::new(move || all.saturating_sub(free.available_permits()));
    let (deleter, deletes) = Deleter::new(Arc::clone(&queue), all.div_ceil(GROUPS_A_REQUEST), at_work);
    let mut deletes = JoinSet::from_iter([deletes.run()]);
    let mut attempt = Attempt::new();
    info!(queue = queue.name(), groups = options.concurrency, "polling");
    while !stop.is_cancelled() {
        let request = Receive {
            max: MAX_BATCH,
            wait: options.wait,
            visibility: Some(options.visibility),
            attempt_id: Some(attempt.id.clone()),
        };
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
        attempt = Attempt::new();
        health.succeeded();
        while groups.try_join_next().is_some() {}
        if received.is_empty() {
            continue;
        }
        debug!(messages = received.len(), "batch received");
        // One batch waits for free permits, kept by heartbeats: whoever ends finds the next group there.
        let mut begun = Vec::new();
        for messages in by_group(received) {
            let worker = Worker {
                queue: Arc::clone(&queue),
                pipeline: Arc::clone(&pipeline),
                deleter: deleter.clone(),
                options,
                stop: stop.clone(),
            };
            let (turn, has_begun) = oneshot::channel();
            begun.push(has_begun);
            groups.spawn(worker.group(messages, Arc::clone(&permits), turn));
        }
        for has_begun in begun {
            // It is dropped where a group was lost, or is given back, before its turn.
            let _ = has_begun.await;
        }
    }
    info!(groups = groups.len(), "stopping: finishing what runs, giving back the rest");
    while groups.join_next().await.is_some() {}
    drop(deleter);
    while deletes.join_next().await.is_some() {}
}

/// One receive, tried until it is answered. It keeps its id, so that messages whose answer was lost on the
/// way are handed out again at once instead of standing still until their visibility runs out.
struct Attempt {
    id: String,
    failures: u32,
}

impl Attempt {
    fn new() -> Attempt {
        Attempt { id: uuid::Uuid::new_v4().to_string(), failures: 0 }
    }

    /// How long to wait before the next try. The queue remembers an id for five minutes; behind that a new
    /// one is as good.
    fn failed(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let (base, cap) = RECEIVE_BACKOFF;
        base.saturating_mul(1 << self.failures.min(16)).min(cap)
    }
}

/// What lies beneath an error: the network's or the service's own words.
fn cause(error: &QueueError) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

/// A permit for a group to be worked on; `None` when it is time to stop.
async fn acquire(permits: &Arc<Semaphore>, stop: &CancellationToken) -> Option<OwnedSemaphorePermit> {
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        permit = Arc::clone(permits).acquire_owned() => permit.ok(),
    }
}

/// Splits a batch into its groups. Order within a group is the order of the batch.
pub fn by_group(batch: Vec<Received>) -> Vec<Vec<Received>> {
    let mut groups: Vec<Vec<Received>> = Vec::new();
    for message in batch {
        let same = |group: &&mut Vec<Received>| group.first().is_some_and(|first| first.group == message.group);
        match groups.iter_mut().find(same) {
            Some(group) => group.push(message),
            None => groups.push(vec![message]),
        }
    }
    groups
}

struct Worker {
    queue: Arc<dyn Queue>,
    pipeline: Arc<Pipeline>,
    deleter: Deleter,
    options: Options,
    stop: CancellationToken,
}

impl Worker {
    /// Works on the messages of one group while heartbeats keep them all.
    async fn group(self, messages: Vec<Received>, permits: Arc<Semaphore>, turn: oneshot::Sender<()>) {
        let keeper = Keeper::new(&*self.queue, &messages, self.options.visibility);
        let work = async {
            // Without a permit it is time to stop: then everything is given back untried.
            let _permit = acquire(&permits, &self.stop).await;
            drop(turn);
            self.messages(&messages, &keeper).await
        };
        let give_back = tokio::select! {
            give_back = work => give_back,
            () = keeper.beat_until_lost() => {
                // The work is broken off where it is: another worker may begin with the group at any moment.
                let group = messages.first().map(|message| message.group.as_str());
                warn!(group, "the lease on the group was lost, the rest of it is left alone");
                return;
            }
        };
        // All work on the group has ended. Tail to head, so that nobody overtakes.
        let give_back: Vec<(Handle, Duration)> = give_back.into_iter().rev().collect();
        if give_back.is_empty() {
            return;
        }
        for result in self.queue.change_visibility(&give_back).await {
            if let Err(error) = result {
                warn!(error = %error, "a message could not be given back: it comes back when its visibility runs out");
            }
        }
    }

    async fn messages(&self, messages: &[Received], keeper: &Keeper<'_>) -> Vec<(Handle, Duration)> {
        let mut run = self.pipeline.group(Lease::of(MAX_VISIBILITY));
        let mut give_back = Vec::new();
        for message in messages {
            if self.stop.is_cancelled() {
                run.block();
            }
            match run.next(message).await {
                Settlement::Retry(after) => give_back.push((message.handle.clone(), after)),
                Settlement::Ack => {
                    keeper.release(&message.handle);
                    if !self.delete(message).await {
                        run.block();
                    }
                }
            }
        }
        give_back
    }

    /// Deletes a message that is done with; false if it will come back.
    async fn delete(&self, message: &Received) -> bool {
        let mut tries = 1;
        loop {
            match self.deleter.delete(&message.handle).await {
                Some(Ok(())) => return true,
                Some(Err(QueueError::Unavailable { .. })) if tries < DELETE_TRIES => {
                    tokio::time::sleep(RECEIVE_BACKOFF.0 * 2_u32.pow(tries)).await;
                    tries += 1;
                }
                Some(Err(error)) => {
                    warn!(message_id = %message.id, error = %error, "a message that is done with could not be deleted: it will be delivered again");
                    return false;
                }
                None => return false,
            }
        }
    }
}
