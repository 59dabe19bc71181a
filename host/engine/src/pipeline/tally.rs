//! Counts how messages ended.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::decide::Decision;
use towpath_types::outcome::Outcome;

/// Counts, incremented by many tasks.
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
    /// Messages whose requests were all answered with 2xx.
    pub delivered: u64,
    /// Messages that their plugin skipped.
    pub skipped: u64,
    /// Messages stored in the dead-letter queue.
    pub dead: u64,
    /// Passes that ended in a retry.
    pub retried: u64,
    /// Messages whose shadow agreed with the live plugin.
    pub shadow_agreed: u64,
    /// Messages whose shadow differed.
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
