//! Whether the queue can be received from: what a load balancer or an orchestrator asks.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A queue that has not answered for so long is no passing trouble.
const TOLERATED: Duration = Duration::from_secs(10);

/// Since when every receive has failed, if the last one did.
#[derive(Debug, Default)]
pub struct Health(Mutex<Option<Instant>>);

impl Health {
    /// Whether the queue answers: false once receives have done nothing but fail for ten seconds.
    pub fn is_ready(&self) -> bool {
        self.failing_since().is_none_or(|since| since.elapsed() < TOLERATED)
    }

    pub(super) fn failed(&self) {
        self.failing_since().get_or_insert_with(Instant::now);
    }

    pub(super) fn succeeded(&self) {
        *self.failing_since() = None;
    }

    fn failing_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        assert!(health.is_ready());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!health.is_ready());
        health.succeeded();
        assert!(health.is_ready());
    }
}
