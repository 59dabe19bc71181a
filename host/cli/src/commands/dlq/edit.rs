//! `dlq edit`, `dlq drop`: written down before they are done.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;
use towpath_config::route::Route;
use towpath_files::regular::{self, MAX_EVENT};
use towpath_operate::audit::{self, Audit};
use towpath_operate::letters::{Edited, Letter, Letters};
use towpath_operate::place::{Backend, Found};
use towpath_operate::{aws, note_keys};
use towpath_route::keys;
use towpath_types::clock::Clock;
use towpath_types::envelope::Webhook;
use towpath_types::message::{Note, WEBHOOK_ID_ATTRIBUTE, webhook};
use towpath_types::queue::{Attribute, GroupId, MessageId};
use towpath_verify::note_keys::NoteKeys;
use towpath_verify::note_keys::Seal;

use super::filter::Filter;
use super::{interrupted, one, short, shown, with_letters};
use crate::args::{DlqDrop, DlqEdit};
use crate::output::{Exit, Output};

/// What an edit did.
struct Done {
    letter: Letter,
    group: GroupId,
    before: Vec<u8>,
    after: Vec<u8>,
    webhook_id: WebhookId,
}

/// What an edit does about the `webhook-id` that was derived from the event's key.
enum WebhookId {
    /// It is still the one of the key, or was never derived.
    Fits,
    /// The key is another one now, of which this would be the id.
    Kept { of_key: MessageId },
    /// It became the one of the key.
    New { now: MessageId },
}

pub(super) async fn edit(args: DlqEdit, output: &Output) -> anyhow::Result<Exit> {
    if args.body.is_none() && args.set.is_empty() {
        bail!("what is to change? give --set /json/pointer=VALUE, or --body FILE");
    }
    let place = args.place.clone();
    let refused = if place.refused { " --refused" } else { "" };
    let edited = with_letters(&place, None, |found, letters| Box::pin(edit_one(found, letters, args)));
    let Some(Done { letter, group, before, after, webhook_id }) = edited.await? else {
        return Ok(interrupted(output));
    };
    let moved = group != letter.group;
    if output.is_json() {
        let mut done = serde_json::json!({ "id": letter.first_id(), "group": group });
        if let Some(done) = done.as_object_mut() {
            done.extend(shown::field("before", &before));
            done.extend(shown::field("after", &after));
            done.extend(moved.then(|| ("group_before".to_owned(), Value::from(letter.group.as_str()))));
            let had = letter.webhook_id();
            let (has, of_key) = match &webhook_id {
                WebhookId::Fits => (&had, None),
                WebhookId::Kept { of_key } => (&had, Some(of_key)),
                WebhookId::New { now } => (now, None),
            };
            done.insert("webhook_id".to_owned(), Value::from(has.as_str()));
            done.extend(of_key.map(|id| ("webhook_id_of_key".to_owned(), Value::from(id.as_str()))));
        }
        output.json(&done);
        return Ok(Exit::Done);
    }
    let lines = |body: &[u8]| shown::lines(&shown::readable(body));
    output.diff(&lines(&before), &lines(&after));
    if moved {
        output.line(format!(
            "group: {} → {group}, by its route's template; --keep-group keeps the old one",
            letter.group
        ));
    }
    let had = letter.webhook_id();
    match webhook_id {
        WebhookId::Fits => {}
        WebhookId::Kept { .. } => output.line(format!(
            "webhook-id: {had} stays, although it was derived from another key: a target may take the event for one that it has; \
            --new-webhook-id gives it the id of its key"
        )),
        WebhookId::New { now } => output.line(format!("webhook-id: {had} → {now}, by its route's keys")),
    }
    let id = &letter.death.id;
    output.line(format!("edited {id}; `towpath dlq redrive{refused} {}` sends it back", short(id)));
    Ok(Exit::Done)
}

async fn edit_one(found: &Found, letters: &mut dyn Letters, args: DlqEdit) -> anyhow::Result<Done> {
    let letter = one(letters, &args.id).await?;
    if !letter.death.is_verified() && !args.accept_unverified {
        bail!(
            "{} never proved where it comes from ({}): if the sender is known by other means, --accept-unverified edits it \
            all the same, and --note says why. `towpath dlq redrive` sends it back unedited, and it is verified again",
            short(&letter.death.id),
            letter.death.reason
        );
    }
    let keys = trusted_keys(found).await?;
    let before = webhook(&letter.body, &letter.attributes).context("the letter's body cannot be unpacked")?;
    let mut after = match &args.body {
        Some(file) => read(file)?,
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
    let id = |webhook| keys(route, webhook).dedup.map(|dedup| MessageId(dedup.webhook_id));
    let (was, now) = (id(before), id(after));
    match was == now {
        true => WebhookId::Fits,
        // Without a key there is none to derive it from: it is the message's own.
        false => WebhookId::Kept { of_key: now.unwrap_or_else(|| letter.first_id()) },
    }
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match file == Path::new("-") {
        true => std::io::stdin().read_to_end(&mut bytes).map(|_| bytes).context("reading standard input"),
        false => regular::read(file, MAX_EVENT).with_context(|| format!("reading {}", file.display())),
    }
}

pub(super) async fn drop(args: DlqDrop, output: &Output) -> anyhow::Result<Exit> {
    let filter = Filter::new(args.filter.clone(), args.ids.clone());
    if filter.is_everything() {
        bail!("which letters? give ids, or a filter such as --reason rejected");
    }
    let place = args.place.clone();
    let dropped = with_letters(&place, None, |found, letters| Box::pin(drop_all(found, letters, filter, args.note)));
    let Some((dropped, known)) = dropped.await? else { return Ok(interrupted(output)) };
    match output.is_json() {
        true => output.json(&serde_json::json!({ "dropped": dropped })),
        false if dropped == 0 => output.line("dropped: 0"),
        false => output.line(format!("dropped: {dropped}; `towpath dlq audit --json` still has them, and audit.jsonl beside the store has them whole")),
    }
    known?;
    if dropped == 0 { Ok(Exit::Findings) } else { Ok(Exit::Done) }
}

/// How many were dropped, and whether something was asked for that there is not.
async fn drop_all(
    found: &Found,
    letters: &mut dyn Letters,
    mut filter: Filter,
    note: String,
) -> anyhow::Result<(u64, anyhow::Result<()>)> {
    let (audit, mut dropped) = (Audit::of(found), 0);
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
