//! Letters are edited and dropped: written down before it is done.

use anyhow::{Context as _, bail};
use towpath_config::route::Route;
use towpath_route::keys;
use towpath_types::clock::Clock;
use towpath_types::envelope::Webhook;
use towpath_types::message::{Note, WEBHOOK_ID_ATTRIBUTE, webhook};
use towpath_types::queue::{Attribute, GroupId, MessageId};
use towpath_verify::note_keys::{NoteKeys, Seal};

use super::filter::Filter;
use super::one;
use crate::audit::{self, Audit};
use crate::letters::{Edited, Letter, Letters};
use crate::place::{Backend, Found};
use crate::set::Set;
use crate::{aws, note_keys};

/// What is to be edited, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edit {
    /// The letter.
    pub id: String,
    /// Another body.
    pub body: Option<Vec<u8>>,
    /// Values that are set in it.
    pub set: Vec<Set>,
    /// It stays in its group, whatever its keys say.
    pub keep_group: bool,
    /// It gets the `webhook-id` of its keys.
    pub new_webhook_id: bool,
    /// It may be one that was never verified.
    pub accept_unverified: bool,
    /// Why.
    pub note: String,
}

/// What an edit did.
pub struct Done {
    /// The letter as it was.
    pub letter: Letter,
    /// The group that it is in now.
    pub group: GroupId,
    /// The webhook's body as it was.
    pub before: Vec<u8>,
    /// The body as it is now.
    pub after: Vec<u8>,
    /// What came of its `webhook-id`.
    pub webhook_id: WebhookId,
}

/// What an edit does about the `webhook-id` that was derived from the event's key.
pub enum WebhookId {
    /// It is still the one of the key, or was never derived.
    Fits,
    /// The key is another one now, of which this would be the id.
    Kept {
        /// That id.
        of_key: MessageId,
    },
    /// It became the one of the key.
    New {
        /// The one that it has now.
        now: MessageId,
    },
}

/// Edits one letter; it is written down before.
pub async fn edit(found: &Found, letters: &mut dyn Letters, args: Edit) -> anyhow::Result<Done> {
    let letter = one(letters, &args.id).await?;
    if !letter.death.is_verified() && !args.accept_unverified {
        bail!(
            "{} never proved where it comes from ({}): if the sender is known by other means, --accept-unverified edits it \
            all the same, and --note says why. `towpath dlq redrive` sends it back unedited, and it is verified again",
            letter.death.id.get(..8).unwrap_or(&letter.death.id),
            letter.death.reason
        );
    }
    let keys = trusted_keys(found).await?;
    let before = webhook(&letter.body, &letter.attributes).context("the letter's body cannot be unpacked")?;
    let mut after = match &args.body {
        Some(body) => body.clone(),
        None => before.body.clone(),
    };
    for set in &args.set {
        after = set.apply(&after)?;
    }
    if after == before.body {
        bail!("that changes nothing");
    }
    let after = Webhook { headers: before.headers.clone(), body: after };
    let route = route(found, &letter);
    let group = match (args.keep_group, &route) {
        (true, _) => letter.group.clone(),
        (false, Ok(route)) => regrouped(*route, &letter, &before, &after),
        (false, Err(why)) => bail!("which group the edited event belongs to is not known: {why}, or --keep-group"),
    };
    let unverified = !letter.death.is_verified();
    let note = Note { at: Clock::wall().now(), by: audit::by(), text: args.note.clone(), unverified };
    let path = route.as_ref().ok().and_then(|route| route.as_ref().map(|route| route.path.as_str()));
    let path = path.or(letter.death.route.as_deref()).unwrap_or_default();
    let seal = Seal { keys: &keys, group: &group, route: path };
    let (body, mut attributes) = seal.edit(&letter.death, &letter.stored(), after.body.clone(), note);
    let mut webhook_id = match &route {
        Ok(route) => webhook_id(*route, &letter, &before, &after),
        Err(why) if args.new_webhook_id => bail!("which webhook-id the edited event gets is not known: {why}"),
        Err(_) => WebhookId::Fits,
    };
    if args.new_webhook_id
        && let WebhookId::Kept { of_key } = webhook_id
    {
        attributes.insert(WEBHOOK_ID_ATTRIBUTE.to_owned(), Attribute::text(of_key.as_str()));
        webhook_id = WebhookId::New { now: of_key };
    }
    Audit::of(found).write("edit", &args.note, &letter)?;
    letters.replace(&letter, Edited { group: group.clone(), body, attributes }).await?;
    Ok(Done { letter, group, before: before.body, after: after.body, webhook_id })
}

