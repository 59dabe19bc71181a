//! Deletes for many groups in as few requests as they allow: what comes while all requests are
//! under way goes out together with the next.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::queue::{Handle, MAX_BATCH, Queue, QueueError};

/// How long a delete waits for others to go with it: little beside a round trip to SQS.
const LINGER: Duration = Duration::from_micros(500);

struct Job {
    handle: Handle,
    done: oneshot::Sender<Result<(), QueueError>>,
}

/// The groups' end. [`Requests::run`] does the work until the last clone of this is gone.
#[derive(Clone)]
pub(super) struct Deleter(mpsc::UnboundedSender<Job>);

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
type AtWork = Box<dyn Fn() -> usize + Send + Sync>;

impl Deleter {
    /// Deletes from this queue, with so many requests at the same time, at least 1.
    pub(super) fn new(queue: Arc<dyn Queue>, most: usize, at_work: AtWork) -> (Deleter, Requests) {
        let (sender, jobs) = mpsc::unbounded_channel();
        (Deleter(sender), Requests { queue, jobs, most: most.max(1), at_work })
    }

    /// Deletes one message; returns when the queue has answered. `None` if nobody deletes any more.
    pub(super) async fn delete(&self, handle: &Handle) -> Option<Result<(), QueueError>> {
        let (done, answer) = oneshot::channel();
        self.0.send(Job { handle: handle.clone(), done }).ok()?;
        answer.await.ok()
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
            let queue = Arc::clone(&self.queue);
            requests.spawn(async move {
                let (handles, answers): (Vec<_>, Vec<_>) = jobs.into_iter().map(|job| (job.handle, job.done)).unzip();
                for (answer, result) in answers.into_iter().zip(queue.delete(&handles).await) {
                    // The group may have lost its lease meanwhile.
                    let _ = answer.send(result);
                }
            });
            // What comes until one of them is answered waits, and goes out together.
            while requests.len() >= self.most {
                requests.join_next().await;
            }
            while requests.try_join_next().is_some() {}
        }
        while requests.join_next().await.is_some() {}
    }
}
