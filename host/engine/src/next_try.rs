//! When a message is retried. Nothing else decides that.

use std::time::Duration;

use towpath_types::backoff::Backoff;
use towpath_types::queue::QueueLimits;

use crate::facts::Facts;

/// The longest wait between two checks of a held message, where its queue does not count receives: a resume takes
/// effect within a minute.
pub const HELD_CAP: Duration = Duration::from_secs(60);

/// The shortest wait before a retry, whatever a target or plugin asks for.
pub const MIN_RETRY: Duration = Duration::from_secs(1);

/// The longest wait of a message whose dead letter could not be stored. How often its target failed says nothing about the
/// dead-letter queue.
const UNBURIED_CAP: Duration = Duration::from_secs(60);

/// Why a message waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    /// A pass failed. The target or the plugin may have asked for a wait, which is capped like the backoff.
    Failed {
        /// The requested wait.
        asked: Option<Duration>,
        /// Used otherwise.
        backoff: Backoff,
    },
    /// A gate is closed, possibly for a known time.
    Held(Option<Duration>),
    /// Its dead letter could not be stored.
    Unburied,
    /// The host panicked outside of the pass.
    Panicked,
}

/// How long a message waits before its next try. The limits of its queue apply last: receives must not run out, and the
/// message must not outlast its retention.
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

/// How long a message waits behind one that waits for `head`. Each receive of the head also receives the messages
/// behind it, unless they stay hidden for longer. A head that is released untried is received again at once, and so are
/// they.
pub(crate) fn behind(head: Duration, limits: QueueLimits, age: Duration, receive_count: u32) -> Duration {
    if head.is_zero() { head } else { head.max(limits.least_wait(age, receive_count)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn a_message_waits_as_long_as_its_head_and_long_enough_for_its_receives_to_last() {
        let limits = QueueLimits { max_receives: Some(1000), ..QueueLimits::LOCAL };
        let head = Duration::from_secs(60);
        let few_left = limits.least_wait(DAY, 990);
        assert!(few_left > head, "{few_left:?}");
        assert_eq!(behind(Duration::ZERO, limits, DAY, 990), Duration::ZERO, "behind a head released untried");
        assert_eq!(behind(head, limits, DAY, 990), few_left);
        assert_eq!(behind(head, QueueLimits::LOCAL, DAY, 990), head);
    }
}
