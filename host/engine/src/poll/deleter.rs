//! Deletes messages of many groups in few requests: deletes that arrive while all requests are in flight share the next one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::keeper::Deleted;
use towpath_runtime::tasks::log_panic;
use towpath_types::backoff::Backoff;
use towpath_types::queue::{Handle, MAX_BATCH, MessageId, Queue, QueueError, Received};

/// How long a delete waits for others to share its request: little compared with a round trip to SQS.
const LINGER: Duration = Duration::from_micros(500);

/// How often a delete is tried before its group is abandoned.
const TRIES: u32 = 4;
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(400), cap: Duration::from_secs(2) };

struct Job {
    handle: Handle,
    message_id: MessageId,
    deleted: Deleted,
    done: oneshot::Sender<bool>,
}

/// The groups' end. [`Requests::run`] works until this is dropped.
pub(super) struct Deleter(mpsc::UnboundedSender<Job>);

/// A delete in progress.
pub(super) struct Deleting {
    /// For those who do not wait for the answer.
    pub(super) deleted: Deleted,
    answer: oneshot::Receiver<bool>,
}

/// The queue's end.
pub(super) struct Requests {
    queue: Arc<dyn Queue>,
    jobs: mpsc::UnboundedReceiver<Job>,
    /// The most requests in flight at the same time.
    most: usize,
    at_work: AtWork,
}

/// Returns the number of groups in progress.
type AtWork = Arc<dyn Fn() -> usize + Send + Sync>;

impl Deleter {
    /// Deletes from `queue`, with up to `most` requests in flight, at least 1.
    pub(super) fn new(queue: Arc<dyn Queue>, most: usize, at_work: AtWork) -> (Deleter, Requests) {
        let (sender, jobs) = mpsc::unbounded_channel();
        (Deleter(sender), Requests { queue, jobs, most: most.max(1), at_work })
    }

    pub(super) fn delete(&self, message: &Received) -> Deleting {
        let (done, deleting) = Deleting::pending();
        let handle = message.handle.clone();
        let message_id = message.id.clone();
        // If the deleter is gone, `done` is dropped, which means that the message was not deleted.
        let _ = self.0.send(Job { handle, message_id, deleted: deleting.deleted.clone(), done });
        deleting
    }
}

impl Deleting {
    /// A delete without an answer yet, and the sender for its answer.
    pub(super) fn pending() -> (oneshot::Sender<bool>, Deleting) {
        let (done, answer) = oneshot::channel();
        (done, Deleting { deleted: Deleted::default(), answer })
    }

    /// Whether the queue deleted the message. If not, it will be delivered again.
    pub(super) async fn answer(&mut self) -> bool {
        (&mut self.answer).await.unwrap_or(false)
    }
}

impl Requests {
    /// Works until the [`Deleter`] is dropped.
    pub(super) async fn run(mut self) {
        let mut requests = JoinSet::new();
        loop {
            let mut jobs = Vec::new();
            if self.jobs.recv_many(&mut jobs, MAX_BATCH).await == 0 {
                break;
            }
            let until = Instant::now() + LINGER;
            // Only groups in progress can add a delete.
            while jobs.len() < MAX_BATCH.min((self.at_work)()) {
                let room = MAX_BATCH - jobs.len();
                match timeout_at(until, self.jobs.recv_many(&mut jobs, room)).await {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => break,
                }
            }
            requests.spawn(request(Arc::clone(&self.queue), jobs));
            // Deletes that arrive until a request is answered wait, and share the next one.
            while requests.len() >= self.most {
                requests.join_next().await.into_iter().for_each(|ended| log_panic("delete", ended));
            }
            while let Some(ended) = requests.try_join_next() {
                log_panic("delete", ended);
            }
        }
        while let Some(ended) = requests.join_next().await {
            log_panic("delete", ended);
        }
    }
}

/// Deletes these messages, and retries those for which the queue was unavailable.
async fn request(queue: Arc<dyn Queue>, mut jobs: Vec<Job>) {
    for tries in 1..=TRIES {
        let handles: Vec<Handle> = jobs.iter().map(|job| job.handle.clone()).collect();
        let mut again = Vec::new();
        for (job, result) in jobs.into_iter().zip(queue.delete(&handles).await) {
            let deleted = match result {
                Ok(()) => {
                    job.deleted.done();
                    true
                }
                Err(QueueError::Unavailable { .. }) if tries < TRIES => {
                    again.push(job);
                    continue;
                }
                Err(error) => {
                    warn!(
                        event = "delete-failed",
                        message_id = %job.message_id,
                        error = %error,
                        "finished message cannot be deleted, it will be delivered again"
                    );
                    false
                }
            };
            // Nobody waits if the group has lost its lease.
            let _ = job.done.send(deleted);
        }
        if again.is_empty() {
            return;
        }
        jobs = again;
        tokio::time::sleep(BACKOFF.plain(tries)).await;
    }
}
