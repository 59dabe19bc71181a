//! Where an operation runs: on the thread that asks for it, or on that of the writer.
//!
//! To hand an operation to another thread and back costs more than most operations. But operations that arrive at the same time share a
//! transaction only there, and an operation that waits for the disk must not hold up everything else that the calling thread does.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long operations go to the writer's thread after several of them arrived at the same time.
const CROWDED: Duration = Duration::from_millis(20);

/// The same, after one that was slow, perhaps because the disk was.
const SLOW: Duration = Duration::from_secs(1);

/// How long a transaction may take on the thread of a caller.
const QUICK: Duration = Duration::from_millis(2);

/// Nothing runs on the thread of a caller before the first transaction: that may have to open the files.
#[derive(Default)]
pub(crate) struct Pace(Mutex<Option<Instant>>);

impl Pace {
    /// Whether an operation may run on the thread that asks for it.
    pub(crate) fn is_calm(&self, now: Instant) -> bool {
        self.0.lock().is_some_and(|calm_from| now >= calm_from)
    }

    #[cfg(test)]
    pub(crate) fn calm(&self) {
        *self.0.lock() = Some(Instant::now());
    }

    /// Not calm for an hour.
    #[cfg(test)]
    pub(crate) fn crowd(&self) {
        *self.0.lock() = Some(Instant::now() + 3600 * SLOW);
    }

    /// Notes a transaction with this many operations.
    pub(crate) fn note(&self, operations: usize, began: Instant, ended: Instant) {
        let calm_from = if ended - began > QUICK {
            ended + SLOW
        } else if operations > 1 {
            ended + CROWDED
        } else {
            ended
        };
        let mut known = self.0.lock();
        *known = Some(known.map_or(calm_from, |known| known.max(calm_from)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn operations_run_on_the_thread_that_asks_while_they_are_quick_and_come_one_by_one() {
        let pace = Pace::default();
        let now = Instant::now();
        assert!(!pace.is_calm(now), "the first one may open the files");
        pace.note(1, now, now + QUICK);
        assert!(pace.is_calm(now + QUICK));
        pace.note(2, now, now + MS);
        assert!(!pace.is_calm(now + MS));
        assert!(pace.is_calm(now + MS + CROWDED));
        pace.note(1, now, now + QUICK + MS);
        pace.note(1, now + 3 * MS, now + 4 * MS);
        assert!(!pace.is_calm(now + MS + CROWDED), "one was slow not long ago");
        assert!(pace.is_calm(now + QUICK + MS + SLOW));
    }
}
