//! What a flush drops: counted, and logged once.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tracing::error;

/// Events that never reached a flush, and why the last of them did not.
#[derive(Default)]
pub(super) struct Dropped {
    events: usize,
    problem: Option<String>,
}

impl Dropped {
    pub(super) fn add(&mut self, problem: String) {
        self.events += 1;
        self.problem = Some(problem);
    }

    #[cfg(test)]
    pub(super) fn events(&self) -> usize {
        self.events
    }
}

/// A flush. When it is dropped, done or cancelled, it reports the events that Firehose has not confirmed.
pub(super) struct Flush<'a> {
    stream: &'a str,
    unsent: AtomicUsize,
    dropped: Dropped,
    problem: Mutex<Option<String>>,
}

impl<'a> Flush<'a> {
    pub(super) fn new(stream: &'a str, unsent: usize, mut dropped: Dropped) -> Flush<'a> {
        let problem = Mutex::new(dropped.problem.take());
        Flush { stream, unsent: AtomicUsize::new(unsent), dropped, problem }
    }

    /// Firehose confirmed this many events.
    pub(super) fn sent(&self, events: usize) {
        self.unsent.fetch_sub(events, Ordering::Relaxed);
    }

    pub(super) fn refused(&self, problem: String) {
        *self.problem.lock() = Some(problem);
    }
}

impl Drop for Flush<'_> {
    fn drop(&mut self) {
        let events = *self.unsent.get_mut() + self.dropped.events;
        if events == 0 {
            return;
        }
        let problem = self.problem.get_mut().take().unwrap_or_else(|| "Firehose did not answer in time".to_owned());
        towpath_metrics::archive_dropped(events as u64);
        error!(
            event = "archive-dropped",
            stream = self.stream,
            events,
            problem,
            "delivered events are missing in the archive"
        );
    }
}
