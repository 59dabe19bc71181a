//! The current time, and how long ago a moment was.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Zero if `earlier` is in the future.
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

/// A source of the time. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    source: Source,
    monotonic: fn() -> Instant,
    ahead: Option<&'static AtomicU64>,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    Wall,
    Derived { origin: Timestamp, start: Instant },
}

impl Clock {
    /// The machine's clocks.
    pub fn wall() -> Clock {
        Clock { source: Source::Wall, monotonic: Instant::now, ahead: None }
    }

    /// A clock that reads `origin` now and advances with `monotonic`, for example with a test's time.
    pub fn starting_at(origin: Timestamp, monotonic: fn() -> Instant) -> Clock {
        Clock { source: Source::Derived { origin, start: monotonic() }, monotonic, ahead: None }
    }

    /// This clock, with `monotonic` to measure elapsed time.
    #[must_use]
    pub fn measured_by(self, monotonic: fn() -> Instant) -> Clock {
        Clock { monotonic, ..self }
    }

    /// This clock, ahead by a number of milliseconds. A test changes the number to move the wall clock forward or back
    /// while monotonic time advances normally.
    #[must_use]
    pub fn shifted(self, ahead: &'static AtomicU64) -> Clock {
        Clock { ahead: Some(ahead), ..self }
    }

    pub fn now(&self) -> Timestamp {
        let now = match self.source {
            Source::Wall => wall(),
            Source::Derived { origin, start } => origin + (self.monotonic)().saturating_duration_since(start),
        };
        match self.ahead {
            Some(ahead) => now + Duration::from_millis(ahead.load(Ordering::SeqCst)),
            None => now,
        }
    }

    pub fn moment(&self) -> Moment {
        Moment { clock: *self, monotonic: (self.monotonic)(), wall: self.now() }
    }
}

fn wall() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    #[cfg(feature = "faults")]
    let now = now.saturating_add_signed(crate::faults::clock_offset());
    Timestamp(now)
}

/// A moment on two clocks. Neither alone can be trusted with how long ago it was: the monotonic clock stops while a
/// machine is suspended or a function is frozen, and the wall clock can be set back.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    clock: Clock,
    monotonic: Instant,
    wall: Timestamp,
}

impl Moment {
    /// How long ago it was: the longer answer of the two clocks. Never too short, unless the wall clock was set back
    /// while the monotonic one was stopped.
    pub fn elapsed(&self) -> Duration {
        let monotonic = (self.clock.monotonic)().saturating_duration_since(self.monotonic);
        monotonic.max(self.clock.now().since(self.wall))
    }

    /// What is left of a period that began here; zero once it is over.
    pub fn left_of(&self, period: Duration) -> Duration {
        period.saturating_sub(self.elapsed())
    }
}
