//! Limits how fast messages are sent back or again, in small portions.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The largest portion.
const MOST: usize = 100;

pub(crate) struct Pace {
    per_second: Option<f64>,
    next: Instant,
}

impl Pace {
    pub(crate) fn new(per_second: Option<f64>) -> Pace {
        Pace { per_second, next: Instant::now() }
    }

    /// How many go at once: those of a tenth of a second, at least one.
    pub(crate) fn chunk(&self) -> usize {
        self.per_second.map_or(MOST, |rate| (rate / 10.0).clamp(1.0, MOST as f64) as usize)
    }

    /// Waits until these may go.
    pub(crate) async fn wait(&mut self, messages: usize) {
        let Some(rate) = self.per_second else { return };
        sleep_until(self.next).await;
        let space = Duration::try_from_secs_f64(messages as f64 / rate).unwrap_or(Duration::MAX);
        self.next = Instant::now().checked_add(space).unwrap_or(self.next);
    }
}
