//! `dlq edit` and `dlq drop`. The audit is written before the action.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use towpath_files::regular::{self, MAX_EVENT};
use towpath_operate::dlq::edit::{self, Done, Dropping, Edit, WebhookId};
use towpath_operate::dlq::filter::Filter;
use towpath_operate::json;
use towpath_operate::shown;
use towpath_operate::stop::Stop;

use super::{interrupted, short, with_letters};
use crate::args::{DlqDrop, DlqEdit};
use crate::output::{Exit, Output};

pub(super) async fn edit(args: DlqEdit, output: &Output) -> anyhow::Result<Exit> {
    if args.body.is_none() && args.set.is_empty() {
        bail!("no change given: use --set /json/pointer=VALUE, or --body FILE");
    }
    let place = args.place.clone();
    let refused = if place.refused { " --refused" } else { "" };
    let DlqEdit { id, set, keep_group, new_webhook_id, accept_unverified, note, .. } = args;
    let body = args.body.as_deref().map(read).transpose()?;
    let edit = Edit { id, body, set, keep_group, new_webhook_id, accept_unverified, note, made_for: None };
    let edited = with_letters(&place, None, |found, letters| Box::pin(edit::edit(found, letters, edit)));
    let Some(done) = edited.await? else {
        return Ok(interrupted(output));
    };
    if output.is_json() {
        output.json(&json::Edited::of(&done));
        return Ok(Exit::Done);
    }
    let Done { letter, group, before, after, webhook_id } = done;
    let lines = |body: &[u8]| shown::lines(&shown::readable(body));
    output.diff(&lines(&before), &lines(&after));
    if group != letter.group {
        output.line(format!(
            "group: {} → {group}, by its route's template; --keep-group keeps the old one",
            letter.group
        ));
    }
    let had = letter.webhook_id();
    match webhook_id {
        WebhookId::Fits => {}
        WebhookId::Kept { .. } => output.line(format!(
            "webhook-id: {had} stays, although the key has changed: a target may take the event for one that it already has; \
            --new-webhook-id derives the id from the new key"
        )),
        WebhookId::New { now } => output.line(format!("webhook-id: {had} → {now}, by its route's keys")),
    }
    let id = &letter.death.id;
    output.line(format!("edited {id}; `towpath dlq redrive{refused} {}` sends it back", short(id)));
    Ok(Exit::Done)
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes).context("reading standard input")
    } else {
        regular::read(file, MAX_EVENT).with_context(|| format!("reading {}", file.display()))
    }
}

pub(super) async fn drop(args: DlqDrop, output: &Output) -> anyhow::Result<Exit> {
    let filter = Filter::new(args.filter.wanted(), args.ids.clone());
    if filter.is_everything() {
        bail!("no letters selected: give ids, or a filter such as --reason rejected");
    }
    let place = args.place.clone();
    let dropped = with_letters(&place, None, |found, letters| {
        Box::pin(edit::drop(found, letters, filter, Dropping { note: args.note, stop: Stop::default() }, |_| {}))
    });
    let Some((dropped, known)) = dropped.await? else { return Ok(interrupted(output)) };
    if output.is_json() {
        output.json(&json::Dropped::of(&dropped));
    } else if dropped.moved == 0 {
        output.line("dropped: 0");
    } else {
        output.line(format!(
            "dropped: {}; `towpath dlq audit --json` shows them, and audit.jsonl next to the store keeps them whole",
            dropped.moved
        ));
    }
    if !output.is_json() {
        for letter in &dropped.failed {
            output.line(format!("not dropped: {}: {}", letter.id, letter.problem));
        }
    }
    known?;
    if dropped.moved == 0 || !dropped.failed.is_empty() { Ok(Exit::Findings) } else { Ok(Exit::Done) }
}
