//! Why letters cannot be opened, sent back or dropped.

use towpath_types::queue::MessageId;

/// Somebody edited a letter since it was read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("somebody edited the letter {0} meanwhile: look again")]
pub struct EditedMeanwhile(pub MessageId);

/// Something that an operator can name differently.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LettersError {
    /// Another queue was named for letters of a local store.
    #[error("letters of a local store go back to its own queue, and to no other")]
    OwnQueue,
    /// No config names the queue of webhooks that ingest turned away.
    #[error("no config names queue.refused_url, the queue of webhooks that ingest turned away")]
    NoRefusedQueue,
    /// Neither a queue to send back to nor a config with `queue.url` was named.
    #[error("the queue to send it back to is not known: no config names queue.url")]
    NoDestination,
    /// A parked group cannot be sent back in one transaction on SQS.
    #[error("its group is parked, and goes back as a whole, on its local store only")]
    Parked,
}

/// A letter that was read, and cannot be reached now.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Unreachable {
    #[error("the letter {0} is gone")]
    Gone(MessageId),
    #[error("a client has the letter {0} in flight: try again")]
    InFlight(MessageId),
}
