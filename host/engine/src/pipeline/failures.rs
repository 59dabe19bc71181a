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
    /// When the first of them was.
    since: Timestamp,
    /// The target that the group waits for; empty if it waits for none.
    target: Arc<str>,
    head: Head,
}

/// Groups whose first event fails, at one target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stuck {
    /// The target; empty if none was involved.
    pub target: Arc<str>,
    /// The number of groups.
    pub groups: u64,
    /// When the first of them failed for the first time.
    pub since: Timestamp,
}

/// The head of a group that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// When it was stored.
    pub(super) sent_at: Timestamp,
    /// When it is retried.
    pub(super) next_try: Timestamp,
}

impl Streak {
    fn is_waiting(&self, now: Timestamp) -> bool {
        self.count > 0 && now < self.head.next_try + OVERDUE
    }
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

    pub(super) fn set(&self, group: &GroupId, outcome: &Outcome, count: u32, head: Head, now: Timestamp) {
        let (held, target) = match outcome {
            Outcome::Held(closed) => (true, closed.target.as_str()),
            other => (false, other.attempts().last().map_or("", |attempt| attempt.target.as_str())),
        };
        let mut known = self.0.lock();
        if known.len() >= MAX_GROUPS {
            known.clear();
        }
        let going_on = known.get(group).filter(|row| row.held == held && row.count > 0);
        let since = going_on.map_or(now, |row| row.since);
        known.insert(group.clone(), Streak { held, count, since, target: target.into(), head });
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

    /// The groups that fail now, by target. Those that wait for a hold do not fail.
    pub(super) fn stuck(&self, now: Timestamp) -> Vec<Stuck> {
        let mut stuck: BTreeMap<Arc<str>, Stuck> = BTreeMap::new();
        for row in self.0.lock().values().filter(|row| row.is_waiting(now) && !row.held) {
            let target = || Stuck { target: Arc::clone(&row.target), groups: 0, since: row.since };
            let target = stuck.entry(Arc::clone(&row.target)).or_insert_with(target);
            target.groups += 1;
            target.since = target.since.min(row.since);
        }
        stuck.into_values().collect()
    }

    /// The groups that wait now.
    fn standing(&self, now: Timestamp) -> WaitingGroups {
        let mut standing = WaitingGroups { held: BTreeMap::new(), blocked: BTreeMap::new(), oldest: Duration::ZERO };
        for row in self.0.lock().values().filter(|row| row.is_waiting(now)) {
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

    const NOW: Timestamp = Timestamp(2000);
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
        failures.set(&group, &failed, 9, HEAD, NOW);
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
        failures.set(&group, &held, 40, HEAD, NOW);
        assert_eq!(failures.next(&group, &held, 1), 41);
        assert_eq!(failures.next(&group, &Outcome::Broken(String::new()), 41), 1);
    }

    #[test]
    fn waiting_groups_are_counted_by_target_until_done_or_overdue() {
        let failures = Failures::default();
        let held = Closed { target: "sss".to_owned(), gate: Gate::Hold, why: String::new(), after: None };
        failures.set(&"held".into(), &Outcome::Held(held), 1, HEAD, NOW);
        failures.set(
            &"broken".into(),
            &Outcome::Broken(String::new()),
            3,
            Head { sent_at: Timestamp(500), ..HEAD },
            NOW,
        );
        failures.set(&"done".into(), &Outcome::Broken(String::new()), 3, HEAD, NOW);
        failures.clear(&"done".into());
        let WaitingGroups { held, blocked, oldest } = failures.standing(Timestamp(61_000));
        assert_eq!(held, BTreeMap::from([("sss".into(), 1)]));
        assert_eq!(blocked, BTreeMap::from([("".into(), 1)]));
        assert_eq!(oldest, Duration::from_millis(60_500));
        assert_eq!(failures.standing(Timestamp(60_000) + OVERDUE), WaitingGroups::default());
    }

    #[test]
    fn a_group_is_stuck_since_its_first_failure_and_not_while_it_waits_for_a_hold() {
        let failures = Failures::default();
        let held =
            Outcome::Held(Closed { target: "sss".to_owned(), gate: Gate::Hold, why: String::new(), after: None });
        failures.set(&"held".into(), &held, 1, HEAD, Timestamp(100));
        for (group, at) in [("a", 300), ("b", 200), ("a", 400)] {
            failures.set(&group.into(), &Outcome::Broken(String::new()), 1, HEAD, Timestamp(at));
        }
        let stuck = |groups, since| vec![Stuck { target: "".into(), groups, since: Timestamp(since) }];
        assert_eq!(failures.stuck(NOW), stuck(2, 200));
        failures.clear(&"b".into());
        assert_eq!(failures.stuck(NOW), stuck(1, 300));
        failures.set(&"b".into(), &Outcome::Broken(String::new()), 1, HEAD, Timestamp(500));
        assert_eq!(failures.stuck(NOW), stuck(2, 300), "a later failure begins again");
        assert_eq!(failures.stuck(HEAD.next_try + OVERDUE), []);
    }
}
