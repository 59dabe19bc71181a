//! `dlq edit`, `dlq drop`: written down before they are done.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;
use towpath_core::clock::Clock;
use towpath_core::envelope::Webhook;
use towpath_core::message::{Note, webhook};
use towpath_core::queue::GroupId;

use super::filter::Filter;
use super::{interrupted, one, short, shown, with_letters};
use crate::args::{DlqDrop, DlqEdit};
use crate::audit::{self, Audit};
use crate::letters::{Edited, Letter, Letters};
use crate::output::{Exit, Output};
use crate::place::Found;

/// What an edit did.
struct Done {
    letter: Letter,
    group: GroupId,
    before: Vec<u8>,
    after: Vec<u8>,
}

pub(super) async fn edit(args: DlqEdit, output: &Output) -> anyhow::Result<Exit> {
    if args.body.is_none() && args.set.is_empty() {
        bail!("what is to change? give --set /json/pointer=VALUE, or --body FILE");
    }
    let place = args.place.clone();
    let edited = with_letters(&place, None, |found, letters| Box::pin(edit_one(found, letters, args)));
    let Some(Done { letter, group, before, after }) = edited.await? else { return Ok(interrupted(output)) };
    let moved = group != letter.group;
    if output.is_json() {
        let mut done = serde_json::json!({ "id": letter.first_id(), "group": group });
        if let Some(done) = done.as_object_mut() {
            done.extend(shown::field("before", &before));
            done.extend(shown::field("after", &after));
            done.extend(moved.then(|| ("group_before".to_owned(), Value::from(letter.group.as_str()))));
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
    let id = &letter.death.id;
    output.line(format!("edited {id}; `towpath dlq redrive {}` sends it back", short(id)));
    Ok(Exit::Done)
}

async fn edit_one(found: &Found, letters: &mut dyn Letters, args: DlqEdit) -> anyhow::Result<Done> {
    let letter = one(letters, &args.id).await?;
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
    let group = match args.keep_group {
        true => letter.group.clone(),
        false => regrouped(found, &letter, &before, &after)?,
    };
    let note = Note { at: Clock::wall().now(), by: audit::by(), text: args.note.clone() };
    let (body, attributes) = letter.death.edited(&letter.stored(), after.body.clone(), note);
    Audit::of(found).write("edit", &args.note, &letter)?;
    letters.replace(&letter, Edited { group: group.clone(), body, attributes }).await?;
    Ok(Done { letter, group, before: before.body, after: after.body })
}

/// The group of an edited event: another one if it is of another key now, or the order of that key would not be kept.
fn regrouped(found: &Found, letter: &Letter, before: &Webhook, after: &Webhook) -> anyhow::Result<GroupId> {
    let Some(config) = &found.config else {
        bail!(
            "which group the edited event belongs to is in the template of its route: give --config FILE, or --keep-group"
        );
    };
    let route = match &letter.death.route {
        Some(path) => Some(config.routes.by_path(path).with_context(|| {
            let file = config.file.display();
            format!(
                "its route {path:?} is not in {file}, so its group is not known: give --keep-group, or another --config"
            )
        })?),
        // It died before its route was known, or has none.
        None => config.routes.by_group(&letter.group),
    };
    let Some(route) = route else { return Ok(letter.group.clone()) };
    let group = route.keys(after).group;
    match group == route.keys(before).group {
        true => Ok(letter.group.clone()),
        false => Ok(group),
    }
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match file == Path::new("-") {
        true => std::io::stdin().read_to_end(&mut bytes).map(|_| bytes).context("reading standard input"),
        false => std::fs::read(file).with_context(|| format!("reading {}", file.display())),
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
        false => output.line(format!("dropped: {dropped}; `towpath dlq audit --json` still has them whole")),
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
