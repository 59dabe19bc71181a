//! Wakes long polls when a message may have become receivable.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use towpath_types::clock::Timestamp;

/// How long the last empty receive answers polls that begin. Only what other processes store is found that much later: they change no counter of
/// this one.
const RECENT: Duration = Duration::from_millis(100);

/// Shared by all long polls of a queue in this process.
#[derive(Default)]
pub(crate) struct Waker {
    /// Incremented by every change that may have made a message receivable.
    pub(crate) changes: watch::Sender<u64>,
    /// Polls take turns: one watches the queue, and the next one takes over once it has messages. A change so wakes one of them, and not all.
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// What the last receive left, in a turn.
    last: Mutex<Option<(Empty, Instant)>>,
}

/// After a receive: what is left becomes receivable by a change, or at a time, which may have passed.
#[derive(Clone, Copy)]
pub(crate) struct Empty {
    /// The value of `changes` before it.
    pub(crate) version: u64,
    /// When a message becomes receivable without another change.
    pub(crate) next_ready: Option<Timestamp>,
}

impl Waker {
    /// Notes what a receive left.
    pub(crate) fn note(&self, empty: Empty) {
        *self.last.lock() = Some((empty, Instant::now()));
    }

    /// The last receive, if nothing can be received since.
    pub(crate) fn still_empty(&self, version: u64, now: Timestamp) -> Option<Empty> {
        self.last.lock().map(|(empty, _)| empty).filter(|empty| empty.still(version, now))
    }

    /// Whether a receive was empty just now, and another one would be.
    pub(crate) fn was_empty_just_now(&self, now: Timestamp) -> bool {
        let version = *self.changes.borrow();
        let last = *self.last.lock();
        last.is_some_and(|(empty, at)| empty.still(version, now) && at.elapsed() < RECENT)
    }
}

impl Empty {
    /// Whether a receive would still find nothing, at this value of `changes` and at this time.
    pub(crate) fn still(&self, version: u64, now: Timestamp) -> bool {
        self.version == version && self.next_ready.is_none_or(|ready| ready > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_empty_until_something_changes_or_a_message_is_due() {
        let empty = |next_ready| Empty { version: 3, next_ready };
        let now = Timestamp(1_000);
        let later = Timestamp(1_001);
        assert!(empty(None).still(3, now));
        assert!(empty(Some(later)).still(3, now));
        assert!(!empty(Some(later)).still(3, later), "a message is due");
        assert!(!empty(None).still(4, now), "something changed");
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_receive_answers_polls_that_begin_just_after_it() {
        let waker = Waker::default();
        let now = Timestamp(1_000);
        let empty = Empty { version: 0, next_ready: Some(Timestamp(2_000)) };
        assert!(!waker.was_empty_just_now(now), "nothing is known yet");
        waker.note(empty);
        assert!(waker.was_empty_just_now(now));
        assert!(!waker.was_empty_just_now(Timestamp(2_000)), "a message is due");
        tokio::time::advance(RECENT).await;
        assert!(!waker.was_empty_just_now(now), "another process may have stored a message");
        waker.note(empty);
        waker.changes.send_modify(|count| *count += 1);
        assert!(!waker.was_empty_just_now(now), "something changed");
    }
}
