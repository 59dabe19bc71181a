//! What can be done with a queue of letters.

use async_trait::async_trait;
use towpath_types::queue::{Attributes, GroupId, MessageId};

use super::letter::Letter;

/// What an edit makes of a letter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edited {
    /// The group that it is in now.
    pub group: GroupId,
    /// The body, as it is stored.
    pub body: String,
    /// What its queue keeps beside it.
    pub attributes: Attributes,
}

/// What came of sending letters back.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Moved {
    /// How many went.
    pub moved: u64,
    /// What could not be moved, and why.
    pub failed: Vec<NotSentBack>,
    /// Letters that may have been sent already by a redrive that was cut off: they were sent again.
    pub perhaps_twice: Vec<MessageId>,
}

/// A letter that was not sent back, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotSentBack {
    /// The id under which its message was first stored.
    pub id: MessageId,
    /// Why it is still in the dead-letter queue.
    pub problem: String,
}

/// A dead-letter queue.
#[async_trait]
pub trait Letters: Send {
    /// About how many letters there are.
    async fn count(&self) -> anyhow::Result<u64>;

    /// The next letters, oldest first; none when everything that can be looked at was looked at.
    async fn next(&mut self) -> anyhow::Result<Vec<Letter>>;

    /// Sends letters back, in order. A letter is removed from here only when it is stored there. Once one of a group could
    /// not be sent back, no later call sends another of that group: it would overtake.
    async fn send_back(&mut self, letters: Vec<Letter>) -> anyhow::Result<Moved>;

    /// Gives a letter what an edit made of it.
    async fn replace(&mut self, letter: &Letter, edited: Edited) -> anyhow::Result<()>;

    /// Removes a letter for good.
    async fn discard(&mut self, letter: &Letter) -> anyhow::Result<()>;

    /// How many letters died since this was opened of which `is_one` says that they were sent back.
    async fn died_again(&mut self, is_one: &(dyn for<'a> Fn(&'a str) -> bool + Sync)) -> anyhow::Result<u64>;

    /// Letters that were to be sent back and could not be reached any more, and why.
    fn unreached(&self) -> Vec<NotSentBack> {
        Vec::new()
    }

    /// Ends the look: what it made invisible is visible again.
    async fn release(&mut self);
}
