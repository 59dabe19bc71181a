//! What tells long polls that there may be something to receive.

use tokio::sync::{Mutex, watch};
use towpath_types::clock::Timestamp;

/// What long polls of a queue share.
#[derive(Default)]
pub(crate) struct Waker {
    /// Counts what may have made a message receivable.
    pub(crate) changes: watch::Sender<u64>,
    /// What the last one found that looked and found nothing; held while one looks.
    pub(crate) empty: Mutex<Option<Empty>>,
}

/// A queue that had nothing to receive.
pub(crate) struct Empty {
    /// What had changed until then.
    pub(crate) version: u64,
    /// When there will be something without another change.
    pub(crate) next_ready: Option<Timestamp>,
}

impl Empty {
    /// Whether it is still so, with these changes and at this time.
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
