//! A queue whose requests fail at random: not done, or done and the answer lost.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use towpath_local::LocalQueue;
use towpath_types::queue::{GroupId, Handle, NewMessage, Queue, QueueError, QueueLimits, Receive, Received, Sent};

/// Until when the queue keeps messages for whoever has their handles. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Leases(Arc<Mutex<HashMap<Handle, Instant>>>);

impl Leases {
    fn until(&self, handle: &Handle, visibility: Duration) {
        self.0.lock().unwrap().insert(handle.clone(), Instant::now() + visibility);
    }

    fn end(&self, handle: &Handle) {
        self.0.lock().unwrap().remove(handle);
    }

    /// Whether nobody else can have the message now.
    pub(super) fn hold(&self, handle: &Handle) -> bool {
        self.0.lock().unwrap().get(handle).is_some_and(|until| Instant::now() < *until)
    }
}

/// The local queue behind a bad network.
pub(super) struct Faulty {
    queue: LocalQueue,
    /// None where nothing goes wrong.
    random: Option<Mutex<fastrand::Rng>>,
    /// Until then no visibility can be changed: leases are lost.
    outage: Mutex<Option<Instant>>,
    outage_length: Duration,
    /// How long requests and answers are under way at most.
    under_way: Duration,
    /// How long a few of them are under way at most.
    stalled: Duration,
    leases: Leases,
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Fine,
    NotDone,
    AnswerLost,
}

impl Faulty {
    pub(super) fn new(queue: LocalQueue, seed: u64, outage_length: Duration, leases: Leases) -> Faulty {
        let random = Some(Mutex::new(fastrand::Rng::with_seed(seed)));
        Faulty { random, outage_length, ..Faulty::well(queue, leases) }
    }

    /// With which nothing is wrong.
    pub(super) fn well(queue: LocalQueue, leases: Leases) -> Faulty {
        let outage_length = Duration::ZERO;
        let under_way = Duration::ZERO;
        let stalled = Duration::ZERO;
        Faulty { queue, random: None, outage: Mutex::default(), outage_length, under_way, stalled, leases }
    }

    /// Whose requests and answers are under way for so long at most, but for a few that are stalled.
    pub(super) fn slow(self, under_way: Duration, stalled: Duration) -> Faulty {
        Faulty { under_way, stalled, ..self }
    }

    /// A random number below `end`; 2, which stands for nothing, where nothing goes wrong.
    fn random(&self, end: u32) -> u32 {
        self.random.as_ref().map_or(2, |random| random.lock().unwrap().u32(0..end))
    }

    /// There or back.
    async fn way(&self) {
        let is_stalled = self.random(30) == 0;
        self.wait(if is_stalled { self.stalled } else { self.under_way }).await;
    }

    async fn wait(&self, most: Duration) {
        let most = u32::try_from(most.as_millis()).unwrap();
        let millis = if most > 0 { self.random(most + 1) } else { 0 };
        tokio::time::sleep(Duration::from_millis(u64::from(millis))).await;
    }

    /// One in `rarely` requests is not done, and of one in `rarely` the answer is lost.
    fn fate(&self, rarely: u32) -> Fate {
        match self.random(rarely) {
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
        let begins = self.random(80) == 0;
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
        let visibility = request.visibility.unwrap_or_default();
        let received = self.queue.receive(request).await;
        for message in received.iter().flatten() {
            self.leases.until(&message.handle, visibility);
        }
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
            if let Some(Ok(())) = deleted.first() {
                self.leases.end(handle);
            }
            results.push(deleted.pop().filter(|_| fate == Fate::Fine).unwrap_or_else(|| Err(self.failed())));
        }
        self.wait(self.under_way * 10).await;
        results
    }

    async fn change_visibility(&self, changes: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        self.way().await;
        let mut results = Vec::new();
        for change in changes {
            let mut changed = if self.is_out() {
                Vec::new()
            } else {
                self.queue.change_visibility(std::slice::from_ref(change)).await
            };
            let (handle, wait) = change;
            if let Some(Ok(())) = changed.first() {
                self.leases.until(handle, *wait);
            }
            results.push(changed.pop().unwrap_or_else(|| Err(self.failed())));
            self.wait(self.under_way / 20).await;
        }
        // A lease begins anew with the request, however long its answer takes.
        self.wait(self.under_way * 3).await;
        self.way().await;
        results
    }

    async fn limits(&self) -> Result<QueueLimits, QueueError> {
        self.queue.limits().await
    }

    async fn has_group(&self, group: &GroupId) -> Result<Option<bool>, QueueError> {
        self.queue.has_group(group).await
    }
}
