//! When a message is tried again. Nothing else decides that.

use std::time::Duration;

use towpath_types::backoff::Backoff;
use towpath_types::queue::QueueLimits;

use crate::facts::Facts;

/// The longest a held message waits before it is looked at again, where its queue does not count looks: a resume is felt
/// within a minute.
pub const HELD_CAP: Duration = Duration::from_secs(60);

/// The shortest wait before another try, whatever a target or plugin asks for.
pub const MIN_RETRY: Duration = Duration::from_secs(1);

/// The longest wait of a message whose dead letter could not be stored. How often its target failed before says nothing of the
/// dead-letter queue.
const UNBURIED_CAP: Duration = Duration::from_secs(60);

/// Why a message waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    /// A pass failed. The target or the plugin may have asked for a time; it counts up to the cap of the backoff.
    Failed {
        /// What was asked for.
        asked: Option<Duration>,
        /// How long to wait otherwise.
        backoff: Backoff,
    },
    /// A gate is closed; it may know for how long.
    Held(Option<Duration>),
    /// Its dead letter could not be stored.
    Unburied,
    /// The host panicked where it could not even tell which message failed.
    Panicked,
}

/// In how long a message is tried again. What its queue can bear has the last word: not so short that the receives run out, not
/// so long that it outlasts the queue.
pub(crate) fn next_try(facts: Facts<'_>, wait: Wait) -> Duration {
    let own = facts.backoff.after(facts.failures, facts.group);
    let wanted = match wait {
        Wait::Failed { asked: Some(asked), backoff } => asked.clamp(MIN_RETRY, backoff.cap.max(MIN_RETRY)),
        Wait::Failed { asked: None, backoff } => backoff.after(facts.failures, facts.group),
        Wait::Held(after) => after.map_or(own, |after| after.max(MIN_RETRY)).min(HELD_CAP),
        Wait::Unburied => own.min(UNBURIED_CAP),
        Wait::Panicked => facts.backoff.base,
    };
    let least = facts.limits.least_wait(facts.age, facts.receive_count);
    wanted.max(least).min(facts.limits.longest_wait(facts.age))
}

/// In how long a message is tried again that waits behind one that waits for `head`. Each receive of the head is one of those
/// behind it, unless they stay hidden for longer; what comes back untried comes back at once.
pub(crate) fn behind(head: Duration, limits: QueueLimits, age: Duration, receive_count: u32) -> Duration {
    if head.is_zero() { head } else { head.max(limits.least_wait(age, receive_count)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn behind_a_head_that_was_not_tried_a_message_comes_back_at_once_and_else_no_sooner_than_its_receives_last() {
        let limits = QueueLimits { max_receives: Some(1000), ..QueueLimits::LOCAL };
        let head = Duration::from_secs(60);
        let few_left = limits.least_wait(DAY, 990);
        assert!(few_left > head, "{few_left:?}");
        assert_eq!(behind(Duration::ZERO, limits, DAY, 990), Duration::ZERO);
        assert_eq!(behind(head, limits, DAY, 990), few_left);
        assert_eq!(behind(head, QueueLimits::LOCAL, DAY, 990), head);
    }
}
