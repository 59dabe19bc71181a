//! What time it is: the wall clock, or in tests one that moves with tokio's paused time.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

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
pub struct Clock(Source);

#[derive(Clone, Copy, Debug)]
enum Source {
    Wall,
    Tokio { origin: Timestamp, start: tokio::time::Instant },
    Shifted { by_millis: &'static AtomicU64 },
}

impl Clock {
    /// The machine's wall clock.
    pub fn wall() -> Clock {
        Clock(Source::Wall)
    }

    /// A clock that stands at `origin` now and moves with tokio's: a test that pauses and advances
    /// tokio's time moves this one too.
    pub fn tokio(origin: Timestamp) -> Clock {
        Clock(Source::Tokio { origin, start: tokio::time::Instant::now() })
    }

    /// The machine's wall clock, put forward by so many milliseconds: a test moves it while real requests
    /// are under way.
    pub fn shifted(by_millis: &'static AtomicU64) -> Clock {
        Clock(Source::Shifted { by_millis })
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        match self.0 {
            Source::Wall => {
                let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let now = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
                #[cfg(feature = "faults")]
                let now = now.saturating_add_signed(crate::faults::clock_offset());
                Timestamp(now)
            }
            Source::Tokio { origin, start } => origin + start.elapsed(),
            Source::Shifted { by_millis } => {
                Clock::wall().now() + Duration::from_millis(by_millis.load(Ordering::SeqCst))
            }
        }
    }
}
