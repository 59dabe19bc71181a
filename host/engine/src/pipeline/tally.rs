//! How many messages came to which end.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::decide::Decision;
use towpath_types::outcome::Outcome;

/// Counts that many tasks write.
#[derive(Debug, Default)]
pub struct Tally {
    delivered: AtomicU64,
    skipped: AtomicU64,
    dead: AtomicU64,
    retried: AtomicU64,
    shadow_agreed: AtomicU64,
    shadow_differed: AtomicU64,
}

/// The counts at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Totals {
    /// Messages whose requests were all answered 2xx.
    pub delivered: u64,
    /// Messages that their plugin had nothing to do for.
    pub skipped: u64,
    /// Messages that are stored in the dead-letter queue.
    pub dead: u64,
    /// Passes that ended in another try.
    pub retried: u64,
    /// Messages on which a shadow said the same as the live plugin.
    pub shadow_agreed: u64,
    /// Messages on which a shadow said something else.
    pub shadow_differed: u64,
}

impl Tally {
    pub(super) fn count(&self, outcome: &Outcome, decision: &Decision) {
        let counter = match (outcome, decision) {
            (Outcome::Skipped(_), _) => &self.skipped,
            (_, Decision::Ack) => &self.delivered,
            (Outcome::Blocked, _) | (_, Decision::DeadLetter(_)) => return,
            (_, Decision::Retry(_)) => &self.retried,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_dead(&self) {
        self.dead.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_shadow(&self, differed: bool) {
        let counter = if differed { &self.shadow_differed } else { &self.shadow_agreed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn totals(&self) -> Totals {
        Totals {
            delivered: self.delivered.load(Ordering::Relaxed),
            skipped: self.skipped.load(Ordering::Relaxed),
            dead: self.dead.load(Ordering::Relaxed),
            retried: self.retried.load(Ordering::Relaxed),
            shadow_agreed: self.shadow_agreed.load(Ordering::Relaxed),
            shadow_differed: self.shadow_differed.load(Ordering::Relaxed),
        }
    }
}
