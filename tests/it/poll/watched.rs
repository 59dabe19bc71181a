//! The local queue with a window on it, and with trouble.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use towpath_local::LocalQueue;
use towpath_types::queue::{GroupId, Handle, NewMessage, Queue, QueueError, QueueLimits, Receive, Received, Sent};

/// What is settled is told.
pub(super) struct Watched {
    queue: LocalQueue,
    /// Handles of deleted messages; changes of visibility in order.
    pub(super) deleted: watch::Sender<Vec<Handle>>,
    pub(super) changed: watch::Sender<Vec<(Handle, Duration)>>,
    trouble: Trouble,
    /// How many requests of the troubled kind there were.
    asked: AtomicUsize,
    /// How many receives were to be remembered.
    pub(super) remembered: AtomicUsize,
}

/// What is wrong with a queue.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Trouble {
    Nothing,
    /// Changes of visibility fail, as when the lease is lost.
    LosesLeases,
    /// Deletes are never answered.
    DeletesHang,
    /// Deletes are refused.
    DeletesFail,
    /// The first request to delete does not get through.
    FirstDeleteIsLost,
    /// The first receive that takes something takes it, and its answer gets lost.
    FirstReceiveIsLost,
}

impl Watched {
    pub(super) fn new(queue: LocalQueue, trouble: Trouble) -> Watched {
        Watched {
            queue,
            deleted: watch::Sender::new(Vec::new()),
            changed: watch::Sender::new(Vec::new()),
            trouble,
            asked: AtomicUsize::new(0),
            remembered: AtomicUsize::new(0),
        }
    }

    /// What visibilities were changed, as the numbers of the messages, in order.
    pub(super) fn changed(&self) -> Vec<String> {
        let number = |(handle, _): &(Handle, Duration)| handle.as_str().split('-').nth(2).unwrap().to_owned();
        self.changed.borrow().iter().map(number).collect()
    }
}

#[async_trait]
impl Queue for Watched {
    fn name(&self) -> &str {
        self.queue.name()
    }

    async fn send(&self, message: NewMessage) -> Result<Sent, QueueError> {
        self.queue.send(message).await
    }

    async fn receive(&self, request: Receive) -> Result<Vec<Received>, QueueError> {
        self.remembered.fetch_add(usize::from(request.attempt_id.is_some()), Ordering::Relaxed);
        let received = self.queue.receive(request).await?;
        let lost = self.trouble == Trouble::FirstReceiveIsLost && !received.is_empty();
        if lost && self.asked.fetch_add(1, Ordering::Relaxed) == 0 {
            return Err(unavailable());
        }
        Ok(received)
    }

    fn loses_answers(&self) -> bool {
        self.trouble == Trouble::FirstReceiveIsLost || self.queue.loses_answers()
    }

    async fn limits(&self) -> Result<QueueLimits, QueueError> {
        self.queue.limits().await
    }

    async fn has_group(&self, group: &GroupId) -> Result<Option<bool>, QueueError> {
        self.queue.has_group(group).await
    }

    async fn delete(&self, handles: &[Handle]) -> Vec<Result<(), QueueError>> {
        let refused = |error: fn() -> QueueError| handles.iter().map(|_| Err(error())).collect();
        let first = self.asked.fetch_add(1, Ordering::Relaxed) == 0;
        match self.trouble {
            Trouble::DeletesHang => std::future::pending().await,
            Trouble::DeletesFail => return refused(|| QueueError::NotInFlight),
            Trouble::FirstDeleteIsLost if first => {
                return refused(unavailable);
            }
            _ => {}
        }
        let results = self.queue.delete(handles).await;
        self.deleted.send_modify(|deleted| deleted.extend_from_slice(handles));
        results
    }

    async fn change_visibility(&self, changes: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        let results = match self.trouble {
            Trouble::LosesLeases => changes.iter().map(|_| Err(QueueError::NotInFlight)).collect(),
            _ => self.queue.change_visibility(changes).await,
        };
        self.changed.send_modify(|changed| changed.extend_from_slice(changes));
        results
    }
}

fn unavailable() -> QueueError {
    QueueError::Unavailable { queue: "events".into(), source: "on purpose".into() }
}
