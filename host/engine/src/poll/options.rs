//! How a queue is polled.

use std::time::Duration;

use towpath_runtime::time::wall_clock;
use towpath_types::clock::Clock;

#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many groups are processed at the same time, at least 1.
    pub concurrency: usize,
    /// How long one receive waits. A stop takes effect within this time.
    pub wait: Duration,
    /// How long received messages stay hidden without a heartbeat, and so how long a group waits after a crash.
    pub visibility: Duration,
    /// The clock that measures leases, together with the monotonic clock.
    pub clock: Clock,
}

impl Default for Options {
    /// 16 groups, receives of 1 s, a visibility timeout of 30 s, the machine's clock.
    fn default() -> Options {
        let wait = Duration::from_secs(1);
        let visibility = Duration::from_secs(30);
        Options { concurrency: 16, wait, visibility, clock: wall_clock() }
    }
}
