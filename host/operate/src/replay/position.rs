//! How far a run came.

use serde::{Deserialize, Serialize};
use towpath_types::archive::Archived;
use towpath_types::queue::MessageId;

/// How far a run came in the order of sequence numbers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Position {
    /// The number of the last event, in decimal.
    sequence: String,
    /// The events with this number that were sent: a queue without numbers gives all the same.
    ids: Vec<MessageId>,
}

impl Position {
    /// The position after this event.
    pub(super) fn after(before: Option<Position>, event: &Archived) -> Position {
        let sequence = number(event).to_string();
        let before = before.filter(|before| before.sequence == sequence);
        let mut ids = before.map(|before| before.ids).unwrap_or_default();
        ids.push(event.id.clone());
        Position { sequence, ids }
    }

    /// The position without the ids of events that no longer exist.
    pub(crate) fn without(mut self, is_gone: impl Fn(&str) -> bool) -> Position {
        self.ids.retain(|id| !is_gone(id.as_str()));
        self
    }

    /// Whether this event is still to be sent.
    pub(super) fn is_before(&self, event: &Archived) -> bool {
        let number = number(event);
        let reached = self.sequence.parse::<u128>().unwrap_or_default();
        number > reached || number == reached && !self.ids.contains(&event.id)
    }
}

/// Sorts events of a group in their order.
pub(super) fn number(event: &Archived) -> u128 {
    event.sequence.as_deref().and_then(|sequence| sequence.parse().ok()).unwrap_or_default()
}
