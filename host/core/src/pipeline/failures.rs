//! How often in a row the head of each group failed, as far as this process knows.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::outcome::Outcome;
use crate::queue::GroupId;

/// Beyond so many groups everything is forgotten: the backoffs begin anew, nothing is lost.
const MAX_GROUPS: usize = 100_000;

/// What a receive count is worth at most where nothing else is known: it counts receives, and a message
/// that waited behind another has many without one try.
const MAX_FROM_RECEIVES: u32 = 6;

#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<HashMap<GroupId, Row>>);

/// Failures in a row. To be held is no failure: the waits of a long hold must not be those after it.
#[derive(Clone, Copy, Debug)]
struct Row {
    held: bool,
    count: u32,
}

impl Failures {
    /// What the count would be if this pass fails.
    pub(super) fn next(&self, group: &GroupId, outcome: &Outcome, receive_count: u32) -> u32 {
        let held = matches!(outcome, Outcome::Held(_));
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(group) {
            Some(row) if row.held == held => row.count.saturating_add(1),
            Some(_) => 1,
            None => receive_count.clamp(1, MAX_FROM_RECEIVES),
        }
    }

    pub(super) fn set(&self, group: &GroupId, outcome: &Outcome, count: u32) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_GROUPS {
            known.clear();
        }
        known.insert(group.clone(), Row { held: matches!(outcome, Outcome::Held(_)), count });
    }

    /// A success. Kept as zero only where there were failures, so that quiet groups cost nothing.
    pub(super) fn clear(&self, group: &GroupId) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = known.get_mut(group) {
            row.count = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::{Closed, Gate};

    #[test]
    fn a_mate_that_waited_behind_a_failing_head_does_not_inherit_its_backoff() {
        let (failures, group) = (Failures::default(), GroupId::from("g"));
        let failed = Outcome::Broken("broken".to_owned());
        assert_eq!(failures.next(&group, &failed, 1), 1);
        assert_eq!(
            failures.next(&group, &failed, 50),
            MAX_FROM_RECEIVES,
            "a cold process goes by receives, within bounds"
        );
        failures.set(&group, &failed, 9);
        assert_eq!(failures.next(&group, &failed, 1), 10);
        failures.clear(&group);
        assert_eq!(failures.next(&group, &failed, 50), 1);
    }

    #[test]
    fn the_waits_of_a_hold_are_not_those_after_it() {
        let (failures, group) = (Failures::default(), GroupId::from("g"));
        let held =
            Outcome::Held(Closed { target: "sss".to_owned(), gate: Gate::Hold, why: String::new(), after: None });
        failures.set(&group, &held, 40);
        assert_eq!(failures.next(&group, &held, 1), 41);
        assert_eq!(failures.next(&group, &Outcome::Broken(String::new()), 41), 1);
    }
}
