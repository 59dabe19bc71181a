//! Edits and drops letters. Each is written to the audit before it is done, and a drop that is refused also after it.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use towpath_config::route::Route;
use towpath_route::keys_of_stored;
use towpath_types::clock::Clock;
use towpath_types::envelope::Webhook;
use towpath_types::message::{Note, WEBHOOK_ID_ATTRIBUTE, is_item, webhook};
use towpath_types::queue::{Attribute, GroupId, MessageId};
use towpath_verify::note_keys::{NoteKeys, Seal};

use super::filter::Filter;
use super::one;
use super::redrive::Progress;
use crate::audit::Audit;
use crate::letters::{Edited, EditedMeanwhile, Letter, Letters, Moved, NotSentBack, Unreachable};
use crate::place::{Backend, Found};
use crate::set::Set;
use crate::stop::Stop;
use crate::{aws, note_keys};

/// Why a letter is not edited.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EditError {
    /// It was never verified, and the operator did not accept that.
    #[error("{id} never proved where it comes from ({reason})")]
    Unverified {
        /// The beginning of its id.
        id: String,
        /// Why it was dead-lettered.
        reason: String,
    },
    /// The edited body is the same.
    #[error("the edit changes nothing")]
    Unchanged,
    /// The route that tells the group is not known.
    #[error("the group of the edited event is not known: {0}")]
    UnknownGroup(RouteError),
    /// A part of the group's key is in the rest of a split webhook, which is not stored.
    #[error(
        "its group also depends on the rest of the webhook that it was split from, which is not stored: keep its group"
    )]
    PartOfGroup,
    /// The route that tells the `webhook-id` is not known.
    #[error("the webhook-id of the edited event is not known: {0}")]
    UnknownWebhookId(RouteError),
    /// On SQS, hosts accept an edit only with a key of the config.
    #[error(
        "an edit must prove that an operator made it, or hosts would verify the signature, which no longer fits: name a secret of 32 \
        random bytes in the config, [dead_letters] note_key = \"NAME\", here and for the hosts"
    )]
    NoNoteKey,
}

/// Why the route of a letter is not known.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RouteError {
    /// There is no config.
    #[error("the keys of its route are in the config, and no config was read")]
    NoConfig,
    /// The config does not have it.
    #[error("its route {path:?} is not in {}", file.display())]
    NotInConfig {
        /// The route's path.
        path: String,
        /// The config.
        file: PathBuf,
    },
}

/// An edit of one letter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edit {
    /// An id of the letter, or a prefix of one.
    pub id: String,
    /// The new body.
    pub body: Option<Vec<u8>>,
    /// Values to set in the body.
    pub set: Vec<Set>,
    /// Keeps its group, even if its keys say otherwise.
    pub keep_group: bool,
    /// Derives its `webhook-id` from its keys again.
    pub new_webhook_id: bool,
    /// Accepts a letter that was never verified.
    pub accept_unverified: bool,
    /// The operator's reason.
    pub note: String,
    /// [`Letter::digest`] of the letter that it was made for: another one is not edited.
    pub made_for: Option<String>,
}

/// The result of an edit.
pub struct Done {
    /// The letter before the edit.
    pub letter: Letter,
    /// The group after the edit.
    pub group: GroupId,
    /// The webhook's body before the edit.
    pub before: Vec<u8>,
    /// The body after the edit.
    pub after: Vec<u8>,
    /// What the edit did to its `webhook-id`.
    pub webhook_id: WebhookId,
}

/// What an edit does to a `webhook-id` that was derived from the event's key.
pub enum WebhookId {
    /// It still fits the key, or was never derived.
    Fits,
    /// It stays, although the key has changed.
    Kept {
        /// The id that the new key would give.
        of_key: MessageId,
    },
    /// It was derived from the new key.
    New {
        /// The new id.
        now: MessageId,
    },
}

/// What an edit would make of a letter.
pub struct Change {
    /// The letter before the edit.
    pub letter: Letter,
    /// The webhook before the edit.
    pub before: Webhook,
    /// The webhook after the edit.
    pub after: Webhook,
    /// The group after the edit.
    pub group: GroupId,
    /// What the edit does to its `webhook-id`.
    pub webhook_id: WebhookId,
    /// The path of its route, as the note is sealed for.
    path: String,
}

