//! A breaker: after some failures in a row a target is not called for a while, then probed by one message.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use towpath_config::target::BreakerPolicy;

/// How long other messages wait while a probe is in flight.
const PROBING: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Breaker {
    policy: BreakerPolicy,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Calls go through.
    Closed { failures: u32 },
    /// No call goes through before `until`.
    Open { until: Instant, wait: Duration },
    /// One call goes through: the probe.
    HalfOpen { wait: Duration },
}

/// The target must not be called now. Ask again after this time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct BreakerOpen {
    pub(super) after: Duration,
}

/// A change of the breaker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Moved {
    Opened { failures: u32, probe_in: Duration },
    Closed,
}

/// The one call of a half-open breaker. If it is never made, the next message may probe.
#[derive(Debug)]
pub(super) struct Probe(Arc<Breaker>);

impl Breaker {
    pub(super) fn new(policy: BreakerPolicy) -> Breaker {
        Breaker { policy, state: Mutex::new(State::Closed { failures: 0 }) }
    }

    /// Why the target must not be called now, if so. This does not start a probe.
    pub(super) fn refuses(&self) -> Option<BreakerOpen> {
        match *self.state.lock() {
            State::Closed { .. } => None,
            State::Open { until, .. } => {
                let after = until.saturating_duration_since(Instant::now());
                (!after.is_zero()).then_some(BreakerOpen { after })
            }
            State::HalfOpen { .. } => Some(BreakerOpen { after: PROBING }),
        }
    }

    /// Asks to call the target. A half-open breaker lets one message through.
    pub(super) fn pass(self: &Arc<Self>) -> Result<Option<Probe>, BreakerOpen> {
        let mut state = self.state.lock();
        match *state {
            State::Closed { .. } => Ok(None),
            State::Open { until, wait } => {
                let left = until.saturating_duration_since(Instant::now());
                if !left.is_zero() {
                    return Err(BreakerOpen { after: left });
                }
                *state = State::HalfOpen { wait };
                Ok(Some(Probe(Arc::clone(self))))
            }
            State::HalfOpen { .. } => Err(BreakerOpen { after: PROBING }),
        }
    }

    /// Records the result of a call. A failure that began before the breaker opened changes nothing.
    pub(super) fn record(&self, available: bool) -> Option<Moved> {
        let mut state = self.state.lock();
        match (*state, available) {
            (State::Closed { failures: 0 }, true) => None,
            (State::Closed { .. }, true) => {
                *state = State::Closed { failures: 0 };
                None
            }
            (State::Open { .. } | State::HalfOpen { .. }, true) => {
                *state = State::Closed { failures: 0 };
                Some(Moved::Closed)
            }
            (State::Closed { failures }, false) => {
                let failures = failures.saturating_add(1);
                *state = State::Closed { failures };
                if self.policy.failures == 0 || failures < self.policy.failures {
                    return None;
                }
                Some(open(&mut state, failures, self.policy.base))
            }
            (State::HalfOpen { wait }, false) => Some(open(&mut state, 1, (wait * 2).min(self.policy.cap))),
            (State::Open { .. }, false) => None,
        }
    }
}

fn open(state: &mut State, failures: u32, wait: Duration) -> Moved {
    *state = State::Open { until: Instant::now() + wait, wait };
    Moved::Opened { failures, probe_in: wait }
}

impl Drop for Probe {
    /// A probe without a result leaves its turn to the next message.
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        if let State::HalfOpen { wait } = *state {
            *state = State::Open { until: Instant::now(), wait };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn opened() -> Arc<Breaker> {
        let policy = BreakerPolicy { failures: 3, base: SECOND, cap: SECOND * 4 };
        let breaker = Arc::new(Breaker::new(policy));
        assert_eq!((breaker.record(false), breaker.record(false)), (None, None));
        assert_eq!(breaker.record(false), Some(Moved::Opened { failures: 3, probe_in: SECOND }));
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_consecutive_failures_and_closes_after_one_probe() {
        let breaker = opened();
        assert_eq!(breaker.pass().expect_err("open").after, SECOND);
        tokio::time::advance(SECOND).await;
        let probe = breaker.pass().expect("half open").expect("the probe");
        assert_eq!(breaker.pass().expect_err("one probe only").after, PROBING);
        assert_eq!(breaker.record(true), Some(Moved::Closed));
        drop(probe);
        assert!(breaker.pass().expect("closed").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_in_between_resets_the_count() {
        let policy = BreakerPolicy { failures: 3, base: SECOND, cap: SECOND };
        let breaker = Arc::new(Breaker::new(policy));
        for available in [false, false, true, false, false] {
            assert_eq!(breaker.record(available), None);
        }
        assert!(breaker.record(false).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn every_failed_probe_doubles_the_wait_up_to_the_cap() {
        let breaker = opened();
        for wait in [1, 2, 4, 4] {
            tokio::time::advance(SECOND * wait).await;
            let probe = breaker.pass().expect("half open");
            let probe_in = SECOND * (wait * 2).min(4);
            assert_eq!(breaker.record(false), Some(Moved::Opened { failures: 1, probe_in }));
            drop(probe);
            assert_eq!(breaker.record(false), None, "a call from before it opened changes nothing");
            assert_eq!(breaker.pass().expect_err("open").after, probe_in);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_never_made_leaves_its_turn_to_the_next() {
        let breaker = opened();
        tokio::time::advance(SECOND).await;
        drop(breaker.pass().expect("half open").expect("the probe"));
        assert!(breaker.pass().expect("half open again").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_it_never_opens() {
        let breaker = Arc::new(Breaker::new(BreakerPolicy { failures: 0, ..BreakerPolicy::default() }));
        assert!((0..100).all(|_| breaker.record(false).is_none()));
        assert!(breaker.pass().is_ok());
    }
}
