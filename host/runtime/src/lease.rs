//! The lease on a group: how long this host owns its messages.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use towpath_types::clock::Moment;

use crate::time::wall_clock;

/// How long a driver owns a group. Clones share the same lease.
#[derive(Clone, Debug)]
pub struct Lease {
    began: Moment,
    total: Duration,
    /// Set where heartbeats extend the lease: without the next heartbeat the lease ends with the term.
    term: Option<Term>,
}

impl Lease {
    pub fn of(total: Duration) -> Lease {
        Lease::since(wall_clock().moment(), total)
    }

    pub fn since(began: Moment, total: Duration) -> Lease {
        Lease { began, total, term: None }
    }

    /// A lease that began at `began` and holds only while `term` is renewed.
    pub fn renewed(began: Moment, total: Duration, term: Term) -> Lease {
        Lease { began, total, term: Some(term) }
    }

    /// The time left, assuming renewal. Nothing may begin that could take longer.
    pub fn left(&self) -> Duration {
        self.began.left_of(self.total)
    }

    /// Until when a timer should let something run. Timers follow one clock only, so check [`Lease::holds`] right
    /// before anything that has an effect.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.left()
    }

    /// Whether a visible effect (a request to a target, a dead letter) may begin now. A process that was suspended
    /// finds out here that its lease is over.
    pub fn holds(&self) -> bool {
        !self.left().is_zero() && self.term.as_ref().is_none_or(|term| !term.left().is_zero())
    }
}

/// How long the queue hides messages without another heartbeat. Clones share the same term.
#[derive(Clone, Debug)]
pub struct Term {
    /// When the receive, or the last successful heartbeat, was requested.
    since: Arc<Mutex<Moment>>,
    length: Duration,
}

impl Term {
    pub fn new(since: Moment, length: Duration) -> Term {
        Term { since: Arc::new(Mutex::new(since)), length }
    }

    /// Renews the term from when a successful heartbeat was requested.
    pub fn renew(&self, asked: Moment) {
        *self.since.lock() = asked;
    }

    /// When the receive, or the last successful heartbeat, was requested.
    pub fn since(&self) -> Moment {
        *self.since.lock()
    }

    /// The time left; zero once the term is over.
    pub fn left(&self) -> Duration {
        self.since().left_of(self.length)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use towpath_types::clock::Timestamp;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_lease_ends_by_either_clock_and_a_clock_that_is_set_back_does_not_make_it_longer() {
        static AHEAD: AtomicU64 = AtomicU64::new(600_000);
        let clock = crate::time::tokio_clock(Timestamp(1_700_000_000_000)).shifted(&AHEAD);
        let lease = Lease::since(clock.moment(), MINUTE);
        assert!(lease.holds());
        AHEAD.store(0, Ordering::SeqCst);
        tokio::time::advance(MINUTE - Duration::from_millis(1)).await;
        assert!(lease.holds());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!lease.holds(), "a minute has passed, although the wall clock was set back");
        let lease = Lease::since(clock.moment(), MINUTE);
        AHEAD.store(60_000, Ordering::SeqCst);
        assert!(!lease.holds(), "the machine was suspended for a minute");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_holds_only_while_its_term_is_renewed_and_not_past_its_end() {
        let clock = crate::time::tokio_clock(Timestamp(1_700_000_000_000));
        let term = Term::new(clock.moment(), MINUTE);
        let lease = Lease::renewed(clock.moment(), MINUTE * 2, term.clone());
        tokio::time::advance(MINUTE / 2).await;
        let asked = clock.moment();
        tokio::time::advance(MINUTE / 2).await;
        assert!(!lease.holds(), "there was no heartbeat");
        term.renew(asked);
        assert!(lease.holds(), "the term counts from the request");
        tokio::time::advance(MINUTE / 2).await;
        assert!(!lease.holds());
        tokio::time::advance(MINUTE / 2).await;
        term.renew(clock.moment());
        assert!(!lease.holds(), "the lease ends despite heartbeats");
    }
}
