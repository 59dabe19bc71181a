//! Wakes long polls when a message may have become receivable.

use tokio::sync::{Mutex, watch};
use towpath_types::clock::Timestamp;

/// Shared by all long polls of a queue in this process.
#[derive(Default)]
pub(crate) struct Waker {
    /// Incremented by every change that may have made a message receivable.
    pub(crate) changes: watch::Sender<u64>,
    /// The last empty receive. Locked during a receive, so that woken polls query one after another, and one empty result
    /// answers all of them.
    pub(crate) empty: Mutex<Option<Empty>>,
}

/// A receive that found nothing.
pub(crate) struct Empty {
    /// The value of `changes` at that time.
    pub(crate) version: u64,
    /// When a message becomes receivable without another change.
    pub(crate) next_ready: Option<Timestamp>,
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
}
