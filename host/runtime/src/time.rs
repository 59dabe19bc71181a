//! Waiting by both clocks, and clocks that follow tokio's paused time in tests.

use std::time::{Duration, Instant};

use towpath_types::clock::{Clock, Moment, Timestamp};

/// How often [`reaches`] checks the wall clock: a timer follows the monotonic clock and does not fire early after a
/// suspend.
const LOOK: Duration = Duration::from_secs(1);

/// The machine's clocks. Under tokio's paused time (tests) the monotonic one is paused too.
pub fn wall_clock() -> Clock {
    Clock::wall().measured_by(monotonic)
}

/// A clock that reads `origin` now and advances with tokio's time, which a test can pause and advance.
pub fn tokio_clock(origin: Timestamp) -> Clock {
    Clock::starting_at(origin, monotonic)
}

fn monotonic() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Waits until a period that began at `moment` has passed by either clock. After a suspend it returns within a second.
pub async fn reaches(moment: &Moment, period: Duration) {
    loop {
        let left = moment.left_of(period);
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LOOK)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::time::Instant;

    use super::{Duration, Timestamp, reaches, tokio_clock};

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn the_clock_with_the_longer_elapsed_time_wins() {
        static AHEAD: AtomicU64 = AtomicU64::new(10_000);
        let clock = tokio_clock(Timestamp(1_700_000_000_000)).shifted(&AHEAD);
        let moment = clock.moment();
        assert_eq!(moment.elapsed(), Duration::ZERO);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(moment.elapsed(), Duration::from_secs(3), "both clocks advanced");
        AHEAD.store(15_000, Ordering::SeqCst);
        assert_eq!(moment.elapsed(), Duration::from_secs(8), "the monotonic clock stood still for 5 s");
        AHEAD.store(0, Ordering::SeqCst);
        assert_eq!(moment.elapsed(), Duration::from_secs(3), "the wall clock was set back");
        assert_eq!(moment.left_of(Duration::from_secs(4)), Duration::from_secs(1));
        assert_eq!(moment.left_of(Duration::from_secs(2)), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_period_ends_by_either_clock() {
        static AHEAD: AtomicU64 = AtomicU64::new(0);
        let clock = tokio_clock(Timestamp(1_700_000_000_000)).shifted(&AHEAD);
        let moment = clock.moment();
        let began = Instant::now();
        reaches(&moment, HOUR).await;
        assert_eq!(began.elapsed(), HOUR, "nothing was suspended");
        let moment = clock.moment();
        let began = Instant::now();
        let wakes = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            AHEAD.store(3_600_000, Ordering::SeqCst);
        };
        tokio::join!(reaches(&moment, HOUR), wakes);
        assert!(began.elapsed() <= Duration::from_secs(2), "it slept through an hour: {:?}", began.elapsed());
    }
}
