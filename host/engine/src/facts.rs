//! What a route and its message bring to the decision.

use std::time::Duration;

use towpath_config::route::OnDeadLetter;
use towpath_types::backoff::Backoff;
use towpath_types::queue::{GroupId, QueueLimits};

/// What a route and its message bring to the decision.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The message's group.
    pub group: &'a GroupId,
    /// How long ago the message was stored.
    pub age: Duration,
    /// How long it may be tried.
    pub max_age: Duration,
    /// How often it was received, this time included.
    pub receive_count: u32,
    /// What its queue allows a message that waits.
    pub limits: QueueLimits,
    /// How often in a row the group's head failed, this time included.
    pub failures: u32,
    /// What happens instead of dead-lettering.
    pub on_dead_letter: OnDeadLetter,
    /// The wait before another try where no target has one of its own.
    pub backoff: Backoff,
}

impl Facts<'_> {
    /// The age in words.
    pub(crate) fn age_in_words(&self) -> humantime::FormattedDuration {
        humantime::format_duration(Duration::from_secs(self.age.as_secs()))
    }
}
