//! Heartbeats: every message that is held stays invisible to others while its group is worked on.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use crate::queue::{Handle, Queue, QueueError, Received};

/// What came of one heartbeat.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beat {
    Kept,
    /// The queue could not be asked; the one before still counts.
    Failed,
    /// A message is not held any more.
    Lost,
}

/// Keeps the messages of one group.
pub(super) struct Keeper<'a> {
    queue: &'a dyn Queue,
    visibility: Duration,
    held: Mutex<Vec<Handle>>,
}

impl<'a> Keeper<'a> {
    /// Keeps these messages, which were just received with this visibility.
    pub(super) fn new(queue: &'a dyn Queue, messages: &[Received], visibility: Duration) -> Keeper<'a> {
        let held = messages.iter().map(|message| message.handle.clone()).collect();
        Keeper { queue, visibility, held: Mutex::new(held) }
    }

    /// A message that is about to be deleted needs no more heartbeats.
    pub(super) fn release(&self, handle: &Handle) {
        self.lock().retain(|held| held != handle);
    }

    /// Beats until the lease is lost: until the queue says that a message is not held any more, or nothing
    /// was heard of the queue for so long that one may have become visible to others. It beats three times
    /// in a visibility timeout, so that one lost beat is no harm.
    pub(super) async fn beat_until_lost(&self) {
        let mut kept_until = Instant::now() + self.visibility;
        loop {
            // Others must not have begun before the work here has stopped.
            let last_moment = kept_until - self.visibility / 10;
            tokio::time::sleep_until(last_moment.min(Instant::now() + self.visibility / 3)).await;
            let begun = Instant::now();
            if begun >= last_moment {
                return;
            }
            match tokio::time::timeout_at(last_moment, self.beat()).await {
                Ok(Beat::Kept) => kept_until = begun + self.visibility,
                Ok(Beat::Failed) => {}
                Ok(Beat::Lost) | Err(_) => return,
            }
        }
    }

    async fn beat(&self) -> Beat {
        // Tail to head, as for every change: no message is ever kept less long than one after it.
        let changes: Vec<_> = self.lock().iter().rev().map(|handle| (handle.clone(), self.visibility)).collect();
        let results = self.queue.change_visibility(&changes).await;
        let mut beat = Beat::Kept;
        for ((handle, _), result) in changes.iter().zip(results) {
            // A message that was deleted while the beat was under way is not lost.
            let Err(error) = result else { continue };
            if !self.lock().contains(handle) {
                continue;
            }
            warn!(error = %error, "heartbeat failed");
            match error {
                QueueError::Unavailable { .. } if beat != Beat::Lost => beat = Beat::Failed,
                QueueError::Unavailable { .. } => {}
                _ => beat = Beat::Lost,
            }
        }
        beat
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Handle>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::queue::{GroupId, NewMessage, Receive, Sent};

    /// A queue that is away: it refuses, or it never answers.
    struct Away {
        answers: bool,
    }

    impl Away {
        fn error() -> QueueError {
            QueueError::Unavailable { queue: "away".to_owned(), source: "on purpose".into() }
        }
    }

    #[async_trait::async_trait]
    impl Queue for Away {
        fn name(&self) -> &str {
            "away"
        }

        async fn send(&self, _: NewMessage) -> Result<Sent, QueueError> {
            Err(Away::error())
        }

        async fn receive(&self, _: Receive) -> Result<Vec<Received>, QueueError> {
            Err(Away::error())
        }

        async fn has_group(&self, _: &GroupId) -> Result<Option<bool>, QueueError> {
            Err(Away::error())
        }

        async fn delete(&self, handles: &[Handle]) -> Vec<Result<(), QueueError>> {
            handles.iter().map(|_| Err(Away::error())).collect()
        }

        async fn change_visibility(&self, changes: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
            if !self.answers {
                std::future::pending::<()>().await;
            }
            changes.iter().map(|_| Err(Away::error())).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_word_of_the_queue_the_lease_is_lost_before_others_could_begin() {
        let visibility = Duration::from_secs(30);
        let message = Received {
            id: "m-1".into(),
            group: "g".into(),
            dedup_id: None,
            sequence: None,
            receive_count: 1,
            sent_at: Timestamp(0),
            body: String::new(),
            attributes: Default::default(),
            trace: None,
            handle: "h-1".into(),
        };
        for answers in [true, false] {
            let (queue, started) = (Away { answers }, Instant::now());
            Keeper::new(&queue, std::slice::from_ref(&message), visibility).beat_until_lost().await;
            let lost = started.elapsed();
            assert!(lost > visibility / 2 && lost < visibility, "{lost:?}, answers: {answers}");
        }
    }
}
