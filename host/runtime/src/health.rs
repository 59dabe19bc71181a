//! Whether a host takes work: what a load balancer or an orchestrator asks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A queue that has not answered for so long is no passing trouble.
const TOLERATED: Duration = Duration::from_secs(10);

/// What is known of a host: since when every receive has failed, if the last one did, and whether it is shutting down.
#[derive(Debug, Default)]
pub struct Health {
    failing_since: Mutex<Option<Instant>>,
    draining: AtomicBool,
}

impl Health {
    /// Whether the host takes work, or why not: it is shutting down, or its receives have all failed for ten seconds.
    pub fn ready(&self) -> Result<(), &'static str> {
        if self.draining.load(Ordering::Relaxed) {
            return Err("draining");
        }
        match self.failing_since().is_none_or(|since| since.elapsed() < TOLERATED) {
            true => Ok(()),
            false => Err("the queue does not answer"),
        }
    }

    /// From now on the host is not ready: a load balancer sends nothing more.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// A receive failed.
    pub fn failed(&self) {
        self.failing_since().get_or_insert_with(Instant::now);
    }

    /// A receive was answered.
    pub fn succeeded(&self) {
        *self.failing_since() = None;
    }

    fn failing_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.failing_since.lock().unwrap_or_else(PoisonError::into_inner)
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