impl Change {
    /// What this edit would make of a letter. Changes nothing.
    pub fn of(found: &Found, letter: Letter, args: &Edit) -> anyhow::Result<Change> {
        if args.made_for.as_ref().is_some_and(|digest| *digest != letter.digest()) {
            return Err(EditedMeanwhile(letter.id).into());
        }
        if !letter.death.is_verified() && !args.accept_unverified {
            let id = letter.death.id.get(..8).unwrap_or(&letter.death.id).to_owned();
            return Err(EditError::Unverified { id, reason: letter.death.reason }.into());
        }
        let before = webhook(&letter.body, &letter.attributes).context("the letter's body cannot be unpacked")?;
        let before = Arc::unwrap_or_clone(before);
        let mut after = match &args.body {
            Some(body) => body.clone(),
            None => before.body.clone(),
        };
        for set in &args.set {
            after = set.apply(&after)?;
        }
        if after == before.body {
            return Err(EditError::Unchanged.into());
        }
        let after = Webhook { body: after, ..before.clone() };
        let route = route(found, &letter);
        let group = match (args.keep_group, &route) {
            (true, _) => letter.group.clone(),
            (false, Ok(route)) => regrouped(*route, &letter, &before, &after).ok_or(EditError::PartOfGroup)?,
            (false, Err(why)) => return Err(EditError::UnknownGroup(why.clone()).into()),
        };
        let webhook_id = match &route {
            Ok(route) => webhook_id(*route, &letter, &before, &after),
            Err(why) if args.new_webhook_id => return Err(EditError::UnknownWebhookId(why.clone()).into()),
            Err(_) => WebhookId::Fits,
        };
        let webhook_id = match webhook_id {
            WebhookId::Kept { of_key } if args.new_webhook_id => WebhookId::New { now: of_key },
            other => other,
        };
        let path = route.as_ref().ok().and_then(|route| route.as_ref().map(|route| route.path.as_str()));
        let path = path.or(letter.death.route.as_deref()).unwrap_or_default().to_owned();
        Ok(Change { letter, before, after, group, webhook_id, path })
    }
}

/// Edits one letter.
pub async fn edit(found: &Found, letters: &mut dyn Letters, args: Edit) -> anyhow::Result<Done> {
    let letter = one(letters, &args.id).await?;
    // First: without a key no other answer helps.
    let keys = trusted_keys(found).await?;
    let Change { letter, before, after, group, webhook_id, path } = Change::of(found, letter, &args)?;
    let unverified = !letter.death.is_verified();
    let note = Note { at: Clock::wall().now(), by: found.by.clone(), text: args.note.clone(), unverified };
    let seal = Seal { keys: &keys, group: &group, route: &path };
    let (body, mut attributes) = seal.edit(&letter.death, &letter.stored(), after.body.clone(), note);
    if let WebhookId::New { now } = &webhook_id {
        attributes.insert(WEBHOOK_ID_ATTRIBUTE.to_owned(), Attribute::text(now.as_str()));
    }
    audited(&Audit::of(found), letters, "edit", &args.note, &letter).await?;
    letters.replace(&letter, Edited { group: group.clone(), body, attributes }).await?;
    Ok(Done { letter, group, before: before.body, after: after.body, webhook_id })
}

/// The keys that prove an edit.
async fn trusted_keys(found: &Found) -> anyhow::Result<NoteKeys> {
    let configured = match &found.config {
        Some(config) => aws::note_keys(config).await?,
        None => NoteKeys::default(),
    };
    match &found.backend {
        Backend::Local(queues) => note_keys::of_store(queues.events.store(), configured).await,
        Backend::Sqs { .. } if configured.is_empty() => Err(EditError::NoNoteKey.into()),
        Backend::Sqs { .. } => Ok(configured),
    }
}

/// The route of a letter, if it has one.
fn route<'a>(found: &'a Found, letter: &Letter) -> Result<Option<&'a Route>, RouteError> {
    let Some(config) = &found.config else {
        return Err(RouteError::NoConfig);
    };
    let route = match &letter.death.route {
        Some(path) => Some(
            config
                .routes
                .by_path(path)
                .ok_or_else(|| RouteError::NotInConfig { path: path.clone(), file: config.file.clone() })?,
        ),
        // It was dead-lettered before its route was known, or has none.
        None => config.routes.by_group(&letter.group),
    };
    Ok(route.map(|route| &**route))
}

