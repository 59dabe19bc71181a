//! How often in a row the head of each group failed, as far as this process knows.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::queue::GroupId;

/// Beyond so many groups everything is forgotten: the backoffs begin anew, nothing is lost.
const MAX_GROUPS: usize = 100_000;

/// What a receive count is worth at most where nothing else is known: it counts receives, and a message
/// that waited behind another has many without one try.
const MAX_FROM_RECEIVES: u32 = 6;

#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<HashMap<GroupId, u32>>);

impl Failures {
    /// What the count would be if this pass fails.
    pub(super) fn next(&self, group: &GroupId, receive_count: u32) -> u32 {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(group).map(|count| count.saturating_add(1));
        known.unwrap_or_else(|| receive_count.clamp(1, MAX_FROM_RECEIVES))
    }

    pub(super) fn set(&self, group: &GroupId, count: u32) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_GROUPS {
            known.clear();
        }
        known.insert(group.clone(), count);
    }

    /// A success. Kept as zero only where there were failures, so that quiet groups cost nothing.
    pub(super) fn clear(&self, group: &GroupId) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = known.get_mut(group) {
            *count = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mate_that_waited_behind_a_failing_head_does_not_inherit_its_backoff() {
        let failures = Failures::default();
        let group = GroupId::from("g");
        assert_eq!(failures.next(&group, 1), 1);
        assert_eq!(failures.next(&group, 50), MAX_FROM_RECEIVES, "a cold process goes by receives, within bounds");
        failures.set(&group, 9);
        assert_eq!(failures.next(&group, 1), 10);
        failures.clear(&group);
        assert_eq!(failures.next(&group, 50), 1);
    }
}
