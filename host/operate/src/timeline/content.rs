//! The content of an event, from wherever it is.

use std::sync::Arc;

use anyhow::Context as _;
use towpath_archive::{Filter, Folder};
use towpath_config::Config;
use towpath_config::route::Route;
use towpath_local::{Browsed, LocalQueue};
use towpath_select::hide;
use towpath_types::archive::Archived;
use towpath_types::clock::Timestamp;
use towpath_types::dead_letter::DeadLetter;
use towpath_types::envelope::Webhook;
use towpath_types::message::{Message, is_item, origin_of, webhook_id};
use towpath_types::queue::{Attributes, GroupId, Handle, MessageId, Queue as _, Received};

use super::Place;
use super::only::Only;
use crate::archive::{Archive, FoundArchive};
use crate::event::Event;
use crate::letters::{Letter, browsed_letter};
use crate::place::{Backend, Found};
use crate::queues::DEAD_LETTERS;
use crate::secret_headers::SecretHeaders;

/// How many messages with a fitting id are read.
const CANDIDATES: usize = 10;

/// Where a content was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// In the queue.
    Queue,
    /// In the dead-letter queue.
    DeadLetters,
    /// In the archive.
    Archive,
}

impl Origin {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::Queue => "queue",
            Origin::DeadLetters => "dead letters",
            Origin::Archive => "archive",
        }
    }
}

/// The content of an event.
#[derive(Clone, Debug)]
pub struct Content {
    /// Where it was found.
    pub origin: Origin,
    /// The id under which the event was first stored.
    pub message_id: MessageId,
    /// What targets receive as `webhook-id`.
    pub webhook_id: MessageId,
    /// Its group.
    pub group: GroupId,
    /// Its route, if it is known.
    pub route: Option<String>,
    /// Its plugin, if it is known.
    pub plugin: Option<String>,
    /// When it was first stored.
    pub sent_at: Timestamp,
    /// Whether parts of its body were removed before it was archived.
    pub is_redacted: bool,
    /// Why it cannot be unpacked.
    pub problem: Option<String>,
    /// The event as its plugin sees it, with its secrets.
    pub(super) message: Option<Message>,
    pub(super) secrets: SecretHeaders,
}

impl Content {
    /// The webhook as the plugin sees it, without its secret values.
    pub fn webhook(&self) -> Option<Webhook> {
        self.message.as_ref().map(|message| self.secrets.hidden(Webhook::clone(&message.webhook)))
    }

    /// The event as a case of `plugin test`, without its secret values.
    pub fn case(&self) -> Option<Event> {
        let webhook = self.webhook()?;
        let path = self.route.clone().unwrap_or_else(|| "test".to_owned());
        let mut event = Event::of(&path, &webhook);
        event.id = Some(self.webhook_id.to_string());
        event.group = Some(self.group.to_string());
        event.sent_at = Some(self.sent_at.to_string());
        Some(event)
    }
}

/// Searches the queues of a local store: first these groups, then everything. Fails if the ids are beginnings of several.
pub(super) async fn in_queues(
    found: &Found,
    ids: &[String],
    groups: &[GroupId],
) -> anyhow::Result<(Place, Option<Content>)> {
    let Backend::Local(queues) = &found.backend else { return Ok((Place::Elsewhere, None)) };
    let groups = groups.iter().map(Some).chain([None]);
    for group in groups {
        let mut only = Only::new(ids);
        // What is in the queue counts more than a letter of it.
        for queue in [&queues.dead_letters, &queues.events] {
            for id in ids {
                // An id may also occur in a text of the attributes.
                for browsed in queue.with_id(id, group, CANDIDATES).await? {
                    only.add(&names(&browsed), first_id(&browsed), (queue, browsed));
                }
            }
        }
        if let Some((queue, browsed)) = only.one()? {
            return Ok(placed(found, queue, browsed));
        }
    }
    Ok((Place::Elsewhere, None))
}

fn names(browsed: &Browsed) -> Vec<String> {
    let death = DeadLetter::read(&browsed.attributes).map(|death| death.id);
    let origin = origin_of(&browsed.attributes).map(|origin| origin.id.to_string());
    let shown = webhook_id(&browsed.id, &browsed.attributes).to_string();
    [Some(browsed.id.to_string()), death, origin, Some(shown)].into_iter().flatten().collect()
}

/// The id under which it was first stored.
fn first_id(browsed: &Browsed) -> MessageId {
    let death = DeadLetter::read(&browsed.attributes).map(|death| death.message_id());
    let origin = || origin_of(&browsed.attributes).map(|origin| origin.id);
    death.or_else(origin).unwrap_or_else(|| browsed.id.clone())
}

