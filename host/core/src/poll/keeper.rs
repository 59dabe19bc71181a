//! Heartbeats: every message that is held stays invisible to others while its group is worked on.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use crate::queue::{Handle, Queue, QueueError, Received};

/// Keeps the messages of one group.
pub(super) struct Keeper<'a> {
    queue: &'a dyn Queue,
    visibility: Duration,
    held: Mutex<Vec<Handle>>,
    lost: AtomicBool,
}

impl<'a> Keeper<'a> {
    /// Keeps these messages, which were just received with this visibility.
    pub(super) fn new(queue: &'a dyn Queue, messages: &[Received], visibility: Duration) -> Keeper<'a> {
        let held = messages.iter().map(|message| message.handle.clone()).collect();
        Keeper { queue, visibility, held: Mutex::new(held), lost: AtomicBool::new(false) }
    }

    /// A message that is about to be deleted needs no more heartbeats.
    pub(super) fn release(&self, handle: &Handle) {
        self.lock().retain(|held| held != handle);
    }

    /// Whether a message may have become visible to others.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Beats until it is dropped: three times in a visibility timeout, so that one lost beat is no harm.
    pub(super) async fn beat(&self) -> Infallible {
        let mut kept_until = Instant::now() + self.visibility;
        loop {
            tokio::time::sleep(self.visibility / 3).await;
            let begun = Instant::now();
            // Tail to head, as for every change: no message is ever kept less long than one after it.
            let changes: Vec<_> = self.lock().iter().rev().map(|handle| (handle.clone(), self.visibility)).collect();
            let results = self.queue.change_visibility(&changes).await;
            let mut failed = false;
            for ((handle, _), result) in changes.iter().zip(results) {
                // A message that was deleted while the beat was under way is not lost.
                let Err(error) = result else { continue };
                if !self.lock().contains(handle) {
                    continue;
                }
                warn!(error = %error, "heartbeat failed");
                failed = true;
                if !matches!(error, QueueError::Unavailable { .. }) {
                    self.lost.store(true, Ordering::Release);
                }
            }
            match failed {
                false => kept_until = begun + self.visibility,
                true if Instant::now() >= kept_until => self.lost.store(true, Ordering::Release),
                true => {}
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Handle>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