/// The group of an edited event. It moves with its key, or the order of that key would not be kept. `None` if what is stored
/// does not give the group.
fn regrouped(route: Option<&Route>, letter: &Letter, before: &Webhook, after: &Webhook) -> Option<GroupId> {
    let is_item = is_item(&letter.attributes);
    let group = |route, webhook| keys_of_stored(route, webhook, is_item).group;
    match route.map(|route| (group(route, before), group(route, after))) {
        Some((before, after)) if before != after => (!is_item || before == letter.group).then_some(after),
        _ => Some(letter.group.clone()),
    }
}

/// Whether a derived `webhook-id` still fits the event's key.
fn webhook_id(route: Option<&Route>, letter: &Letter, before: &Webhook, after: &Webhook) -> WebhookId {
    let is_derived = letter.attributes.contains_key(WEBHOOK_ID_ATTRIBUTE);
    let Some(route) = route.filter(|_| is_derived) else { return WebhookId::Fits };
    let is_item = is_item(&letter.attributes);
    let id = |webhook| keys_of_stored(route, webhook, is_item).dedup.map(|dedup| MessageId::from(dedup.webhook_id));
    let was = id(before);
    let now = id(after);
    if was == now {
        return WebhookId::Fits;
    }
    // Without a key the id is the message's own.
    WebhookId::Kept { of_key: now.unwrap_or_else(|| letter.first_id()) }
}

/// How letters are dropped, and why.
#[derive(Clone, Debug, Default)]
pub struct Dropping {
    /// The operator's reason, for the audit.
    pub note: String,
    /// Stops it between two letters.
    pub stop: Stop,
}

/// Drops the letters that match. Returns how many, those that could not be reached, and an error if the operator named something that does not exist.
pub async fn drop(
    found: &Found,
    letters: &mut dyn Letters,
    mut filter: Filter,
    orders: Dropping,
    mut progress: impl FnMut(Progress) + Send,
) -> anyhow::Result<(Moved, anyhow::Result<()>)> {
    let Dropping { note, stop } = orders;
    let audit = Audit::of(found);
    let mut dropped = Moved::default();
    letters.only_those_here().await?;
    loop {
        let page = letters.next().await?;
        if page.is_empty() {
            return Ok((dropped, filter.check(found)));
        }
        let looked_at = page.len() as u64;
        for letter in page.into_iter().filter(|letter| filter.wants(letter)) {
            if stop.is_asked() {
                // Letters that were not read may have what the operator named.
                return Ok((dropped, Ok(())));
            }
            match drop_one(&audit, letters, &note, &letter).await {
                Ok(()) => {
                    dropped.moved += 1;
                    progress(Progress::Done(1));
                }
                Err(error) if is_of_one(&error) => {
                    dropped.failed.push(NotSentBack { id: letter.first_id(), problem: error.to_string(), error: None });
                }
                Err(error) => return Err(error),
            }
        }
        progress(Progress::LookedAt(looked_at));
    }
}

/// Whether it concerns this letter alone, so that the others can be dropped.
fn is_of_one(error: &anyhow::Error) -> bool {
    error.is::<Unreachable>() || error.is::<EditedMeanwhile>()
}

async fn drop_one(audit: &Audit, letters: &mut dyn Letters, note: &str, letter: &Letter) -> anyhow::Result<()> {
    audited(audit, letters, "drop", note, letter).await?;
    let dropped = letters.discard(letter).await;
    if dropped.as_ref().is_err_and(is_of_one) {
        audit.ended("drop", "refused", 0, &letter.id, &letter.group)?;
    }
    dropped
}

/// Writes a letter to the audit. Fails if it is gone: an erasure that removed it would not find it there.
pub(crate) async fn audited(
    audit: &Audit,
    letters: &mut dyn Letters,
    action: &str,
    note: &str,
    letter: &Letter,
) -> anyhow::Result<()> {
    let _alone = audit.alone().await?;
    if !letters.is_there(letter).await? {
        return Err(Unreachable::Gone(letter.id.clone()).into());
    }
    audit.write(action, note, letter)
}
