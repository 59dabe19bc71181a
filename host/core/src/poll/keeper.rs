//! Heartbeats: every message that is held stays invisible to others while its group is worked on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    visibility: Duration,
    held: Mutex<Vec<(Handle, State)>>,
    kept_until: Mutex<Instant>,
}

impl<'a> Keeper<'a> {
    /// Keeps these messages, which were received with this visibility, and when.
    pub(super) fn new(
        queue: &'a dyn Queue,
        messages: &[Received],
        visibility: Duration,
        received: Instant,
    ) -> Keeper<'a> {
        let held = messages.iter().map(|message| (message.handle.clone(), State::Held)).collect();
        Keeper { queue, visibility, held: Mutex::new(held), kept_until: Mutex::new(received + visibility) }
    }

    /// A message is about to be deleted.
    pub(super) fn deleting(&self, handle: &Handle, deleted: &Deleted) {
        for (_, state) in lock(&self.held).iter_mut().filter(|(held, _)| held == handle) {
            *state = State::Deleting(deleted.clone());
        }
    }

    /// Whether something may be begun. A process that stood still finds out here, before its heartbeats do.
    pub(super) fn keeps(&self) -> bool {
        Instant::now() < self.last_moment()
    }

    /// When the work has to stop: others must not have begun before.
    fn last_moment(&self) -> Instant {
        *lock(&self.kept_until) - self.visibility / 10
    }

    /// Beats until the lease is lost: until the queue says that a message is not held any more, or nothing
    /// was heard of the queue for so long that one may have become visible to others. It beats three times
    /// in a visibility timeout, so that one lost beat is no harm.
    pub(super) async fn beat_until_lost(&self) {
        loop {
            let last_moment = self.last_moment();
            tokio::time::sleep_until(last_moment.min(Instant::now() + self.visibility / 3)).await;
            let begun = Instant::now();
            if begun >= last_moment {
                return;
            }
            match tokio::time::timeout_at(last_moment, self.beat()).await {
                Ok(Beat::Kept) => *lock(&self.kept_until) = begun + self.visibility,
                Ok(Beat::Failed) => {}
                Ok(Beat::Lost) | Err(_) => return,
            }
        }
    }

    async fn beat(&self) -> Beat {
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
        let mut held = lock(&self.held);
        held.retain(|(_, state)| !matches!(state, State::Deleting(deleted) if deleted.is_done()));
        held
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::scripted::{Answer, Scripted, message};

    const VISIBILITY: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn without_a_word_of_the_queue_the_lease_is_lost_before_others_could_begin() {
        for (answer, deleting) in [(Answer::Unavailable, false), (Answer::Unavailable, true), (Answer::Never, false)] {
            let (queue, message, started) = (Scripted(answer), message("h-1"), Instant::now());
            let keeper = Keeper::new(&queue, std::slice::from_ref(&message), VISIBILITY, started);
            if deleting {
                keeper.deleting(&message.handle, &Deleted::default());
            }
            let _ = tokio::time::timeout(VISIBILITY * 2, keeper.beat_until_lost()).await;
            let lost = started.elapsed();
            assert!(lost > VISIBILITY / 2 && lost < VISIBILITY, "{lost:?}, {answer:?}, deleting: {deleting}");
            assert!(!keeper.keeps(), "nothing is begun any more");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_held_any_more_is_lost_unless_it_is_being_deleted() {
        let (queue, messages, started) = (Scripted(Answer::NotInFlight), ["h-1", "h-2"].map(message), Instant::now());
        let keeper = Keeper::new(&queue, &messages, VISIBILITY, started);
        let deleted = Deleted::default();
        keeper.deleting(&messages[0].handle, &Deleted::default());
        keeper.deleting(&messages[1].handle, &deleted);
        deleted.done();
        let days = tokio::time::timeout(VISIBILITY * 10_000, keeper.beat_until_lost()).await;
        assert!(days.is_err() && keeper.keeps(), "the one may be deleted, the other is");
        let keeper = Keeper::new(&queue, &messages, VISIBILITY, Instant::now());
        keeper.deleting(&messages[1].handle, &deleted);
        let first_beat = tokio::time::timeout(VISIBILITY / 2, keeper.beat_until_lost()).await;
        assert!(first_beat.is_ok(), "somebody else has it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_begins_with_the_receive_and_not_with_the_work() {
        let (queue, message, received) = (Scripted(Answer::Unavailable), message("h-1"), Instant::now());
        tokio::time::advance(VISIBILITY).await;
        let keeper = Keeper::new(&queue, std::slice::from_ref(&message), VISIBILITY, received);
        assert!(!keeper.keeps());
        let lost = tokio::time::timeout(Duration::ZERO, keeper.beat_until_lost()).await;
        assert!(lost.is_ok(), "at once");
    }
}
