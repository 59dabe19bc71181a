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

/// More operations than this within [`CROWDED`] share transactions on the writer's thread: a transaction costs as much as several operations, and
/// callers that run theirs at once never find anyone to share one with.
const FEW: usize = 40;

/// Nothing runs on the thread of a caller before the first transaction: that may have to open the files.
#[derive(Default)]
pub(crate) struct Pace(Mutex<Option<Known>>);

#[derive(Clone, Copy)]
struct Known {
    /// From when on operations may run on the thread that asks for them.
    calm_from: Instant,
    /// When counting began, and the operations since.
    counted_from: Instant,
    counted: usize,
}

impl Pace {
    /// Whether an operation may run on the thread that asks for it.
    pub(crate) fn is_calm(&self, now: Instant) -> bool {
        self.0.lock().is_some_and(|known| now >= known.calm_from)
    }

    #[cfg(test)]
    pub(crate) fn calm(&self) {
        let now = Instant::now();
        *self.0.lock() = Some(Known { calm_from: now, counted_from: now, counted: 0 });
    }

    /// Not calm for an hour.
    #[cfg(test)]
    pub(crate) fn crowd(&self) {
        let now = Instant::now();
        *self.0.lock() = Some(Known { calm_from: now + 3600 * SLOW, counted_from: now, counted: 0 });
    }

    /// Notes a transaction with this many operations.
    pub(crate) fn note(&self, operations: usize, began: Instant, ended: Instant) {
        let mut known = self.0.lock();
        let mut next = known.unwrap_or(Known { calm_from: ended, counted_from: ended, counted: 0 });
        if ended.saturating_duration_since(next.counted_from) > CROWDED {
            (next.counted_from, next.counted) = (ended, 0);
        }
        next.counted += operations;
        let calm_from = if ended - began > QUICK {
            ended + SLOW
        } else if operations > 1 || next.counted > FEW {
            ended + CROWDED
        } else {
            ended
        };
        next.calm_from = next.calm_from.max(calm_from);
        *known = Some(next);
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

    #[test]
    fn many_operations_go_to_the_writer_although_each_comes_alone() {
        let every = |space: Duration| {
            let pace = Pace::default();
            let mut at = Instant::now();
            for _ in 0..500 {
                at += space;
                pace.note(1, at, at);
            }
            (pace.is_calm(at), pace.is_calm(at + CROWDED))
        };
        assert_eq!(every(MS), (true, true), "a thousand in a second");
        assert_eq!(every(MS / 5), (false, true), "five thousand");
    }
}
