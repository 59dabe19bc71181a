//! What a wall clock that was wrong for a while must not do: keep events for ever, or remove young ones.

use std::time::{Duration, Instant};

use towpath_types::clock::Timestamp;

/// How far a time may be in the future: threads look at the clock in one order, and write in another.
const AHEAD: Duration = Duration::from_secs(60);

/// How far the wall clock may get ahead of monotonic time from one look to the next. After more, somebody has set it, perhaps wrongly.
const JUMP: Duration = Duration::from_secs(60);

/// Whether a time is in the future, because the clock was wrong then.
pub(crate) fn is_ahead(time: Timestamp, now: Timestamp) -> bool {
    time.since(now) > AHEAD
}

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) now: Timestamp,
    pub(crate) monotonic: Instant,
}

impl Look {
    /// Whether the wall clock jumped ahead since an earlier look.
    pub(crate) fn jumped_since(self, earlier: Look) -> bool {
        let passed = self.monotonic.saturating_duration_since(earlier.monotonic);
        self.now.since(earlier.now) > passed + JUMP
    }
}
