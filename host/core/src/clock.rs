//! What time it is, and how long ago a moment was. In tests a clock moves with tokio's paused time.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// A moment, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;

    fn add(self, after: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(u64::try_from(after.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;

    fn sub(self, before: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(u64::try_from(before.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 with milliseconds, in UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = UNIX_EPOCH + Duration::from_millis(self.0.min(253_402_300_799_999));
        write!(f, "{}", humantime::format_rfc3339_millis(time))
    }
}

/// Tells the time. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    source: Source,
    ahead: Option<&'static AtomicU64>,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    Wall,
    Tokio { origin: Timestamp, start: Instant },
}

impl Clock {
    /// The machine's wall clock.
    pub fn wall() -> Clock {
        Clock { source: Source::Wall, ahead: None }
    }

    /// A clock that reads `origin` now and moves with tokio's: a test that pauses and advances tokio's time
    /// moves this one too.
    pub fn tokio(origin: Timestamp) -> Clock {
        Clock { source: Source::Tokio { origin, start: Instant::now() }, ahead: None }
    }

    /// This clock, set ahead by a number of milliseconds. A test changes the number to set the wall clock forward or back
    /// while monotonic time goes on as it does.
    #[must_use]
    pub fn shifted(self, ahead: &'static AtomicU64) -> Clock {
        Clock { ahead: Some(ahead), ..self }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        let now = match self.source {
            Source::Wall => wall(),
            Source::Tokio { origin, start } => origin + start.elapsed(),
        };
        match self.ahead {
            Some(ahead) => now + Duration::from_millis(ahead.load(Ordering::SeqCst)),
            None => now,
        }
    }

    /// Now, by both clocks.
    pub fn moment(&self) -> Moment {
        Moment { clock: *self, monotonic: Instant::now(), wall: self.now() }
    }
}

fn wall() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    #[cfg(feature = "faults")]
    let now = now.saturating_add_signed(crate::faults::clock_offset());
    Timestamp(now)
}

/// A moment by two clocks, of which neither alone can be trusted with how long ago it was: the monotonic clock stands still
/// while a machine is suspended or a function is frozen, and the wall clock can be set back.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    clock: Clock,
    monotonic: Instant,
    wall: Timestamp,
}

impl Moment {
    /// How often [`Moment::reaches`] looks at the wall clock: a timer runs by the monotonic clock and does not fire early
    /// when the machine wakes.
    const LOOK: Duration = Duration::from_secs(1);

    /// How long ago it was, by the clock that says longer. Never too short unless the wall clock was set back while the
    /// monotonic one stood still.
    pub fn elapsed(&self) -> Duration {
        self.monotonic.elapsed().max(self.clock.now().since(self.wall))
    }

    /// What is left of a period that began here; zero once it is over.
    pub fn left_of(&self, period: Duration) -> Duration {
        period.saturating_sub(self.elapsed())
    }

    /// Waits until a period that began here is over, by either clock. After a machine was suspended it returns within a second.
    pub async fn reaches(&self, period: Duration) {
        loop {
            let left = self.left_of(period);
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(Moment::LOOK)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn the_clock_that_says_longer_decides_how_long_ago_a_moment_was() {
        static AHEAD: AtomicU64 = AtomicU64::new(10_000);
        let clock = Clock::tokio(Timestamp(1_700_000_000_000)).shifted(&AHEAD);
        let moment = clock.moment();
        assert_eq!(moment.elapsed(), Duration::ZERO);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(moment.elapsed(), Duration::from_secs(3), "both clocks went on");
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
        let clock = Clock::tokio(Timestamp(1_700_000_000_000)).shifted(&AHEAD);
        let (moment, began) = (clock.moment(), Instant::now());
        moment.reaches(HOUR).await;
        assert_eq!(began.elapsed(), HOUR, "nothing stood still");
        let (moment, began) = (clock.moment(), Instant::now());
        let wakes = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            AHEAD.store(3_600_000, Ordering::SeqCst);
        };
        tokio::join!(moment.reaches(HOUR), wakes);
        assert!(began.elapsed() <= Duration::from_secs(2), "an hour was slept through: {:?}", began.elapsed());
    }
}
