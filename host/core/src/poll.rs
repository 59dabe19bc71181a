//! The poll driver: receives from a queue, runs the pipeline, settles. `serve` and `dev` run it over the
//! local queue.

mod keeper;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::pipeline::{Lease, Pipeline, Settlement};
use crate::queue::{Handle, MAX_BATCH, MAX_VISIBILITY, Queue, QueueError, Receive, Received};
use keeper::Keeper;

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

/// How often a delete is tried before the group is left alone.
const DELETE_TRIES: u32 = 4;

/// Polls until `stop` is cancelled, then finishes the messages that are being worked on and gives the
/// rest back, tail to head.
pub async fn run(queue: Arc<dyn Queue>, pipeline: Arc<Pipeline>, options: Options, stop: CancellationToken) {
    let permits = Arc::new(Semaphore::new(options.concurrency.max(1)));
    let mut groups = JoinSet::new();
    let mut failures = 0_u32;
    info!(queue = queue.name(), groups = options.concurrency, "polling");
    while let Some(held) = acquire(&permits, &stop).await {
        let request =
            Receive { max: held.len(), wait: options.wait, visibility: Some(options.visibility), attempt_id: None };
        // Not cancelled by a stop: a receive that is dropped may have taken messages with it.
        let received = match queue.receive(request).await {
            Ok(received) => received,
            Err(error) => {
                failures = failures.saturating_add(1);
                let (base, cap) = RECEIVE_BACKOFF;
                let wait = base.saturating_mul(1 << failures.min(16)).min(cap);
                warn!(queue = queue.name(), error = %error, retry_after_s = wait.as_secs_f64(), "receive failed");
                tokio::select! {
                    () = tokio::time::sleep(wait) => continue,
                    () = stop.cancelled() => break,
                }
            }
        };
        failures = 0;
        while groups.try_join_next().is_some() {}
        if received.is_empty() {
            continue;
        }
        debug!(messages = received.len(), "batch received");
        for (messages, permit) in by_group(received).into_iter().zip(held) {
            let worker =
                Worker { queue: Arc::clone(&queue), pipeline: Arc::clone(&pipeline), options, stop: stop.clone() };
            groups.spawn(async move {
                worker.group(messages).await;
                drop(permit);
            });
        }
    }
    info!(groups = groups.len(), "stopping: finishing what runs, giving back the rest");
    while groups.join_next().await.is_some() {}
}

/// One permit at least, and as many as are free up to a batch: a batch has no more groups than messages.
async fn acquire(permits: &Arc<Semaphore>, stop: &CancellationToken) -> Option<Vec<OwnedSemaphorePermit>> {
    let first = tokio::select! {
        biased;
        () = stop.cancelled() => return None,
        permit = Arc::clone(permits).acquire_owned() => permit.ok()?,
    };
    let more = std::iter::from_fn(|| Arc::clone(permits).try_acquire_owned().ok());
    Some(std::iter::once(first).chain(more.take(MAX_BATCH - 1)).collect())
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
    options: Options,
    stop: CancellationToken,
}

impl Worker {
    /// Works on the messages of one group while heartbeats keep them all.
    async fn group(self, messages: Vec<Received>) {
        let keeper = Keeper::new(&*self.queue, &messages, self.options.visibility);
        let give_back = tokio::select! {
            give_back = self.messages(&messages, &keeper) => give_back,
            never = keeper.beat() => match never {},
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
            if keeper.is_lost() {
                warn!(group = %message.group, "the lease on the group was lost, the rest of it is left alone");
                return Vec::new();
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
            let results = self.queue.delete(std::slice::from_ref(&message.handle)).await;
            match results.into_iter().next() {
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
