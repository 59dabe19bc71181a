//! `dlq`: what died, and why. Looking changes nothing: no receive is counted.

use anyhow::bail;
use serde_json::{Value, json};
use towpath_core::dead_letter::{DEAD_LETTER_ATTRIBUTE, DeadLetter};
use towpath_core::envelope;
use towpath_local::{Browsed, LocalQueue};

use crate::args::Dlq;
use crate::compose::Queues;
use crate::output::{Exit, Output};

/// How many letters are read at a time.
const PAGE: usize = 500;

pub(super) async fn run(args: Dlq, output: &Output) -> anyhow::Result<Exit> {
    match args {
        Dlq::List { store, reason, limit } => {
            let queue = Queues::existing(&store).await?.dead_letters;
            let wanted = |letter: &DeadLetter| reason.as_ref().is_none_or(|reason| *reason == letter.reason);
            let letters = letters(&queue, limit, |_, letter| wanted(letter)).await?;
            list(&letters, output);
            Ok(Exit::Done)
        }
        Dlq::Show { id, store } => {
            let queue = Queues::existing(&store).await?.dead_letters;
            let named = |message: &Browsed, letter: &DeadLetter| {
                message.id.as_str().starts_with(&id) || letter.id.starts_with(&id)
            };
            let letters = letters(&queue, 2, named).await?;
            match letters.as_slice() {
                [] => bail!("there is no dead letter {id}: `towpath dlq list` shows those that are there"),
                [(message, letter)] => show(message, letter, output),
                _ => bail!("more than one dead letter's id begins with {id}: give more of it"),
            }
            Ok(Exit::Done)
        }
    }
}

async fn letters(
    queue: &LocalQueue,
    limit: usize,
    wanted: impl Fn(&Browsed, &DeadLetter) -> bool,
) -> anyhow::Result<Vec<(Browsed, DeadLetter)>> {
    let mut found = Vec::new();
    let mut after: Option<String> = None;
    while found.len() < limit {
        let page = queue.browse(after.as_deref(), PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.sequence.clone());
        let read = page.into_iter().map(|message| {
            let letter = DeadLetter::read(&message.attributes).unwrap_or_else(|| moved_by_the_queue(&message));
            (message, letter)
        });
        found.extend(read.filter(|(message, letter)| wanted(message, letter)));
    }
    found.truncate(limit);
    Ok(found)
}

/// A message that the queue itself moved, after too many receives, brings no letter.
fn moved_by_the_queue(message: &Browsed) -> DeadLetter {
    DeadLetter {
        reason: "max-receives".to_owned(),
        detail: format!("received {} times", message.receive_count),
        id: message.id.0.clone(),
        source: message.source.clone().unwrap_or_default(),
        sent_at: message.sent_at,
        failed_at: message.sent_at,
        ..DeadLetter::default()
    }
}

fn list(letters: &[(Browsed, DeadLetter)], output: &Output) {
    if output.is_json() {
        let rows = letters
            .iter()
            .map(|(message, letter)| json!({ "id": message.id, "group": message.group, "letter": letter }));
        output.json(&rows.collect::<Vec<Value>>());
        return;
    }
    if letters.is_empty() {
        output.line("no dead letters");
        return;
    }
    let rows = letters.iter().map(|(message, letter)| {
        let id = message.id.as_str().get(..8).unwrap_or(message.id.as_str()).to_owned();
        let detail: String = letter.detail.chars().take(80).collect();
        vec![id, letter.failed_at.to_string(), letter.reason.clone(), message.group.to_string(), detail]
    });
    output.table(&["ID", "FAILED AT", "REASON", "GROUP", "DETAIL"], &rows.collect::<Vec<_>>());
}

fn show(message: &Browsed, letter: &DeadLetter, output: &Output) {
    let webhook = envelope::decode(&message.body).unwrap_or_default();
    let headers: Vec<(String, String)> = webhook
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned()))
        .collect();
    let body = String::from_utf8_lossy(&webhook.body).into_owned();
    if output.is_json() {
        let attributes: Vec<&String> =
            message.attributes.keys().filter(|name| *name != DEAD_LETTER_ATTRIBUTE).collect();
        output.json(&json!({
            "id": message.id, "group": message.group, "letter": letter,
            "headers": headers, "body": body, "attributes": attributes,
        }));
        return;
    }
    let line = |name: &str, value: &str| output.line(format!("{name:<10}{value}"));
    line("id", message.id.as_str());
    line("original", &letter.id);
    line("group", message.group.as_str());
    line("reason", &letter.reason);
    line("detail", &letter.detail);
    line("route", letter.route.as_deref().unwrap_or("-"));
    let digest = letter.digest.as_deref().and_then(|digest| digest.get(..12)).unwrap_or("-");
    line("plugin", &format!("{} ({digest})", letter.plugin.as_deref().unwrap_or("-")));
    line("sent at", &letter.sent_at.to_string());
    line("failed at", &letter.failed_at.to_string());
    for attempt in &letter.attempts {
        line("attempt", &format!("{attempt} ({} ms)", attempt.millis));
    }
    if !letter.excerpt.is_empty() {
        line("answer", &letter.excerpt);
    }
    for function in &letter.trace {
        line("at", function);
    }
    if !letter.stderr.is_empty() {
        output.line(format!("stderr\n{}", letter.stderr.trim_end()));
    }
    output.line("");
    for (name, value) in headers {
        output.line(format!("{name}: {value}"));
    }
    output.line(format!("\n{body}"));
}