fn placed(found: &Found, queue: &LocalQueue, browsed: Browsed) -> (Place, Option<Content>) {
    let config = found.config.as_deref();
    if queue.name() == DEAD_LETTERS {
        let letter = browsed_letter(browsed);
        let content = of_letter(config, &letter);
        return (Place::Dead(Box::new(letter)), Some(content));
    }
    let place = Place::Waits { group: browsed.group.clone(), receive_count: browsed.receive_count };
    let route = config.and_then(|config| config.routes.by_group(&browsed.group));
    let (sent_at, attributes) = (browsed.sent_at, browsed.attributes.clone());
    let received = received(browsed);
    let seen = seen(&received, queue.name(), route.map(|route| &**route));
    let origin = origin_of(&attributes);
    let content = Content {
        origin: Origin::Queue,
        message_id: origin.as_ref().map_or_else(|| received.id.clone(), |origin| origin.id.clone()),
        webhook_id: webhook_id(&received.id, &attributes),
        group: received.group.clone(),
        route: route.map(|route| route.path.clone()),
        plugin: route.and_then(|route| route.mapping.plugin()).map(str::to_owned),
        sent_at: origin.map_or(sent_at, |origin| origin.sent_at),
        is_redacted: false,
        problem: seen.as_ref().err().cloned(),
        message: seen.ok(),
        secrets: secrets(config, route.map(|route| &**route), &attributes),
    };
    (place, Some(content))
}

fn of_letter(config: Option<&Config>, letter: &Letter) -> Content {
    let message = letter.seen(config);
    Content {
        origin: Origin::DeadLetters,
        message_id: letter.first_id(),
        webhook_id: letter.webhook_id(),
        group: letter.group.clone(),
        route: letter.death.route.clone(),
        plugin: letter.death.plugin.clone(),
        sent_at: letter.death.sent_at,
        is_redacted: false,
        problem: message.is_none().then(|| "it cannot be unpacked".to_owned()),
        message,
        secrets: SecretHeaders::of(config).and(letter.death.secret_header.as_deref()),
    }
}

/// Searches an archive in a folder. Fails if the ids are beginnings of several. One on S3 is not searched: that reads, and costs, a file for each
/// five minutes.
/// `since` is a time at which the event was stored already, or earlier.
pub(super) async fn in_archive(
    archive: &FoundArchive,
    ids: &[String],
    since: Option<Timestamp>,
) -> anyhow::Result<Option<Archived>> {
    let Archive::Folder(folder) = &archive.archive else { return Ok(None) };
    let (folder, ids) = (folder.clone(), ids.to_vec());
    let search = move || search(&folder, &ids, since);
    let searched = tokio::task::spawn_blocking(search).await.with_context(|| archive.archive.reading())?;
    searched.with_context(|| archive.archive.reading())
}

fn search(folder: &Folder, ids: &[String], since: Option<Timestamp>) -> anyhow::Result<Option<Archived>> {
    if !folder.path().is_dir() {
        return Ok(None);
    }
    let mut only = Only::new(ids);
    for id in ids {
        for event in folder.events(&Filter { id_begins: Some(id.clone()), since, ..Filter::default() })? {
            let event = event?;
            let first = origin_of(&event.attributes).map_or_else(|| event.id.clone(), |origin| origin.id);
            let names = [&event.id, &event.webhook_id, &first].map(ToString::to_string);
            only.add(&names, first, event);
        }
    }
    Ok(only.one()?)
}

pub(super) fn of_archived(found: &Found, archive: &FoundArchive, event: &Archived) -> Content {
    let config = found.config.as_deref();
    let route = config.and_then(|config| config.routes.by_path(&event.route));
    let received = Received {
        id: event.id.clone(),
        group: event.group.clone(),
        dedup_id: event.dedup_id.clone(),
        sequence: event.sequence.clone(),
        receive_count: event.receive_count.max(1),
        sent_at: event.sent_at,
        body: event.body.clone(),
        attributes: event.attributes.clone(),
        trace: None,
        handle: Handle::from(String::new()),
    };
    let seen = seen(&received, "archive", route.map(|route| &**route));
    Content {
        origin: Origin::Archive,
        message_id: origin_of(&event.attributes).map_or_else(|| event.id.clone(), |origin| origin.id),
        webhook_id: event.webhook_id.clone(),
        group: event.group.clone(),
        route: Some(event.route.clone()),
        plugin: event.plugin.clone(),
        sent_at: event.sent_at,
        is_redacted: event.redacted,
        problem: seen.as_ref().err().cloned(),
        message: seen.ok(),
        secrets: archive.secrets(event),
    }
}

fn secrets(config: Option<&Config>, route: Option<&Route>, attributes: &Attributes) -> SecretHeaders {
    // An element of a split webhook is stored without them.
    let places = route.filter(|_| !is_item(attributes)).and_then(|route| route.tokens_text());
    SecretHeaders::of(config).and(places.as_deref())
}

/// The message as its plugin sees it.
fn seen(received: &Received, source: &str, route: Option<&Route>) -> Result<Message, String> {
    let mut message = Message::read(received, source).map_err(|error| error.to_string())?;
    let Some(route) = route.filter(|_| !is_item(&received.attributes)) else { return Ok(message) };
    for token in route.tokens() {
        hide(Arc::make_mut(&mut message.webhook), &token);
    }
    let shown = towpath_route::shown(route, &message.webhook).map_err(|error| error.to_string())?.into_owned();
    message.webhook = Arc::new(shown);
    Ok(message)
}

fn received(browsed: Browsed) -> Received {
    Received {
        id: browsed.id,
        group: browsed.group,
        dedup_id: None,
        sequence: Some(browsed.sequence),
        receive_count: browsed.receive_count.max(1),
        sent_at: browsed.sent_at,
        body: browsed.body,
        attributes: browsed.attributes,
        trace: None,
        handle: Handle::from(String::new()),
    }
}
