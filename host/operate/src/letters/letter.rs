//! One dead letter, of a local store or of SQS.

use std::borrow::Cow;
use std::sync::Arc;

use towpath_config::Config;
use towpath_config::route::tokens_of;
use towpath_types::body::Body;
use towpath_types::clock::Timestamp;
use towpath_types::dead_letter::{DeadLetter, Stored};
use towpath_types::envelope::Webhook;
use towpath_types::message::{Message, is_item, webhook_id};
use towpath_types::outcome::MisfitKind;
use towpath_types::queue::{Attributes, GroupId, Handle, MessageId, NewMessage, Received};

/// How much of a digest tells bodies apart.
const DIGITS: usize = 16;

/// One dead letter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Letter {
    /// Its id in the dead-letter queue. Operators see [`Letter::first_id`], which edits and redrives do not change.
    pub id: MessageId,
    /// Its group.
    pub group: GroupId,
    /// Its body, as stored.
    pub body: Body,
    /// Its attributes, as stored.
    pub attributes: Attributes,
    /// Why it was dead-lettered.
    pub death: DeadLetter,
    /// What its queue needs to find it: a sequence number, or the handle of a receive.
    pub(super) key: Key,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Key {
    Sequence(String),
    Handle(Handle),
}

impl Letter {
    /// Its stored form.
    pub fn stored(&self) -> Stored<'_> {
        Stored { id: &self.id, group: &self.group, body: &self.body, attributes: &self.attributes }
    }

    /// The message to store in the queue that the letter came from.
    pub fn message(&self) -> NewMessage {
        self.death.send_back(&self.stored())
    }

    /// The message as the plugin saw it, without the header that carries a secret. `None` if it cannot be unpacked, which is then why it
    /// was dead-lettered.
    pub fn seen(&self, config: Option<&Config>) -> Option<Message> {
        self.seen_with(config, None)
    }

    /// The same with another webhook in place of its own.
    pub(crate) fn seen_with(&self, config: Option<&Config>, webhook: Option<Webhook>) -> Option<Message> {
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
            handle: Handle::from(String::new()),
        };
        let mut message = Message::read(&received, &death.source).ok()?;
        if let Some(webhook) = webhook {
            message.webhook = Arc::new(webhook);
        }
        // Older hosts wrote letters without the header's name.
        let routes = config.map(|config| &config.routes);
        let route = routes.zip(death.route.as_deref()).and_then(|(routes, path)| routes.by_path(path));
        for token in death.secret_header.as_deref().into_iter().flat_map(tokens_of) {
            towpath_select::hide(Arc::make_mut(&mut message.webhook), &token);
        }
        // Of an element of a split webhook what the plugin sees is stored.
        let route = route.filter(|_| !is_item(&self.attributes));
        let shown = route.and_then(|route| towpath_route::shown(route, &message.webhook).ok());
        if let Some(shown) = shown.map(Cow::into_owned) {
            message.webhook = Arc::new(shown);
        }
        Some(message)
    }

    /// What the target receives as `webhook-id`.
    pub fn webhook_id(&self) -> MessageId {
        webhook_id(&self.death.message_id(), &self.attributes)
    }

    /// Whether it is here only because an earlier message of its group was dead-lettered.
    pub fn is_parked(&self) -> bool {
        self.death.reason == MisfitKind::Parked.code()
    }

    /// Tells its body from that of another edit.
    pub fn digest(&self) -> String {
        let mut digest = hex::encode(self.body.digest());
        digest.truncate(DIGITS);
        digest
    }

    /// Its sequence number; empty on SQS.
    pub fn sequence(&self) -> &str {
        match &self.key {
            Key::Sequence(sequence) => sequence,
            Key::Handle(_) => "",
        }
    }

    /// The id under which its message was first stored, which ingest answered.
    pub fn first_id(&self) -> MessageId {
        self.death.message_id()
    }

    /// Whether one of its ids has this prefix.
    pub fn named(&self, id: &str) -> bool {
        [self.id.as_str(), &self.death.id, self.webhook_id().as_str()].iter().any(|own| own.starts_with(id))
    }
}

/// Why a message is in a dead-letter queue. A message without a letter was moved there by the queue itself.
pub(super) fn death(
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
