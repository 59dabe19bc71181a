//! Work that is done by one thread at a time, all that waits together.

use parking_lot::Mutex;

/// What waits, and whether somebody is at work.
pub(crate) struct Lane<J> {
    waiting: Mutex<(Vec<J>, bool)>,
}

impl<J> Default for Lane<J> {
    fn default() -> Lane<J> {
        Lane { waiting: Mutex::default() }
    }
}

impl<J> Lane<J> {
    /// Puts these at the end. Whether nobody is at work: then the caller sees to it that somebody takes them.
    pub(crate) fn put(&self, jobs: impl IntoIterator<Item = J>) -> bool {
        let mut waiting = self.waiting.lock();
        waiting.0.extend(jobs);
        !waiting.0.is_empty() && !std::mem::replace(&mut waiting.1, true)
    }

    /// All that waits. Nothing if there is nothing: then whoever asks is at work no longer.
    pub(crate) fn take(&self) -> Option<Vec<J>> {
        let mut waiting = self.waiting.lock();
        waiting.1 = !waiting.0.is_empty();
        waiting.1.then(|| std::mem::take(&mut waiting.0))
    }
}
