//! Heartbeats: every message that is held stays invisible to others while its group is worked on.

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

/// What came of one heartbeat.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beat {
    Kept,
    /// The queue could not be asked; the one before still counts.
    Failed,
    /// A message is not held any more.
    Lost,
}

/// Whether a message is deleted; whoever deletes it says so.
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

/// How far a group has come with one of its messages.
enum State {
    /// Waits for its turn, or is worked on.
    Held,
    /// Is done with. Until it is deleted it is kept like the others: visible again, it would be delivered a second time
    /// beside those behind it. That the queue does not hold it any more is no loss: it may just have been deleted.
    Deleting(Deleted),
}

/// Keeps the messages of one group.
pub(super) struct Keeper<'a> {
    queue: &'a dyn Queue,
    clock: Clock,
    visibility: Duration,
    held: Mutex<Vec<(Handle, State)>>,
    term: Term,
}

impl<'a> Keeper<'a> {
    /// Keeps these messages, which were received with this visibility. `asked` is when the receive was asked for: when it was
    /// answered nobody here can know.
    pub(super) fn new(
        queue: &'a dyn Queue,
        clock: Clock,
        messages: &[Received],
        visibility: Duration,
        asked: Moment,
    ) -> Keeper<'a> {
        let held = messages.iter().map(|message| (message.handle.clone(), State::Held)).collect();
        // The work stops a tenth before others could begin.
        let term = Term::new(asked, visibility - visibility / 10);
        Keeper { queue, clock, visibility, held: Mutex::new(held), term }
    }

    /// What is renewed by heartbeats.
    pub(super) fn term(&self) -> Term {
        self.term.clone()
    }

    /// A message is about to be deleted.
    pub(super) fn deleting(&self, handle: &Handle, deleted: &Deleted) {
        for (_, state) in self.held.lock().iter_mut().filter(|(held, _)| held == handle) {
            *state = State::Deleting(deleted.clone());
        }
    }

    /// Whether something may be begun. A process that stood still finds out here, before its heartbeats do.
    pub(super) fn keeps(&self) -> bool {
        !self.term.left().is_zero()
    }

    /// Whether so much time has passed since the queue was asked that nobody knows how much of the lease is left: a tenth of
    /// the visibility. A long poll that waited is not told from a process that stood still.
    pub(super) fn is_stale(&self) -> bool {
        self.term.since().elapsed() >= self.visibility / 10
    }

    /// Beats until the queue confirms that every message is still held. False if one is not, or the queue did not say so while
    /// the lease could last; then nothing may be begun.
    pub(super) async fn confirm(&self) -> bool {
        let began = self.clock.moment();
        loop {
            match self.beat(self.visibility / 3).await {
                // Its answer may have come too late.
                Beat::Kept if self.keeps() => return true,
                Beat::Lost => return false,
                // Whenever the queue handed the messages out, it was before this began.
                _ if began.elapsed() >= self.visibility => return false,
                Beat::Kept | Beat::Failed => sleep(self.visibility / 10).await,
            }
        }
    }

    /// Beats until the lease is lost: until the queue says that a message is not held any more, or nothing
    /// was heard of the queue for so long that one may have become visible to others. It beats three times
    /// in a visibility timeout, so that one lost beat is no harm.
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

    /// One heartbeat. The lease counts from when it was asked for.
    async fn beat(&self, patience: Duration) -> Beat {
        let asked = self.clock.moment();
        let beat = timeout(patience, self.extend()).await.unwrap_or(Beat::Failed);
        if beat == Beat::Kept {
            self.term.renew(asked);
        }
        beat
    }

    async fn extend(&self) -> Beat {
        // Tail to head, as for every change: no message is ever kept less long than one after it.
        let kept = |(handle, _): &(Handle, State)| (handle.clone(), self.visibility);
        let changes: Vec<_> = self.held().iter().rev().map(kept).collect();
        let results = self.queue.change_visibility(&changes).await;
        let held = self.held();
        let mut beat = Beat::Kept;
        for ((handle, _), result) in changes.iter().zip(results) {
            let Err(error) = result else { continue };
            let failed = match (held.iter().find(|(held, _)| held == handle), &error) {
                // It was deleted while the beat was under way.
                (None, _) => continue,
                (Some(_), QueueError::Unavailable { .. }) => Beat::Failed,
                (Some((_, State::Deleting(_))), _) => continue,
                (Some((_, State::Held)), _) => Beat::Lost,
            };
            warn!(error = %error, "heartbeat failed");
            if beat != Beat::Lost {
                beat = failed;
            }
        }
        beat
    }

    /// What is held still.
    fn held(&self) -> MutexGuard<'_, Vec<(Handle, State)>> {
        let mut held = self.held.lock();
        held.retain(|(_, state)| !matches!(state, State::Deleting(deleted) if deleted.is_done()));
        held
    }
}

#[cfg(test)]
#[path = "keeper/tests.rs"]
mod tests;
