//! `dlq edit`, `dlq drop`: written down before they are done.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;
use towpath_core::clock::Clock;
use towpath_core::message::{Note, webhook};

use super::filter::Filter;
use super::{interrupted, one, short, with_letters};
use crate::args::{DlqDrop, DlqEdit};
use crate::audit::{self, Audit};
use crate::letters::{Letter, Letters};
use crate::output::{Exit, Output};
use crate::place::Found;

pub(super) async fn edit(args: DlqEdit, output: &Output) -> anyhow::Result<Exit> {
    if args.body.is_none() && args.set.is_empty() {
        bail!("what is to change? give --set /json/pointer=VALUE, or --body FILE");
    }
    let place = args.place.clone();
    let edited = with_letters(&place, None, |found, letters| Box::pin(edit_one(found, letters, args)));
    let Some((letter, before, after)) = edited.await? else { return Ok(interrupted(output)) };
    if output.is_json() {
        output.json(&serde_json::json!({ "id": letter.id, "group": letter.group, "before": before, "after": after }));
        return Ok(Exit::Done);
    }
    output.diff(&lines(&before), &lines(&after));
    output.line(format!("edited {}; `towpath dlq redrive {}` sends it back", letter.id, short(letter.id.as_str())));
    Ok(Exit::Done)
}

async fn edit_one(found: &Found, letters: &mut dyn Letters, args: DlqEdit) -> anyhow::Result<(Letter, String, String)> {
    let letter = one(letters, &args.id).await?;
    let webhook = webhook(&letter.body, &letter.attributes).context("the letter's body cannot be unpacked")?;
    let before = webhook.body;
    let mut after = match &args.body {
        Some(file) => read(file)?,
        None => before.clone(),
    };
    if !args.set.is_empty() {
        let mut json: Value =
            serde_json::from_slice(&after).context("the body is not JSON: --body replaces it whole")?;
        for text in &args.set {
            set(&mut json, text)?;
        }
        after = serde_json::to_vec(&json).context("writing the body")?;
    }
    if after == before {
        bail!("that changes nothing");
    }
    let note = Note { at: Clock::wall().now(), by: audit::by(), text: args.note.clone() };
    let (body, attributes) = letter.death.edited(&letter.stored(), after.clone(), note);
    Audit::of(found).write("edit", &args.note, &letter)?;
    letters.replace(&letter, body, attributes).await?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((letter, text(before), text(after)))
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match file == Path::new("-") {
        true => std::io::stdin().read_to_end(&mut bytes).map(|_| bytes).context("reading standard input"),
        false => std::fs::read(file).with_context(|| format!("reading {}", file.display())),
    }
}

/// `/customer/mail="a@b.c"`: the value is JSON, or else text.
fn set(json: &mut Value, text: &str) -> anyhow::Result<()> {
    let Some((pointer, value)) = text.split_once('=').filter(|(pointer, _)| pointer.starts_with('/')) else {
        bail!("{text:?} is no /json/pointer=VALUE");
    };
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    if let Some(place) = json.pointer_mut(pointer) {
        *place = value;
        return Ok(());
    }
    let (parent, key) = pointer.rsplit_once('/').unwrap_or_default();
    let key = key.replace("~1", "/").replace("~0", "~");
    match json.pointer_mut(parent) {
        Some(Value::Object(object)) => {
            object.insert(key, value);
            Ok(())
        }
        _ => bail!("there is no {parent:?} in the body to put {key:?} into"),
    }
}

/// JSON line by line, so that a change is seen.
fn lines(body: &str) -> String {
    let pretty = serde_json::from_str::<Value>(body).ok().and_then(|json| serde_json::to_string_pretty(&json).ok());
    pretty.unwrap_or_else(|| body.to_owned())
}

pub(super) async fn drop(args: DlqDrop, output: &Output) -> anyhow::Result<Exit> {
    let filter = Filter::new(args.filter.clone(), args.ids.clone());
    if filter.is_everything() {
        bail!("which letters? give ids, or a filter such as --reason rejected");
    }
    let place = args.place.clone();
    let dropped = with_letters(&place, None, |found, letters| Box::pin(drop_all(found, letters, filter, args.note)));
    let Some(dropped) = dropped.await? else { return Ok(interrupted(output)) };
    match output.is_json() {
        true => output.json(&serde_json::json!({ "dropped": dropped })),
        false => output.line(format!("dropped: {dropped}; `towpath dlq audit --json` still has them whole")),
    }
    if dropped == 0 { Ok(Exit::Findings) } else { Ok(Exit::Done) }
}

async fn drop_all(found: &Found, letters: &mut dyn Letters, filter: Filter, note: String) -> anyhow::Result<u64> {
    let (audit, mut dropped) = (Audit::of(found), 0);
    loop {
        let page = letters.next().await?;
        if page.is_empty() {
            return Ok(dropped);
        }
        for letter in page.into_iter().filter(|letter| filter.wants(letter)) {
            audit.write("drop", &note, &letter)?;
            letters.discard(&letter).await?;
            dropped += 1;
        }
    }
}
