//! Limits: the concurrency and the rate of requests to a target, per host process.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};
use towpath_config::target::Limits;

#[derive(Debug)]
pub(super) struct Limit {
    slots: Option<Arc<Semaphore>>,
    rate: Option<Rate>,
}

#[derive(Debug)]
struct Rate {
    space: Duration,
    /// When the next request may be made. A waiting message holds the lock, so turns come in the order of asking, and
    /// an abandoned turn is not used up.
    next: Mutex<Instant>,
}

impl Limit {
    pub(super) fn new(limits: Limits) -> Limit {
        let rate = limits.rate.map(|per_second| {
            let space = Duration::try_from_secs_f64(1.0 / per_second).unwrap_or(Duration::MAX);
            Rate { space, next: Mutex::new(Instant::now()) }
        });
        Limit { slots: limits.concurrency.map(|slots| Arc::new(Semaphore::new(slots))), rate }
    }

    /// Waits until this many requests may be made, one after another. Keep the permit until they are done.
    pub(super) async fn pass(&self, requests: u32) -> Option<OwnedSemaphorePermit> {
        let slot = match &self.slots {
            Some(slots) => Arc::clone(slots).acquire_owned().await.ok(),
            None => None,
        };
        if let Some(Rate { space, next }) = &self.rate {
            let mut next = next.lock().await;
            sleep_until(*next).await;
            *next = Instant::now() + space.saturating_mul(requests);
        }
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test(start_paused = true)]
    async fn no_more_messages_are_at_a_target_than_its_concurrency() {
        let limit = Limit::new(Limits { concurrency: Some(2), rate: None });
        let first = limit.pass(1).await;
        let _second = limit.pass(1).await;
        assert!(limit.pass(1).now_or_never().is_none(), "two are there");
        drop(first);
        assert!(limit.pass(1).now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn requests_are_spaced_by_the_rate_and_a_verdict_of_three_uses_three_turns() {
        let limit = Limit::new(Limits { concurrency: None, rate: Some(2.0) });
        let started = Instant::now();
        let mut begun = Vec::new();
        for requests in [1, 1, 3, 1] {
            limit.pass(requests).await;
            begun.push(started.elapsed().as_millis());
        }
        assert_eq!(begun, [0, 500, 1000, 2500]);
        tokio::time::advance(Duration::from_secs(60)).await;
        limit.pass(1).await;
        assert!(limit.pass(1).now_or_never().is_none(), "a quiet minute is no credit");
    }

    #[tokio::test(start_paused = true)]
    async fn an_abandoned_turn_is_not_used_up() {
        let limit = Limit::new(Limits { concurrency: None, rate: Some(1.0) });
        let started = Instant::now();
        limit.pass(1).await;
        for _ in 0..5 {
            assert!(tokio::time::timeout(Duration::from_millis(100), limit.pass(1)).await.is_err());
        }
        limit.pass(1).await;
        assert_eq!(started.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn without_limits_nothing_waits() {
        let limit = Limit::new(Limits::default());
        assert!((0..1000).all(|_| matches!(limit.pass(10).now_or_never(), Some(None))));
    }
}
