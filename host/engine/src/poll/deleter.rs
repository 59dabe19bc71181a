//! Deletes for many groups in as few requests as they allow: what comes while all requests are
//! under way goes out together with the next.

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

/// How long a delete waits for others to go with it: little beside a round trip to SQS.
const LINGER: Duration = Duration::from_micros(500);

/// How often a delete is tried before the group is left alone.
const TRIES: u32 = 4;
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(400), cap: Duration::from_secs(2) };

struct Job {
    handle: Handle,
    message_id: MessageId,
    deleted: Deleted,
    done: oneshot::Sender<bool>,
}

/// The groups' end. [`Requests::run`] does the work until this is gone.
pub(super) struct Deleter(mpsc::UnboundedSender<Job>);

/// A delete that was asked for.
pub(super) struct Deleting {
    /// For whoever does not wait for the answer.
    pub(super) deleted: Deleted,
    answer: oneshot::Receiver<bool>,
}

/// The queue's end.
pub(super) struct Requests {
    queue: Arc<dyn Queue>,
    jobs: mpsc::UnboundedReceiver<Job>,
    /// How many are under way at the same time.
    most: usize,
    /// How many groups are being worked on.
    at_work: AtWork,
}

/// Tells how many groups are being worked on.
type AtWork = Arc<dyn Fn() -> usize + Send + Sync>;

impl Deleter {
    /// Deletes from this queue, with so many requests at the same time, at least 1.
    pub(super) fn new(queue: Arc<dyn Queue>, most: usize, at_work: AtWork) -> (Deleter, Requests) {
        let (sender, jobs) = mpsc::unbounded_channel();
        (Deleter(sender), Requests { queue, jobs, most: most.max(1), at_work })
    }

    /// Has a message deleted.
    pub(super) fn delete(&self, message: &Received) -> Deleting {
        let (done, deleting) = Deleting::pending();
        let handle = message.handle.clone();
        let message_id = message.id.clone();
        // Nobody there to take it is an answer too: the message comes back.
        let _ = self.0.send(Job { handle, message_id, deleted: deleting.deleted.clone(), done });
        deleting
    }
}

impl Deleting {
    /// A delete that has no answer yet, and where its answer goes.
    pub(super) fn pending() -> (oneshot::Sender<bool>, Deleting) {
        let (done, answer) = oneshot::channel();
        (done, Deleting { deleted: Deleted::default(), answer })
    }

    /// The queue's answer: true if the message is deleted, false if it will come back.
    pub(super) async fn answer(&mut self) -> bool {
        (&mut self.answer).await.unwrap_or(false)
    }
}

impl Requests {
    /// Works until there is nobody left to ask for more.
    pub(super) async fn run(mut self) {
        let mut requests = JoinSet::new();
        loop {
            let mut jobs = Vec::new();
            if self.jobs.recv_many(&mut jobs, MAX_BATCH).await == 0 {
                break;
            }
            let until = Instant::now() + LINGER;
            // The groups that are being worked on are those that may come with a delete of their own.
            while jobs.len() < MAX_BATCH.min((self.at_work)()) {
                let room = MAX_BATCH - jobs.len();
                match timeout_at(until, self.jobs.recv_many(&mut jobs, room)).await {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => break,
                }
            }
            requests.spawn(request(Arc::clone(&self.queue), jobs));
            // What comes until one of them is answered waits, and goes out together.
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

/// Deletes these messages, and tries again what the queue could not be asked for.
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
                    warn!(message_id = %job.message_id, error = %error, "a message that is done with could not be deleted: it will be delivered again");
                    false
                }
            };
            // The group may have lost its lease meanwhile.
            let _ = job.done.send(deleted);
        }
        if again.is_empty() {
            return;
        }
        jobs = again;
        tokio::time::sleep(BACKOFF.plain(tries)).await;
    }
}
