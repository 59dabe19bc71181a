//! Whether the queue can be received from: what a load balancer or an orchestrator asks.

use std::sync::atomic::{AtomicU32, Ordering};

/// After so many receives in a row that failed the driver is not healthy: some ten seconds.
const TOLERATED: u32 = 5;

/// Failed receives in a row.
#[derive(Debug, Default)]
pub struct Health(AtomicU32);

impl Health {
    /// Whether the queue answers.
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Relaxed) < TOLERATED
    }

    pub(super) fn failed(&self) {
        // It never wraps: the backoff grows to half a minute.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn succeeded(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}