/// What proves an edit here.
async fn trusted_keys(found: &Found) -> anyhow::Result<NoteKeys> {
    let configured = match &found.config {
        Some(config) => aws::note_keys(config).await?,
        None => NoteKeys::default(),
    };
    match &found.backend {
        Backend::Local(queues) => note_keys::of_store(queues.events.store(), configured).await,
        Backend::Sqs { .. } if configured.is_empty() => bail!(
            "an edit must prove that an operator made it, or hosts would verify the signature, which no longer fits: name a \
            secret of 32 random bytes in the config, [dead_letters] note_key = \"NAME\", here and for the hosts"
        ),
        Backend::Sqs { .. } => Ok(configured),
    }
}

/// The route of a letter, if it has one; or why it is not known, and what to give.
fn route<'a>(found: &'a Found, letter: &Letter) -> Result<Option<&'a Route>, String> {
    let Some(config) = &found.config else {
        return Err("the keys of its route are in the config: give --config FILE".to_owned());
    };
    let route =
        match &letter.death.route {
            Some(path) => Some(config.routes.by_path(path).ok_or_else(|| {
                format!("its route {path:?} is not in {}: give another --config", config.file.display())
            })?),
            // It died before its route was known, or has none.
            None => config.routes.by_group(&letter.group),
        };
    Ok(route.map(|route| &**route))
}

/// The group of an edited event: another one if it is of another key now, or the order of that key would not be kept.
fn regrouped(route: Option<&Route>, letter: &Letter, before: &Webhook, after: &Webhook) -> GroupId {
    let group = route.map(|route| (keys(route, before).group, keys(route, after).group));
    match group {
        Some((before, after)) if before != after => after,
        _ => letter.group.clone(),
    }
}

/// Whether a derived `webhook-id` is still that of the event's key.
fn webhook_id(route: Option<&Route>, letter: &Letter, before: &Webhook, after: &Webhook) -> WebhookId {
    let is_derived = letter.attributes.contains_key(WEBHOOK_ID_ATTRIBUTE);
    let Some(route) = route.filter(|_| is_derived) else { return WebhookId::Fits };
    let id = |webhook| keys(route, webhook).dedup.map(|dedup| MessageId::from(dedup.webhook_id));
    let was = id(before);
    let now = id(after);
    if was == now {
        return WebhookId::Fits;
    }
    // Without a key there is nothing to derive the id from: it is the message's own.
    WebhookId::Kept { of_key: now.unwrap_or_else(|| letter.first_id()) }
}

/// Drops the wanted letters. How many were dropped, and whether something was asked for that there is not.
pub async fn drop(
    found: &Found,
    letters: &mut dyn Letters,
    mut filter: Filter,
    note: String,
) -> anyhow::Result<(u64, anyhow::Result<()>)> {
    let audit = Audit::of(found);
    let mut dropped = 0;
    loop {
        let page = letters.next().await?;
        if page.is_empty() {
            return Ok((dropped, filter.check(found)));
        }
        for letter in page.into_iter().filter(|letter| filter.wants(letter)) {
            audit.write("drop", &note, &letter)?;
            letters.discard(&letter).await?;
            dropped += 1;
        }
    }
}
