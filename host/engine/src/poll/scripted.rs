//! A queue and a line for unit tests. The queue delivers nothing, and answers heartbeats as scripted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use towpath_types::clock::Timestamp;
use towpath_types::queue::{GroupId, Handle, NewMessage, Queue, QueueError, QueueLimits, Receive, Received, Sent};

use crate::pipeline::{Line, Settlement, Turn};

/// The answer to heartbeats.
#[derive(Debug)]
pub(super) enum Heartbeat {
    Never,
    Unavailable,
    NotInFlight,
    KeptAfter(Duration),
    /// The first one fails. Counts the requests.
    KeptAtSecond(AtomicUsize),
}

pub(super) struct Scripted(pub(super) Heartbeat);

pub(super) fn message(handle: &str) -> Received {
    Received {
        id: "m-1".into(),
        group: "g".into(),
        dedup_id: None,
        sequence: None,
        receive_count: 1,
        sent_at: Timestamp(0),
        body: "".into(),
        attributes: Default::default(),
        trace: None,
        handle: handle.into(),
    }
}

fn unavailable() -> QueueError {
    QueueError::Unavailable { queue: "scripted".to_owned(), source: "on purpose".into() }
}

#[async_trait::async_trait]
impl Queue for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    async fn send(&self, _: NewMessage) -> Result<Sent, QueueError> {
        Err(unavailable())
    }

    async fn receive(&self, _: Receive) -> Result<Vec<Received>, QueueError> {
        Err(unavailable())
    }

    async fn limits(&self) -> Result<QueueLimits, QueueError> {
        Err(unavailable())
    }

    async fn has_group(&self, _: &GroupId) -> Result<Option<bool>, QueueError> {
        Err(unavailable())
    }

    async fn delete(&self, handles: &[Handle]) -> Vec<Result<(), QueueError>> {
        handles.iter().map(|_| Err(unavailable())).collect()
    }

    async fn change_visibility(&self, changes: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        let answer: fn() -> Result<(), QueueError> = match &self.0 {
            Heartbeat::Never => std::future::pending().await,
            Heartbeat::Unavailable => || Err(unavailable()),
            Heartbeat::NotInFlight => || Err(QueueError::NotInFlight),
            Heartbeat::KeptAtSecond(asked) if asked.fetch_add(1, Ordering::Relaxed) == 0 => || Err(unavailable()),
            Heartbeat::KeptAtSecond(_) => || Ok(()),
            Heartbeat::KeptAfter(wait) => {
                tokio::time::sleep(*wait).await;
                || Ok(())
            }
        };
        changes.iter().map(|_| answer()).collect()
    }
}

/// Records every message; panics on the handle `panics`.
#[derive(Default)]
pub(super) struct Notes(pub(super) Mutex<Vec<String>>);

impl Line for Notes {
    fn targets(&self) -> usize {
        1
    }

    async fn take(&self, received: &Received, _: &mut Turn) -> Settlement {
        let handle = received.handle.to_string();
        assert_ne!(handle, "panics");
        self.0.lock().push(handle);
        Settlement::Ack
    }
}
