//! Totals of this process, for who shows them without an exporter. Reading or adding takes no lock, but for shadows: each is a whole call of a plugin.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::SECONDS;

/// What this process has done since it started.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Webhooks that were accepted.
    pub accepted: u64,
    /// Webhooks that were answered with an error.
    pub turned_away: u64,
    /// Messages that were delivered or skipped.
    pub done: u64,
    /// Passes after which a message waits for its next try.
    pub retried: u64,
    /// Messages that were dead-lettered.
    pub dead: u64,
    /// Durations of requests to targets.
    pub requests: Durations,
}

/// How many durations were at most each bound of the histogram; the last count has those above all bounds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Durations([u64; SECONDS.len() + 1]);

impl Durations {
    /// What was added since `before`.
    pub fn since(&self, before: &Durations) -> Durations {
        let mut counts = self.0;
        for (count, before) in counts.iter_mut().zip(before.0) {
            *count = count.saturating_sub(before);
        }
        Durations(counts)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The bound that this share of them (0 to 1) does not exceed; `None` if there are none. Above all bounds it is the last one.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let all = self.count();
        let last = SECONDS.last().copied()?;
        let mut below = 0;
        let bounds = SECONDS.iter().copied().chain([last]);
        let bound = self.0.iter().zip(bounds).find_map(|(count, bound)| {
            below += count;
            (below > 0 && below as f64 >= share * all as f64).then_some(bound)
        });
        bound.map(Duration::from_secs_f64)
    }
}

/// How often a shadow said what the live plugin said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Agreement {
    pub agreed: u64,
    pub differed: u64,
}

static SHADOWS: Mutex<BTreeMap<String, Agreement>> = Mutex::new(BTreeMap::new());

/// The shadows of this process by plugin, since it started.
pub fn shadows() -> BTreeMap<String, Agreement> {
    SHADOWS.lock().clone()
}

/// A shadow processed a message. Plugins are those of the config, so there are few.
pub(crate) fn compared(plugin: &str, agreed: bool) {
    let mut shadows = SHADOWS.lock();
    if !shadows.contains_key(plugin) {
        shadows.insert(plugin.to_owned(), Agreement::default());
    }
    if let Some(agreement) = shadows.get_mut(plugin) {
        let count = if agreed { &mut agreement.agreed } else { &mut agreement.differed };
        *count += 1;
    }
}

static ACCEPTED: AtomicU64 = AtomicU64::new(0);
static TURNED_AWAY: AtomicU64 = AtomicU64::new(0);
static DONE: AtomicU64 = AtomicU64::new(0);
static RETRIED: AtomicU64 = AtomicU64::new(0);
static DEAD: AtomicU64 = AtomicU64::new(0);
static REQUESTS: [AtomicU64; SECONDS.len() + 1] = [const { AtomicU64::new(0) }; SECONDS.len() + 1];

/// The totals now.
pub fn totals() -> Totals {
    let read = |total: &AtomicU64| total.load(Ordering::Relaxed);
    Totals {
        accepted: read(&ACCEPTED),
        turned_away: read(&TURNED_AWAY),
        done: read(&DONE),
        retried: read(&RETRIED),
        dead: read(&DEAD),
        requests: Durations(REQUESTS.each_ref().map(read)),
    }
}

pub(crate) fn webhook(status: u16) {
    add(if status < 400 { &ACCEPTED } else { &TURNED_AWAY });
}

pub(crate) fn passed(decision: &str) {
    match decision {
        "ack" => add(&DONE),
        "dead-letter" => add(&DEAD),
        _ => add(&RETRIED),
    }
}

pub(crate) fn attempted(took: Duration) {
    let at = SECONDS.partition_point(|bound| *bound < took.as_secs_f64());
    if let Some(total) = REQUESTS.get(at) {
        add(total);
    }
}

fn add(total: &AtomicU64) {
    total.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_bounds_of_the_histogram() {
        let before = totals().requests;
        assert_eq!(Durations::default().quantile(0.5), None);
        for millis in [1, 2, 3, 4, 5, 6, 7, 8, 9, 90_000] {
            attempted(Duration::from_millis(millis));
        }
        let requests = totals().requests.since(&before);
        assert_eq!(requests.count(), 10);
        let quantile = |share| requests.quantile(share).map(|duration| duration.as_millis());
        assert_eq!(quantile(0.1), Some(1), "1 ms is not above the bound of 1 ms");
        assert_eq!((quantile(0.5), quantile(0.9)), (Some(5), Some(10)));
        assert_eq!(quantile(1.0), Some(60_000), "above all bounds");
    }

    #[test]
    fn shadows_are_counted_by_plugin() {
        for agreed in [true, false, true] {
            compared("shadows_are_counted", agreed);
        }
        assert_eq!(shadows()["shadows_are_counted"], Agreement { agreed: 2, differed: 1 });
    }

    #[test]
    fn webhooks_and_passes_are_counted_by_how_they_ended() {
        let before = totals();
        for status in [202, 200, 401, 503] {
            webhook(status);
        }
        for decision in ["ack", "retry", "retry", "dead-letter"] {
            passed(decision);
        }
        let now = totals();
        assert_eq!((now.accepted - before.accepted, now.turned_away - before.turned_away), (2, 2));
        assert_eq!((now.done - before.done, now.retried - before.retried, now.dead - before.dead), (1, 2, 1));
    }
}
