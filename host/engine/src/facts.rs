//! The facts that a decision depends on, besides the outcome.

use std::time::Duration;

use towpath_config::route::OnDeadLetter;
use towpath_types::backoff::Backoff;
use towpath_types::queue::{GroupId, QueueLimits};

/// The facts about a message, its route and its queue that a decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub group: &'a GroupId,
    /// The time since the message was stored.
    pub age: Duration,
    /// The age from which a failed message is dead-lettered.
    pub max_age: Duration,
    /// How often the message was received, including this time.
    pub receive_count: u32,
    /// The limits of its queue.
    pub limits: QueueLimits,
    /// How often in a row the group's head failed, including this time.
    pub failures: u32,
    pub on_dead_letter: OnDeadLetter,
    /// The backoff where no target has its own.
    pub backoff: Backoff,
}

impl Facts<'_> {
    pub(crate) fn age_in_words(&self) -> humantime::FormattedDuration {
        humantime::format_duration(Duration::from_secs(self.age.as_secs()))
    }
}
