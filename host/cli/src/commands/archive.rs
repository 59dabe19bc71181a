//! `archive`: finds events that were delivered or skipped. Changes nothing.

use std::sync::Arc;

use anyhow::Context as _;
use bytesize::ByteSize;
use towpath_archive::{Limit, Stats};
use towpath_operate::archive::{self, FoundArchive, Listed};
use towpath_operate::json;
use towpath_operate::moment::Moment;
use towpath_operate::secret_headers::SecretHeaders;
use towpath_operate::shown::readable;
use towpath_types::archive::{Archived, Ending};
use towpath_types::clock::Clock;
use towpath_types::message::webhook;

use super::dlq::short;
use crate::args::{Archive, ArchiveList, ArchivePlace};
use crate::output::{Exit, Output};
use crate::reading::Reading;

pub(super) async fn run(args: Archive, output: &Output) -> anyhow::Result<Exit> {
    match args {
        Archive::List(args) => list(&args, output).await,
        Archive::Show { id, since, body, place } => show(&id, since, body, &place, output).await,
        Archive::Stats { place } => stats(&place, output).await,
    }
}

async fn list(args: &ArchiveList, output: &Output) -> anyhow::Result<Exit> {
    let found = FoundArchive::find(&args.place.wanted()).await?;
    let filter = args.filter.wanted(Limit::Last(args.limit));
    let reading = Reading::narrowed(output, filter.since.is_some());
    let Listed { events, damaged } = archive::list(&found, &filter, &|files| reading.show(files)).await?;
    drop(reading);
    if output.is_json() {
        output.json(&events.iter().map(json::Archived::of).collect::<Vec<_>>());
    } else if events.is_empty() {
        output.line("no events");
    } else {
        let row = |event: &Archived| {
            let id = short(event.id.as_str());
            let (sent, ended) = (event.sent_at.to_string(), event.ended_at.to_string());
            vec![id, sent, ended, outcome(event), event.group.to_string(), event.route.clone()]
        };
        let rows: Vec<Vec<String>> = events.iter().map(row).collect();
        output.table(&["ID", "SENT AT", "ENDED AT", "OUTCOME", "GROUP", "ROUTE"], &rows);
    }
    if events.len() == args.limit {
        output.note(format!("the last {}: --limit shows more", args.limit));
    }
    if damaged > 0 {
        output.note(skipped(damaged));
    }
    Ok(Exit::Done)
}

/// What a command says of a damaged archive.
pub(super) fn skipped(damaged: u64) -> String {
    format!("{damaged} damaged records, frames or lines of the archive were skipped")
}

fn outcome(event: &Archived) -> String {
    match (event.ending, &event.reason) {
        (Ending::Delivered, _) => "delivered".to_owned(),
        (Ending::Skipped, None) => "skipped".to_owned(),
        (Ending::Skipped, Some(reason)) => format!("skipped: {}", reason.code),
    }
}

async fn show(
    id: &str,
    since: Option<Moment>,
    body: bool,
    place: &ArchivePlace,
    output: &Output,
) -> anyhow::Result<Exit> {
    let found = FoundArchive::find(&place.wanted()).await?;
    let since = since.map(|moment| moment.at(Clock::wall().now()));
    let reading = Reading::narrowed(output, since.is_some());
    let event = archive::one(&found, id, since, &|files| reading.show(files)).await?;
    drop(reading);
    let secrets = found.secrets(&event);
    if body {
        let webhook = webhook(&event.body, &event.attributes).context("the event's body cannot be unpacked")?;
        output.bytes(&secrets.hidden(Arc::unwrap_or_clone(webhook)).body);
    } else if output.is_json() {
        output.json(&json::ArchivedWhole::of(&event, &secrets, readable));
    } else {
        print(&event, &secrets, output);
    }
    Ok(Exit::Done)
}

fn print(event: &Archived, secrets: &SecretHeaders, output: &Output) {
    let line = |name: &str, value: &str| output.line(format!("{name:<12}{value}"));
    line("id", event.id.as_str());
    line("webhook-id", event.webhook_id.as_str());
    line("group", event.group.as_str());
    line("sequence", event.sequence.as_deref().unwrap_or("-"));
    line("outcome", &outcome(event));
    if let Some(reason) = &event.reason {
        line("reason", &reason.message);
    }
    line("route", if event.route.is_empty() { "-" } else { &event.route });
    let digest = event.digest.as_deref().and_then(|digest| digest.get(..12)).unwrap_or("-");
    // A route that forwards has none.
    line("plugin", &event.plugin.as_ref().map_or("-".to_owned(), |plugin| format!("{plugin} ({digest})")));
    line("sent at", &event.sent_at.to_string());
    line("ended at", &event.ended_at.to_string());
    for attempt in &event.attempts {
        line("attempt", &format!("{attempt} ({} ms)", attempt.millis));
    }
    if event.redacted {
        line("redacted", "as archive.redact says; the body is not what was received");
    }
    let webhook = webhook(&event.body, &event.attributes).unwrap_or_default();
    let webhook = secrets.hidden(Arc::unwrap_or_clone(webhook));
    output.line("");
    if !webhook.is_plain() {
        output.line(readable(webhook.request_line().as_bytes()));
    }
    for (name, value) in &webhook.headers {
        output.line(format!("{name}: {}", readable(value)));
    }
    output.line("");
    output.body("  ", &readable(&webhook.body));
}

async fn stats(place: &ArchivePlace, output: &Output) -> anyhow::Result<Exit> {
    let found = FoundArchive::find(&place.wanted()).await?;
    let reading = Reading::of(output);
    let stats = archive::stats(&found, &|files| reading.show(files)).await?;
    drop(reading);
    if output.is_json() {
        output.json(&json::InArchive::of(&stats));
        return Ok(Exit::Done);
    }
    output.line(format!("archive {}", found.archive));
    let [oldest, newest] = stats.ended.map_or(["-".to_owned(), "-".to_owned()], |ended| ended.map(|at| at.to_string()));
    let dropped = stats.dropped.map_or("-".to_owned(), |dropped| dropped.to_string());
    let header = ["EVENTS", "SIZE", "OLDEST", "NEWEST", "DROPPED", "DAMAGED"];
    let row = [stats.events.to_string(), size(&stats), oldest, newest, dropped, stats.damaged.to_string()];
    output.table(&header, &[row.to_vec()]);
    Ok(Exit::Done)
}

/// The size of an archive, as it is stored.
pub(super) fn size(stats: &Stats) -> String {
    ByteSize::b(stats.bytes).to_string()
}
