//! Dead letters as the commands see them, wherever they lie: in a local store, or in a queue of SQS, where
//! looking means receiving.

mod behind;
mod broken;
mod journal;
mod local;
mod sqs;

use anyhow::bail;
use async_trait::async_trait;
use serde::Serialize;
use towpath_config::Config;
use towpath_types::clock::Timestamp;
use towpath_types::dead_letter::{DeadLetter, Stored};
use towpath_types::message::{Message, webhook_id};
use towpath_types::queue::{Attributes, GroupId, Handle, MessageId, NewMessage, Received};

pub(crate) use local::{LocalLetters, browsed_letter};
pub(crate) use sqs::SqsLetters;

use crate::aws;
use crate::place::{Found, Place};

/// One dead letter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Letter {
    /// Its id in the dead-letter queue. People are shown [`Letter::first_id`], which an edit or a redrive leaves as it is.
    pub(crate) id: MessageId,
    pub(crate) group: GroupId,
    pub(crate) body: String,
    pub(crate) attributes: Attributes,
    /// Why it is there.
    pub(crate) death: DeadLetter,
    /// How its queue names it: a sequence number, or the handle of a receive.
    key: Key,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Key {
    Sequence(String),
    Handle(Handle),
}

impl Letter {
    pub(crate) fn stored(&self) -> Stored<'_> {
        Stored { id: &self.id, group: &self.group, body: &self.body, attributes: &self.attributes }
    }

    /// The message that goes back to the queue that the letter came from.
    pub(crate) fn message(&self) -> NewMessage {
        self.death.send_back(&self.stored())
    }

    /// The message as the plugin saw it, without the secret that was sent along; `None` if it cannot be unpacked, of which it
    /// died.
    pub(crate) fn seen(&self, config: Option<&Config>) -> Option<Message> {
        let death = &self.death;
        let received = Received {
            id: death.message_id(),
            group: self.group.clone(),
            dedup_id: None,
            sequence: death.sequence.clone(),
            receive_count: death.receive_count.max(1),
            sent_at: Timestamp(death.sent_at.0),
            body: self.body.clone(),
            attributes: self.attributes.clone(),
            trace: None,
            handle: Handle(String::new()),
        };
        let mut message = Message::read(&received, &death.source).ok()?;
        // Letters of older hosts do not name the header.
        let routes = config.map(|config| &config.routes);
        let of_config =
            routes.zip(death.route.as_deref()).and_then(|(routes, path)| routes.by_path(path)?.secret_header());
        for secret in death.secret_header.as_deref().into_iter().chain(of_config) {
            message.headers.retain(|(name, _)| name != secret);
        }
        Some(message)
    }

    /// What the target sees as `webhook-id`.
    pub(crate) fn webhook_id(&self) -> MessageId {
        webhook_id(&self.death.message_id(), &self.attributes)
    }

    /// Whether it waits here only because one before it in its group died.
    pub(crate) fn is_parked(&self) -> bool {
        self.death.reason == "parked"
    }

    /// Its sequence number; empty for one of SQS.
    pub(crate) fn sequence(&self) -> &str {
        match &self.key {
            Key::Sequence(sequence) => sequence,
            Key::Handle(_) => "",
        }
    }

    /// The id under which its message was first stored: what ingest answered and targets get as `webhook-id`.
    pub(crate) fn first_id(&self) -> MessageId {
        self.death.message_id()
    }

    pub(crate) fn named(&self, id: &str) -> bool {
        [self.id.as_str(), &self.death.id, self.webhook_id().as_str()].iter().any(|own| own.starts_with(id))
    }
}

/// What an edit makes of a letter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Edited {
    pub(crate) group: GroupId,
    pub(crate) body: String,
    pub(crate) attributes: Attributes,
}

/// What came of sending letters back.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) struct Moved {
    pub(crate) moved: u64,
    /// What could not be moved, and why.
    pub(crate) failed: Vec<(MessageId, String)>,
    /// Letters that may have been sent already by a redrive that was cut off: they were sent again.
    pub(crate) perhaps_twice: Vec<MessageId>,
}

/// A dead-letter queue.
#[async_trait]
pub(crate) trait Letters: Send {
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
    fn unreached(&self) -> Vec<(MessageId, String)> {
        Vec::new()
    }

    /// Ends the look: what it made invisible is visible again.
    async fn release(&mut self);
}

/// Opens the dead letters of a place; `to` is the URL of the queue to send back to, instead of the config's.
/// With `refused` it is what the front door refused.
pub(crate) async fn open(found: &Found, to: Option<&str>, refused: bool) -> anyhow::Result<Box<dyn Letters>> {
    match &found.place {
        Place::Local(queues) if refused && to.is_none() => {
            Ok(Box::new(LocalLetters::new(queues.events.clone(), queues.refused.clone())))
        }
        Place::Local(queues) => match to {
            Some(_) => bail!("--to is for queues of SQS: letters of a local store go back to its own queue"),
            None => Ok(Box::new(LocalLetters::new(queues.events.clone(), queues.dead_letters.clone()))),
        },
        Place::Sqs { events, .. } if refused => {
            let refused = found.config.as_ref().and_then(|config| config.queue.refused_url.clone());
            let Some(refused) = refused else {
                bail!(
                    "no config names queue.refused_url, the queue that keeps what the front door refuses: give --config FILE"
                );
            };
            open_sqs(to.or(events.as_deref()), refused).await
        }
        Place::Sqs { events, dead_letters } => open_sqs(to.or(events.as_deref()), dead_letters.clone()).await,
    }
}

async fn open_sqs(events: Option<&str>, dead_letters: String) -> anyhow::Result<Box<dyn Letters>> {
    let events = match events {
        Some(url) => Some(aws::queue(url).await?),
        None => None,
    };
    let dead = aws::queue(&dead_letters).await?;
    Ok(Box::new(SqsLetters::new(events, dead, dead_letters)?))
}

/// Why a message is in a dead-letter queue: its letter, or else the queue itself moved it there.
fn death(
    attributes: &Attributes,
    id: &MessageId,
    receive_count: u32,
    source: Option<&str>,
    sent_at: Timestamp,
) -> DeadLetter {
    DeadLetter::read(attributes).unwrap_or_else(|| {
        let source = source.unwrap_or_default().to_owned();
        DeadLetter::moved_by_the_queue(id.clone(), receive_count, source, sent_at)
    })
}
