//! Wakes long polls when a message may have become receivable.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use towpath_types::clock::Timestamp;

/// How long polls rely on what the last receive left. What another process stores is found this much later at most: it changes no
/// counter of this process.
const RELIABLE: Duration = Duration::from_millis(250);

/// Shared by all long polls of a queue in this process.
#[derive(Default)]
pub(crate) struct Waker {
    /// Incremented by every change that may have made a message receivable.
    pub(crate) changes: watch::Sender<u64>,
    /// Polls take turns: one watches the queue, and the next takes over when it has messages. So a change wakes one of them, not all.
    pub(crate) turn: tokio::sync::Mutex<()>,
    last: Mutex<Option<Left>>,
}

/// What the last receive in a turn left.
#[derive(Clone, Copy)]
struct Left {
    /// The value of `changes` before it.
    version: u64,
    /// When a message becomes receivable without a change; in the past if the receive left some.
    next_ready: Option<Timestamp>,
    noted: Instant,
}

impl Waker {
    /// Notes when the next message becomes receivable, after a receive at this value of `changes`.
    pub(crate) fn note(&self, version: u64, next_ready: Option<Timestamp>) {
        *self.last.lock() = Some(Left { version, next_ready, noted: Instant::now() });
    }

    /// How long a receive would still find nothing, unless something changes; `None` if one must look.
    pub(crate) fn nothing_for(&self, version: u64, now: Timestamp) -> Option<Duration> {
        let Left { version: known, next_ready, noted } = (*self.last.lock())?;
        let reliable = RELIABLE.checked_sub(noted.elapsed()).filter(|rest| !rest.is_zero())?;
        match next_ready {
            _ if known != version => None,
            None => Some(reliable),
            Some(ready) if ready > now => Some(reliable.min(ready.since(now))),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nothing_can_be_received_until_something_changes_or_is_due_or_the_last_receive_is_long_ago() {
        let waker = Waker::default();
        let now = Timestamp(1_000);
        let after = |millis: u64| Some(Timestamp(1_000 + millis));
        assert_eq!(waker.nothing_for(3, now), None, "nothing is known yet");
        waker.note(3, None);
        assert_eq!(waker.nothing_for(3, now), Some(RELIABLE));
        assert_eq!(waker.nothing_for(4, now), None, "something changed");
        waker.note(3, after(20));
        assert_eq!(waker.nothing_for(3, now), Some(Duration::from_millis(20)));
        assert_eq!(waker.nothing_for(3, Timestamp(1_020)), None, "a message is due");
        waker.note(3, after(2_000));
        tokio::time::advance(Duration::from_millis(50)).await;
        assert_eq!(waker.nothing_for(3, now), Some(Duration::from_millis(200)));
        tokio::time::advance(Duration::from_millis(200)).await;
        assert_eq!(waker.nothing_for(3, now), None, "another process may have stored a message");
    }
}
