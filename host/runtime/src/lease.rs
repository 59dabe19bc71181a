//! The lease on a group: for how long its messages are this host's alone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use towpath_types::clock::Moment;

use crate::time::wall_clock;

/// How long a driver has for a group. Clones are the same lease.
#[derive(Clone, Debug)]
pub struct Lease {
    began: Moment,
    total: Duration,
    /// What heartbeats renew, if there are any: without the next one the lease ends with it.
    term: Option<Term>,
}

impl Lease {
    /// A lease that begins now.
    pub fn of(total: Duration) -> Lease {
        Lease::since(wall_clock().moment(), total)
    }

    /// A lease that began then.
    pub fn since(began: Moment, total: Duration) -> Lease {
        Lease { began, total, term: None }
    }

    /// A lease that began then, and holds only while its term is renewed.
    pub fn renewed(began: Moment, total: Duration, term: Term) -> Lease {
        Lease { began, total, term: Some(term) }
    }

    /// What is left of it if it is renewed. Nothing is begun that could take longer.
    pub fn left(&self) -> Duration {
        self.began.left_of(self.total)
    }

    /// When a timer should end what is awaited. A timer knows one clock only: what has an effect asks
    /// [`Lease::holds`] right before.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.left()
    }

    /// Whether something may be begun now that others can see: a request to a target, a dead letter. A process that stood
    /// still finds out here.
    pub fn holds(&self) -> bool {
        !self.left().is_zero() && self.term.as_ref().is_none_or(|term| !term.left().is_zero())
    }
}

/// How long the queue keeps messages from others without another heartbeat. Clones are the same term.
#[derive(Clone, Debug)]
pub struct Term {
    /// When the receive or the last heartbeat that succeeded was asked for.
    since: Arc<Mutex<Moment>>,
    length: Duration,
}

impl Term {
    /// A term of this length, from then on.
    pub fn new(since: Moment, length: Duration) -> Term {
        Term { since: Arc::new(Mutex::new(since)), length }
    }

    /// A heartbeat that was asked for then succeeded.
    pub fn renew(&self, asked: Moment) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = asked;
    }

    /// When the receive or the last heartbeat that succeeded was asked for.
    pub fn since(&self) -> Moment {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is left of it; zero once it is over.
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
        assert!(!lease.holds(), "a minute is over, though the wall clock says that it has not begun");
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
        assert!(!lease.holds(), "no heartbeat came");
        term.renew(asked);
        assert!(lease.holds(), "it counts from when it was asked for");
        tokio::time::advance(MINUTE / 2).await;
        assert!(!lease.holds());
        tokio::time::advance(MINUTE / 2).await;
        term.renew(clock.moment());
        assert!(!lease.holds(), "it has an end");
    }
}
