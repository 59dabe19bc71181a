//! The groups whose head failed: how often in a row, and at which target, as far as this process knows.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use towpath_metrics::{self as metrics, WaitingGroups};
use towpath_types::clock::{Clock, Timestamp};
use towpath_types::outcome::Outcome;
use towpath_types::queue::GroupId;

/// Beyond this many groups all are forgotten. Backoffs restart; no message is lost.
const MAX_GROUPS: usize = 100_000;

/// The highest failure count derived from a receive count, where nothing else is known. A message that waited behind
/// another was received many times without an attempt.
const MAX_FROM_RECEIVES: u32 = 6;

/// A head that is this long past its next try was finished elsewhere, or its group now belongs to another process.
const OVERDUE: Duration = Duration::from_secs(120);

#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<HashMap<GroupId, Streak>>);

/// Failures in a row. Holds are counted separately: the backoff after a long hold must not continue that of the hold.
#[derive(Clone, Debug)]
struct Streak {
    held: bool,
    count: u32,
    /// The target that the group waits for; empty if it waits for none.
    target: Arc<str>,
    head: Head,
}

/// The head of a group that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// When it was stored.
    pub(super) sent_at: Timestamp,
    /// When it is retried.
    pub(super) next_try: Timestamp,
}

impl Failures {
    /// The failure count if this pass fails.
    pub(super) fn next(&self, group: &GroupId, outcome: &Outcome, receive_count: u32) -> u32 {
        let held = matches!(outcome, Outcome::Held(_));
        match self.0.lock().get(group) {
            Some(row) if row.held == held => row.count.saturating_add(1),
            Some(_) => 1,
            None => receive_count.clamp(1, MAX_FROM_RECEIVES),
        }
    }

    pub(super) fn set(&self, group: &GroupId, outcome: &Outcome, count: u32, head: Head) {
        let (held, target) = match outcome {
            Outcome::Held(closed) => (true, closed.target.as_str()),
            other => (false, other.attempts().last().map_or("", |attempt| attempt.target.as_str())),
        };
        let mut known = self.0.lock();
        if known.len() >= MAX_GROUPS {
            known.clear();
        }
        known.insert(group.clone(), Streak { held, count, target: target.into(), head });
    }

    /// Resets the count. Groups that never failed have no row and cost nothing.
    pub(super) fn clear(&self, group: &GroupId) {
        if let Some(row) = self.0.lock().get_mut(group) {
            row.count = 0;
        }
    }

    /// Registers the gauges, for as long as `self` lives.
    pub(super) fn show(self: &Arc<Self>, clock: Clock) {
        let failures = Arc::downgrade(self);
        metrics::show(move || failures.upgrade().map(|failures| failures.standing(clock.now())).unwrap_or_default());
    }

    /// The groups that wait now.
    fn standing(&self, now: Timestamp) -> WaitingGroups {
        let mut standing = WaitingGroups { held: BTreeMap::new(), blocked: BTreeMap::new(), oldest: Duration::ZERO };
        for row in self.0.lock().values().filter(|row| row.count > 0 && now < row.head.next_try + OVERDUE) {
            let waiting = if row.held { &mut standing.held } else { &mut standing.blocked };
            *waiting.entry(Arc::clone(&row.target)).or_default() += 1;
            standing.oldest = standing.oldest.max(now.since(row.head.sent_at));
        }
        standing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use towpath_types::outcome::{Closed, Gate};

    const HEAD: Head = Head { sent_at: Timestamp(1000), next_try: Timestamp(60_000) };

    #[test]
    fn a_mate_that_waited_behind_a_failing_head_does_not_inherit_its_backoff() {
        let failures = Failures::default();
        let group = GroupId::from("g");
        let failed = Outcome::Broken("broken".to_owned());
        assert_eq!(failures.next(&group, &failed, 1), 1);
        assert_eq!(
            failures.next(&group, &failed, 50),
            MAX_FROM_RECEIVES,
            "a new process goes by receives, up to a bound"
        );
        failures.set(&group, &failed, 9, HEAD);
        assert_eq!(failures.next(&group, &failed, 1), 10);
        failures.clear(&group);
        assert_eq!(failures.next(&group, &failed, 50), 1);
    }

    #[test]
    fn a_failure_after_a_hold_starts_a_new_backoff() {
        let failures = Failures::default();
        let group = GroupId::from("g");
        let held =
            Outcome::Held(Closed { target: "sss".to_owned(), gate: Gate::Hold, why: String::new(), after: None });
        failures.set(&group, &held, 40, HEAD);
        assert_eq!(failures.next(&group, &held, 1), 41);
        assert_eq!(failures.next(&group, &Outcome::Broken(String::new()), 41), 1);
    }

    #[test]
    fn waiting_groups_are_counted_by_target_until_done_or_overdue() {
        let failures = Failures::default();
        let held = Closed { target: "sss".to_owned(), gate: Gate::Hold, why: String::new(), after: None };
        failures.set(&"held".into(), &Outcome::Held(held), 1, HEAD);
        failures.set(&"broken".into(), &Outcome::Broken(String::new()), 3, Head { sent_at: Timestamp(500), ..HEAD });
        failures.set(&"done".into(), &Outcome::Broken(String::new()), 3, HEAD);
        failures.clear(&"done".into());
        let WaitingGroups { held, blocked, oldest } = failures.standing(Timestamp(61_000));
        assert_eq!(held, BTreeMap::from([("sss".into(), 1)]));
        assert_eq!(blocked, BTreeMap::from([("".into(), 1)]));
        assert_eq!(oldest, Duration::from_millis(60_500));
        assert_eq!(failures.standing(Timestamp(60_000) + OVERDUE), WaitingGroups::default());
    }
}
