//! How a queue is polled.

use std::time::Duration;

use towpath_runtime::time::wall_clock;
use towpath_types::clock::Clock;

/// How a queue is polled.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many groups are worked on at the same time, at least 1.
    pub concurrency: usize,
    /// How long one receive waits. A stop is felt after this at the latest.
    pub wait: Duration,
    /// How long received messages stay invisible without a heartbeat: how long a group stands still
    /// after this process was killed.
    pub visibility: Duration,
    /// By which leases are counted, with the monotonic clock.
    pub clock: Clock,
}

impl Default for Options {
    /// 16 groups, receives of one second, 30 s of visibility, the machine's clock.
    fn default() -> Options {
        let wait = Duration::from_secs(1);
        let visibility = Duration::from_secs(30);
        Options { concurrency: 16, wait, visibility, clock: wall_clock() }
    }
}
