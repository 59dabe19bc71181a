//! `dlq list`, `dlq show`.

use anyhow::Context as _;
use serde_json::{Value, json};
use towpath_operate::letters::{Letter, Letters};
use towpath_operate::place::Found;
use towpath_operate::secret_headers::SecretHeaders;
use towpath_types::dead_letter::{DEAD_LETTER_ATTRIBUTE, carried_notes};
use towpath_types::message::webhook;

use super::filter::Filter;
use super::{interrupted, one, short, shown, with_letters};
use crate::args::{DlqList, LetterPlace};
use crate::output::{Exit, Output};

pub(super) async fn list(args: DlqList, output: &Output) -> anyhow::Result<Exit> {
    let filter = Filter::new(args.filter, Vec::new());
    let limit = args.limit;
    let listed = with_letters(&args.place, None, |found, letters| Box::pin(collect(found, letters, filter, limit)));
    let Some((letters, looked_at, all)) = listed.await? else { return Ok(interrupted(output)) };
    if output.is_json() {
        let row = |letter: &Letter| json!({ "id": letter.first_id(), "letter_id": letter.id, "group": letter.group, "letter": letter.death });
        output.json(&letters.iter().map(row).collect::<Vec<Value>>());
    } else if letters.is_empty() {
        output.line("no dead letters");
    } else {
        let row = |letter: &Letter| {
            let detail: String = letter.death.detail.chars().take(80).collect();
            let (id, at) = (short(&letter.death.id), letter.death.failed_at.to_string());
            vec![id, at, letter.death.reason.clone(), letter.group.to_string(), detail]
        };
        let rows: Vec<Vec<String>> = letters.iter().map(row).collect();
        output.table(&["ID", "FAILED AT", "REASON", "GROUP", "DETAIL"], &rows);
    }
    if letters.len() == limit {
        output.note(format!("the first {limit}: --limit shows more"));
    } else if looked_at < all {
        output.note(format!(
            "looked at {looked_at} of about {all}: of each group SQS hands out ten letters at most, the others come when these are gone"
        ));
    }
    Ok(Exit::Done)
}

/// The letters that are wanted, how many were looked at, and about how many there are.
async fn collect(
    place: &Found,
    letters: &mut dyn Letters,
    mut filter: Filter,
    limit: usize,
) -> anyhow::Result<(Vec<Letter>, u64, u64)> {
    let (mut found, mut looked_at) = (Vec::new(), 0);
    let all = letters.count().await?;
    while found.len() < limit {
        let page = letters.next().await?;
        if page.is_empty() {
            break;
        }
        looked_at += page.len() as u64;
        found.extend(page.into_iter().filter(|letter| filter.wants(letter)));
    }
    found.truncate(limit);
    if found.is_empty() {
        filter.check(place)?;
    }
    Ok((found, looked_at, all))
}

pub(super) async fn show(id: &str, body: bool, place: &LetterPlace, output: &Output) -> anyhow::Result<Exit> {
    let id = id.to_owned();
    let found = with_letters(place, None, |found, letters| {
        Box::pin(async move { Ok((one(letters, &id).await?, SecretHeaders::of(found.config.as_ref()))) })
    });
    let Some((letter, secrets)) = found.await? else { return Ok(interrupted(output)) };
    let secrets = secrets.and(letter.death.secret_header.as_deref());
    match body {
        true => {
            let webhook = webhook(&letter.body, &letter.attributes).context("the letter's body cannot be unpacked")?;
            output.bytes(&webhook.body);
        }
        false => print(&letter, &secrets, output),
    }
    Ok(Exit::Done)
}

fn print(letter: &Letter, secrets: &SecretHeaders, output: &Output) {
    let webhook = secrets.hidden(webhook(&letter.body, &letter.attributes).unwrap_or_default());
    let shown = |(name, value): &(String, Vec<u8>)| (name.clone(), shown::readable(value));
    let headers: Vec<(String, String)> = webhook.headers.iter().map(shown).collect();
    let (death, notes) = (&letter.death, carried_notes(&letter.attributes));
    if output.is_json() {
        let names = letter.attributes.keys().filter(|name| *name != DEAD_LETTER_ATTRIBUTE);
        let mut all = json!({
            "id": letter.first_id(), "letter_id": letter.id, "webhook_id": letter.webhook_id(), "group": letter.group,
            "letter": death, "notes": notes, "headers": headers, "attributes": names.collect::<Vec<_>>(),
        });
        if let Some(all) = all.as_object_mut() {
            all.extend(shown::field("body", &webhook.body));
        }
        output.json(&all);
        return;
    }
    let line = |name: &str, value: &str| output.line(format!("{name:<12}{value}"));
    line("id", &death.id);
    line("letter", letter.id.as_str());
    line("webhook-id", letter.webhook_id().as_str());
    line("group", letter.group.as_str());
    line("reason", &death.reason);
    line("detail", &death.detail);
    line("route", death.route.as_deref().unwrap_or("-"));
    let digest = death.digest.as_deref().and_then(|digest| digest.get(..12)).unwrap_or("-");
    line("plugin", &format!("{} ({digest})", death.plugin.as_deref().unwrap_or("-")));
    line("sent at", &death.sent_at.to_string());
    line("failed at", &death.failed_at.to_string());
    for note in &notes {
        line("edited", &format!("{} by {}: {}", note.at, note.by, note.text));
    }
    for attempt in &death.attempts {
        line("attempt", &format!("{attempt} ({} ms)", attempt.millis));
    }
    if !death.excerpt.is_empty() {
        line("answer", &death.excerpt);
    }
    if !death.cut.is_empty() {
        line("cut away", &format!("{}, so that the letter fits into its queue", death.cut.join(", ")));
    }
    for function in &death.trace {
        line("at", function);
    }
    if !death.stderr.is_empty() {
        output.line("stderr");
        output.block("  ", death.stderr.trim_end());
    }
    output.line("");
    for (name, value) in headers {
        output.line(format!("{name}: {value}"));
    }
    output.line("");
    output.body("  ", &shown::readable(&webhook.body));
}
