//! A work queue with one worker at a time, which takes all waiting jobs at once.

use parking_lot::Mutex;

pub(crate) struct Lane<J> {
    /// The waiting jobs, and whether a worker is running.
    waiting: Mutex<(Vec<J>, bool)>,
}

impl<J> Default for Lane<J> {
    fn default() -> Lane<J> {
        Lane { waiting: Mutex::default() }
    }
}

impl<J> Lane<J> {
    /// Appends jobs. Returns true if no worker is running: the caller must start one, which calls `take` until it is `None`.
    pub(crate) fn put(&self, jobs: impl IntoIterator<Item = J>) -> bool {
        let mut waiting = self.waiting.lock();
        waiting.0.extend(jobs);
        !waiting.0.is_empty() && !std::mem::replace(&mut waiting.1, true)
    }

    /// Whether no worker is running.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        !self.waiting.lock().1
    }

    /// All waiting jobs. `None` ends the worker: the next `put` returns true. Both happen under one lock, so no job is left
    /// behind without a worker.
    pub(crate) fn take(&self) -> Option<Vec<J>> {
        let mut waiting = self.waiting.lock();
        waiting.1 = !waiting.0.is_empty();
        waiting.1.then(|| std::mem::take(&mut waiting.0))
    }
}
