//! The streams of a session, which end with it.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::problem::Problem;

/// The most streams of one session, so that one browser leaves some to others.
const MOST: usize = 4;

/// What the streams of a session know of it.
#[derive(Clone)]
pub(crate) struct Streams {
    seats: Arc<Semaphore>,
    used: Arc<Mutex<Instant>>,
    closed: CancellationToken,
    idle: Duration,
}

impl Streams {
    /// Those of a session that ends after this long without a request, or when the guard is dropped.
    pub(super) fn new(idle: Duration) -> (Streams, DropGuard) {
        let closed = CancellationToken::new();
        let guard = closed.clone().drop_guard();
        let used = Arc::new(Mutex::new(Instant::now()));
        (Streams { seats: Arc::new(Semaphore::new(MOST)), used, closed, idle }, guard)
    }

    pub(super) fn used(&self) -> Instant {
        *self.used.lock()
    }

    pub(super) fn touch(&self, now: Instant) {
        *self.used.lock() = now;
    }

    /// A seat for one more stream.
    pub(crate) fn seat(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let seat = Arc::clone(&self.seats).try_acquire_owned();
        seat.map_err(|_| Problem::unavailable(format!("this session has {MOST} streams already: close one of them")))
    }

    /// Resolves once the session has ended. A stream that is open is no request.
    pub(crate) async fn ended(self) {
        loop {
            let until = self.used() + self.idle;
            if until <= Instant::now() || self.closed.run_until_cancelled(sleep_until(until)).await.is_none() {
                return;
            }
        }
    }
}
