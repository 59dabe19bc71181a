//! Rates and latencies of the last hour, from the metrics of this process.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval};
use towpath_metrics::{self as metrics, Totals};
use towpath_types::clock::{Clock, Timestamp};

/// How often the totals are read.
pub const EVERY: Duration = Duration::from_secs(10);

/// How many points are kept: an hour.
const KEPT: usize = 360;

/// One reading, compared with the one before.
#[derive(Clone, PartialEq, Debug)]
pub struct Point {
    /// When it was taken.
    pub at: Timestamp,
    /// Webhooks that were accepted, per second.
    pub accepted: f64,
    /// Webhooks that were answered with an error, per second.
    pub turned_away: f64,
    /// Messages that were delivered or skipped, per second.
    pub done: f64,
    /// Passes after which a message waits for its next try, per second.
    pub retried: f64,
    /// Messages that were dead-lettered, per second.
    pub dead: f64,
    /// The median duration of a request to a target, rounded up to a bound of the histogram; `None` without requests.
    pub median: Option<Duration>,
    /// The duration that 99 % of the requests did not exceed, rounded likewise.
    pub p99: Option<Duration>,
}

/// Heads of groups that wait for one target.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WaitingFor {
    /// Because the target must not be called.
    pub held: u64,
    /// For the next try after a failure.
    pub failed: u64,
}

/// What this process has done in the last hour.
#[derive(Default)]
pub struct History(Mutex<Readings>);

#[derive(Default)]
struct Readings {
    last: Option<(Timestamp, Totals)>,
    points: VecDeque<Point>,
}

impl History {
    /// Reads the totals for ever.
    pub async fn run(&self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.add(Clock::wall().now(), metrics::totals());
        }
    }

    /// The points, oldest first.
    pub fn points(&self) -> Vec<Point> {
        self.0.lock().points.iter().cloned().collect()
    }

    /// What waits in this process by target, and the age of the oldest head; the empty name if a head failed without a target.
    pub fn waiting(&self) -> (BTreeMap<Arc<str>, WaitingFor>, Duration) {
        let standing = metrics::waiting().unwrap_or_default();
        let mut targets: BTreeMap<Arc<str>, WaitingFor> = BTreeMap::new();
        for (target, held) in standing.held {
            targets.entry(target).or_default().held = held;
        }
        for (target, failed) in standing.blocked {
            targets.entry(target).or_default().failed = failed;
        }
        (targets, standing.oldest)
    }

    fn add(&self, at: Timestamp, now: Totals) {
        let mut readings = self.0.lock();
        if let Some((before, then)) = readings.last.replace((at, now.clone())) {
            let seconds = at.since(before).as_secs_f64();
            if seconds > 0.0 {
                readings.points.push_back(point(at, seconds, &then, &now));
            }
            let over = readings.points.len().saturating_sub(KEPT);
            readings.points.drain(..over);
        }
    }
}

fn point(at: Timestamp, seconds: f64, then: &Totals, now: &Totals) -> Point {
    let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
    let requests = now.requests.since(&then.requests);
    Point {
        at,
        accepted: rate(now.accepted, then.accepted),
        turned_away: rate(now.turned_away, then.turned_away),
        done: rate(now.done, then.done),
        retried: rate(now.retried, then.retried),
        dead: rate(now.dead, then.dead),
        median: requests.quantile(0.5),
        p99: requests.quantile(0.99),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(accepted: u64, dead: u64) -> Totals {
        Totals { accepted, dead, ..Totals::default() }
    }

    #[test]
    fn a_point_has_the_rates_since_the_reading_before() {
        let history = History::default();
        let start = Timestamp(1_000_000);
        history.add(start, totals(100, 1));
        assert_eq!(history.points(), [], "one reading says nothing about a rate");
        history.add(start + Duration::from_secs(10), totals(150, 1));
        history.add(start + Duration::from_secs(30), totals(150, 5));
        let points = history.points();
        let rates: Vec<_> = points.iter().map(|point| (point.accepted, point.dead, point.median)).collect();
        assert_eq!(rates, [(5.0, 0.0, None), (0.0, 0.2, None)]);
    }

    #[test]
    fn it_keeps_an_hour() {
        let history = History::default();
        for reading in 0..KEPT as u64 + 10 {
            history.add(Timestamp(reading * 10_000), totals(reading, 0));
        }
        let points = history.points();
        assert_eq!(points.len(), KEPT);
        assert_eq!(points.last().map(|point| point.at), Some(Timestamp((KEPT as u64 + 9) * 10_000)));
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_point() {
        let history = History::default();
        history.add(Timestamp(20_000), totals(1, 0));
        history.add(Timestamp(10_000), totals(2, 0));
        assert_eq!(history.points(), []);
    }
}
