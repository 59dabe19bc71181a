//! The operations on a queue of letters.

use async_trait::async_trait;
use towpath_types::body::Body;
use towpath_types::queue::{Attributes, GroupId, MessageId};

use super::error::LettersError;
use super::letter::Letter;

/// A letter after an edit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edited {
    /// Its group.
    pub group: GroupId,
    /// Its body, as stored.
    pub body: Body,
    /// Its attributes, as stored.
    pub attributes: Attributes,
}

/// The result of sending letters back.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Moved {
    /// How many were sent back, or dropped.
    pub moved: u64,
    /// Letters that were not sent back, or not dropped.
    pub failed: Vec<NotSentBack>,
    /// Letters that an interrupted redrive may have sent before: they were sent again.
    pub perhaps_twice: Vec<MessageId>,
}

/// A letter that was not sent back or not dropped, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotSentBack {
    /// The id under which its message was first stored.
    pub id: MessageId,
    /// Why not.
    pub problem: String,
    /// The error, if an operator can avoid it by naming something.
    pub error: Option<LettersError>,
}

/// A dead-letter queue.
#[async_trait]
pub trait Letters: Send {
    /// The approximate number of letters.
    async fn count(&self) -> anyhow::Result<u64>;

    /// From here on reads no letter that arrives later, where the queue can tell: one that dies again during a redrive would be read, and sent
    /// back, again and again.
    async fn only_those_here(&mut self) -> anyhow::Result<()> {
        Ok(())
    }

    /// The next letters, oldest first. An empty page is the end.
    async fn next(&mut self) -> anyhow::Result<Vec<Letter>>;

    /// Sends letters back, in order. A letter is removed here only after it is stored there. Once a letter could not be sent back,
    /// no later call sends another of its group, which would overtake it.
    async fn send_back(&mut self, letters: Vec<Letter>) -> anyhow::Result<Moved>;

    /// Replaces a letter by its edited form.
    async fn replace(&mut self, letter: &Letter, edited: Edited) -> anyhow::Result<()>;

    /// Whether a letter that was read is still there, as far as another process of this machine could have removed it.
    async fn is_there(&mut self, letter: &Letter) -> anyhow::Result<bool>;

    /// Removes a letter for good.
    async fn discard(&mut self, letter: &Letter) -> anyhow::Result<()>;

    /// How many letters were dead-lettered since the first call; `is_one` says which ids count.
    async fn died_again(&mut self, is_one: &(dyn for<'a> Fn(&'a str) -> bool + Sync)) -> anyhow::Result<u64>;

    /// Letters that were to be sent back and were never reached.
    fn unreached(&self) -> Vec<NotSentBack> {
        Vec::new()
    }

    /// Makes every letter visible again that reading made invisible.
    async fn release(&mut self);
}
