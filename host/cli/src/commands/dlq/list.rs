//! `dlq list` and `dlq show`.

use std::sync::Arc;

use anyhow::Context as _;
use towpath_operate::dlq::filter::Filter;
use towpath_operate::dlq::list::{self, Listed};
use towpath_operate::dlq::one;
use towpath_operate::json;
use towpath_operate::letters::Letter;
use towpath_operate::secret_headers::SecretHeaders;
use towpath_operate::shown;
use towpath_types::dead_letter::carried_notes;
use towpath_types::message::webhook;

use super::{interrupted, short, with_letters};
use crate::args::{DlqList, LetterPlace};
use crate::output::{Exit, Output};

pub(super) async fn list(args: DlqList, output: &Output) -> anyhow::Result<Exit> {
    let filter = Filter::new(args.filter.wanted(), Vec::new());
    let limit = args.limit;
    let listed = with_letters(&args.place, None, |found, letters| Box::pin(list::list(found, letters, filter, limit)));
    let Some(Listed { letters, looked_at, all }) = listed.await? else { return Ok(interrupted(output)) };
    if output.is_json() {
        output.json(&letters.iter().map(json::Listed::of).collect::<Vec<_>>());
    } else if letters.is_empty() {
        output.line("no dead letters");
    } else {
        let row = |letter: &Letter| {
            let detail: String = letter.death.detail.chars().take(80).collect();
            let id = short(&letter.death.id);
            let at = letter.death.failed_at.to_string();
            vec![id, at, letter.death.reason.clone(), letter.group.to_string(), detail]
        };
        let rows: Vec<Vec<String>> = letters.iter().map(row).collect();
        output.table(&["ID", "FAILED AT", "REASON", "GROUP", "DETAIL"], &rows);
    }
    if letters.len() == limit {
        output.note(format!("the first {limit}: --limit shows more"));
    } else if looked_at < all {
        output.note(format!(
            "read {looked_at} of about {all} letters: SQS delivers at most ten of a group, the next ones once these are gone"
        ));
    }
    Ok(Exit::Done)
}

pub(super) async fn show(id: &str, body: bool, place: &LetterPlace, output: &Output) -> anyhow::Result<Exit> {
    let id = id.to_owned();
    let found = with_letters(place, None, |found, letters| {
        Box::pin(async move { Ok((one(letters, &id).await?, SecretHeaders::of(found.config.as_deref()))) })
    });
    let Some((letter, secrets)) = found.await? else { return Ok(interrupted(output)) };
    let secrets = secrets.and(letter.death.secret_header.as_deref());
    if body {
        let webhook = webhook(&letter.body, &letter.attributes).context("the letter's body cannot be unpacked")?;
        output.bytes(&secrets.hidden(Arc::unwrap_or_clone(webhook)).body);
    } else {
        print(&letter, &secrets, output)
    }
    Ok(Exit::Done)
}

fn print(letter: &Letter, secrets: &SecretHeaders, output: &Output) {
    if output.is_json() {
        output.json(&json::Whole::of(letter, secrets, shown::readable));
        return;
    }
    let webhook = webhook(&letter.body, &letter.attributes).unwrap_or_default();
    let webhook = secrets.hidden(Arc::unwrap_or_clone(webhook));
    let death = &letter.death;
    let line = |name: &str, value: &str| output.line(format!("{name:<12}{value}"));
    line("id", &death.id);
    line("letter", letter.id.as_str());
    line("webhook-id", letter.webhook_id().as_str());
    line("group", letter.group.as_str());
    line("reason", &death.reason);
    line("detail", &death.detail);
    line("route", death.route.as_deref().unwrap_or("-"));
    let digest = death.digest.as_deref().and_then(|digest| digest.get(..12)).unwrap_or("-");
    // A route that forwards has none.
    line("plugin", &death.plugin.as_ref().map_or("-".to_owned(), |plugin| format!("{plugin} ({digest})")));
    line("sent at", &death.sent_at.to_string());
    line("failed at", &death.failed_at.to_string());
    for note in carried_notes(&letter.attributes) {
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
    if !webhook.is_plain() {
        output.line(shown::readable(webhook.request_line().as_bytes()));
    }
    for (name, value) in &webhook.headers {
        output.line(format!("{name}: {}", shown::readable(value)));
    }
    output.line("");
    output.body("  ", &shown::readable(&webhook.body));
}
