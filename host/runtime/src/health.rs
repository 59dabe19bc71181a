//! Readiness, as load balancers and orchestrators ask for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// After this long without an answer from the queue the host is not ready.
const TOLERATED: Duration = Duration::from_secs(10);

/// Since when every receive has failed (if the last one did), and whether the host is shutting down.
#[derive(Debug, Default)]
pub struct Health {
    failing_since: Mutex<Option<Instant>>,
    draining: AtomicBool,
}

impl Health {
    /// Ok if the host takes work. `Err` says why not: it is draining, or all receives have failed for ten seconds.
    pub fn ready(&self) -> Result<(), &'static str> {
        if self.draining.load(Ordering::Relaxed) {
            return Err("draining");
        }
        if self.failing_since.lock().is_none_or(|since| since.elapsed() < TOLERATED) {
            Ok(())
        } else {
            Err("the queue does not answer")
        }
    }

    /// Makes the host not ready for good, so that load balancers stop sending.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub fn failed(&self) {
        self.failing_since.lock().get_or_insert_with(Instant::now);
    }

    pub fn succeeded(&self) {
        *self.failing_since.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_queue_is_not_ready_once_every_receive_has_failed_for_ten_seconds() {
        let health = Health::default();
        health.failed();
        tokio::time::advance(Duration::from_secs(9)).await;
        health.failed();
        assert!(health.ready().is_ok());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(health.ready(), Err("the queue does not answer"));
        health.succeeded();
        assert!(health.ready().is_ok());
        health.drain();
        assert_eq!(health.ready(), Err("draining"));
    }
}
