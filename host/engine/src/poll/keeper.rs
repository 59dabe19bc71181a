//! Heartbeats: the messages of a group stay hidden from others while the group is processed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::{sleep, timeout};
use tracing::warn;

use towpath_runtime::lease::Term;
use towpath_runtime::time::reaches;
use towpath_types::clock::{Clock, Moment};
use towpath_types::queue::{Handle, Queue, QueueError, Received};

/// The result of a heartbeat.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beat {
    Kept,
    /// The queue was unavailable. The previous heartbeat still counts.
    Failed,
    /// A message is no longer held.
    Lost,
}

/// Whether a message is deleted. The deleter sets it.
#[derive(Clone, Debug, Default)]
pub(super) struct Deleted(Arc<AtomicBool>);

impl Deleted {
    pub(super) fn done(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_done(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

enum State {
    /// Waiting for its turn, or in progress.
    Held,
    /// Finished. Until it is deleted it is kept like the others: once visible, it would be delivered again while the
    /// messages behind it are in progress. If the queue no longer holds it, the lease is not lost: it may just have
    /// been deleted.
    Deleting(Deleted),
}

/// Keeps the messages of one group hidden.
pub(super) struct Keeper<'a> {
    queue: &'a dyn Queue,
    clock: Clock,
    visibility: Duration,
    held: Mutex<Vec<(Handle, State)>>,
    term: Term,
}

impl<'a> Keeper<'a> {
    /// Keeps these messages, which were received with this visibility timeout. `asked` is when the receive was
    /// requested: the lease counts from then, because nobody here can know when the queue answered.
    pub(super) fn new(
        queue: &'a dyn Queue,
        clock: Clock,
        messages: &[Received],
        visibility: Duration,
        asked: Moment,
    ) -> Keeper<'a> {
        let held = messages.iter().map(|message| (message.handle.clone(), State::Held)).collect();
        // Work stops a tenth of the timeout before others could begin.
        let term = Term::new(asked, visibility - visibility / 10);
        Keeper { queue, clock, visibility, held: Mutex::new(held), term }
    }

    /// The term that heartbeats renew.
    pub(super) fn term(&self) -> Term {
        self.term.clone()
    }

    /// Call this before a message is deleted.
    pub(super) fn deleting(&self, handle: &Handle, deleted: &Deleted) {
        for (_, state) in self.held.lock().iter_mut().filter(|(held, _)| held == handle) {
            *state = State::Deleting(deleted.clone());
        }
    }

    /// Whether work may begin. A process that was suspended learns it here first, before its next heartbeat.
    pub(super) fn keeps(&self) -> bool {
        !self.term.left().is_zero()
    }

    /// Whether a tenth of the visibility timeout has passed since the request, so that it is unknown how much of the
    /// lease is left. A long poll cannot be told apart from a suspended process.
    pub(super) fn is_stale(&self) -> bool {
        self.term.since().elapsed() >= self.visibility / 10
    }

    /// Sends heartbeats until the queue confirms that every message is still held. Returns false if one is not, or if
    /// the queue does not confirm it within the longest possible lease. Then no work may begin.
    pub(super) async fn confirm(&self) -> bool {
        let began = self.clock.moment();
        loop {
            match self.beat(self.visibility / 3).await {
                // The confirmation may have come too late.
                Beat::Kept if self.keeps() => return true,
                Beat::Lost => return false,
                // The queue delivered the messages before `began`, so by now the lease is over.
                _ if began.elapsed() >= self.visibility => return false,
                Beat::Kept | Beat::Failed => sleep(self.visibility / 10).await,
            }
        }
    }

    /// Sends heartbeats until the lease is lost: the queue reports that a message is no longer held, or has been silent
    /// for so long that one may have become visible to others. There are three heartbeats per visibility timeout, so
    /// one may fail.
    pub(super) async fn beat_until_lost(&self) {
        loop {
            let next = self.clock.moment();
            reaches(&next, self.term.left().min(self.visibility / 3)).await;
            let left = self.term.left();
            if left.is_zero() || self.beat(left).await == Beat::Lost {
                return;
            }
        }
    }

    /// Sends one heartbeat. The lease counts from the request.
    async fn beat(&self, patience: Duration) -> Beat {
        let asked = self.clock.moment();
        let beat = timeout(patience, self.extend()).await.unwrap_or(Beat::Failed);
        if beat == Beat::Kept {
            self.term.renew(asked);
        }
        beat
    }

    async fn extend(&self) -> Beat {
        // Last to first, as for every change: no message may become visible before one behind it.
        let kept = |(handle, _): &(Handle, State)| (handle.clone(), self.visibility);
        let changes: Vec<_> = self.held().iter().rev().map(kept).collect();
        let results = self.queue.change_visibility(&changes).await;
        let held = self.held();
        let mut beat = Beat::Kept;
        for ((handle, _), result) in changes.iter().zip(results) {
            let Err(error) = result else { continue };
            let failed = match (held.iter().find(|(held, _)| held == handle), &error) {
                // Deleted while the heartbeat was in flight.
                (None, _) => continue,
                (Some(_), QueueError::Unavailable { .. }) => Beat::Failed,
                (Some((_, State::Deleting(_))), _) => continue,
                (Some((_, State::Held)), _) => Beat::Lost,
            };
            warn!(event = "heartbeat-failed", error = %error, "heartbeat failed");
            if beat != Beat::Lost {
                beat = failed;
            }
        }
        beat
    }

    /// The messages that are not yet deleted.
    fn held(&self) -> MutexGuard<'_, Vec<(Handle, State)>> {
        let mut held = self.held.lock();
        held.retain(|(_, state)| !matches!(state, State::Deleting(deleted) if deleted.is_done()));
        held
    }
}

#[cfg(test)]
#[path = "keeper/tests.rs"]
mod tests;
