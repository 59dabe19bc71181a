//! A queue whose requests fail at random: not done, or done and the answer lost.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use towpath_core::queue::{GroupId, Handle, NewMessage, Queue, QueueError, Receive, Received, Sent};
use towpath_local::LocalQueue;

/// The local queue behind a bad network.
pub(super) struct Faulty {
    queue: LocalQueue,
    random: Mutex<fastrand::Rng>,
    /// Until then no visibility can be changed: leases are lost.
    outage: Mutex<Option<Instant>>,
    outage_length: Duration,
    /// How long requests and answers are under way at most.
    under_way: Duration,
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Fine,
    NotDone,
    AnswerLost,
}

impl Faulty {
    pub(super) fn new(queue: LocalQueue, seed: u64, outage_length: Duration) -> Faulty {
        let random = Mutex::new(fastrand::Rng::with_seed(seed));
        Faulty { queue, random, outage: Mutex::default(), outage_length, under_way: Duration::ZERO }
    }

    /// Whose requests and answers are under way for so long at most.
    pub(super) fn slow(self, under_way: Duration) -> Faulty {
        Faulty { under_way, ..self }
    }

    /// There or back.
    async fn way(&self) {
        self.wait(self.under_way).await;
    }

    async fn wait(&self, most: Duration) {
        let most = u64::try_from(most.as_millis()).unwrap();
        let millis = if most > 0 { self.random.lock().unwrap().u64(0..=most) } else { 0 };
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    /// One in `rarely` requests is not done, and of one in `rarely` the answer is lost.
    fn fate(&self, rarely: u32) -> Fate {
        match self.random.lock().unwrap().u32(0..rarely) {
            0 => Fate::NotDone,
            1 => Fate::AnswerLost,
            _ => Fate::Fine,
        }
    }

    fn is_out(&self) -> bool {
        let mut outage = self.outage.lock().unwrap();
        let now = Instant::now();
        if outage.is_some_and(|until| now < until) {
            return true;
        }
        let begins = self.random.lock().unwrap().u32(0..80) == 0;
        *outage = begins.then(|| now + self.outage_length);
        begins
    }

    fn failed(&self) -> QueueError {
        QueueError::Unavailable { queue: "faulty".to_owned(), source: "on purpose".into() }
    }
}

#[async_trait]
impl Queue for Faulty {
    fn name(&self) -> &str {
        self.queue.name()
    }

    async fn send(&self, message: NewMessage) -> Result<Sent, QueueError> {
        let fate = self.fate(5);
        self.way().await;
        if fate == Fate::NotDone {
            return Err(self.failed());
        }
        let sent = self.queue.send(message).await;
        if fate == Fate::AnswerLost { Err(self.failed()) } else { sent }
    }

    async fn receive(&self, request: Receive) -> Result<Vec<Received>, QueueError> {
        self.way().await;
        let received = self.queue.receive(request).await;
        self.way().await;
        match received {
            // Only a receive that took something is worth losing.
            Ok(messages) if !messages.is_empty() && self.fate(8) != Fate::Fine => Err(self.failed()),
            received => received,
        }
    }

    /// One after another, as SQS may: a batch is no transaction.
    async fn delete(&self, handles: &[Handle]) -> Vec<Result<(), QueueError>> {
        self.way().await;
        let mut results = Vec::new();
        for handle in handles {
            let fate = self.fate(6);
            let mut deleted = match fate {
                Fate::NotDone => Vec::new(),
                _ => self.queue.delete(std::slice::from_ref(handle)).await,
            };
            results.push(deleted.pop().filter(|_| fate == Fate::Fine).unwrap_or_else(|| Err(self.failed())));
        }
        self.wait(self.under_way * 10).await;
        results
    }

    async fn change_visibility(&self, changes: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        self.way().await;
        let mut results = Vec::new();
        for change in changes {
            let mut changed = match self.is_out() {
                true => Vec::new(),
                false => self.queue.change_visibility(std::slice::from_ref(change)).await,
            };
            results.push(changed.pop().unwrap_or_else(|| Err(self.failed())));
            self.wait(self.under_way / 20).await;
        }
        // A lease begins anew with the request, however long its answer takes.
        self.wait(self.under_way * 4).await;
        results
    }

    async fn has_group(&self, group: &GroupId) -> Result<Option<bool>, QueueError> {
        self.queue.has_group(group).await
    }
}
