//! `dlq`: shows dead letters and what to do about them. Reading changes nothing, but on SQS it counts as a receive.

mod diff;
mod edit;
mod list;
mod redrive;
mod stats;

use futures_util::future::BoxFuture;
use towpath_operate::audit::{self, Audit};
use towpath_operate::json;
use towpath_operate::letters::{self, Letters};
use towpath_operate::place::Found;
use towpath_operate::secret_headers::SecretHeaders;

use crate::args::{Dlq, LetterPlace, QueuePlace};
use crate::output::{Exit, Output};

pub(super) async fn run(args: Dlq, output: &Output) -> anyhow::Result<Exit> {
    match args {
        Dlq::List(args) => list::list(args, output).await,
        Dlq::Show { id, body, place } => list::show(&id, body, &place, output).await,
        Dlq::Stats { place } => stats::run(&place, output).await,
        Dlq::Redrive(args) => redrive::run(args, output).await,
        Dlq::Diff(args) => diff::run(args, output).await,
        Dlq::Edit(args) => edit::edit(args, output).await,
        Dlq::Drop(args) => edit::drop(args, output).await,
        Dlq::Audit { place } => history(&place, output).await,
    }
}

/// Opens the letters of a place, does the work, and releases the letters however the work ended, also on Ctrl-C.
pub(super) async fn with_letters<T>(
    place: &LetterPlace,
    to: Option<&str>,
    work: impl for<'a> FnOnce(&'a Found, &'a mut dyn Letters) -> BoxFuture<'a, anyhow::Result<T>>,
) -> anyhow::Result<Option<T>> {
    let found = Found::find(&place.place.wanted()).await?;
    let mut letters = letters::open(&found.backend, to, place.refused).await?;
    let result = tokio::select! {
        result = work(&found, &mut *letters) => result.map(Some),
        signal = towpath_compose::signals::first() => signal.map(|()| None).map_err(Into::into),
    };
    letters.release().await;
    result
}

/// Reports an interruption.
fn interrupted(output: &Output) -> Exit {
    output.note("interrupted");
    Exit::Interrupted
}

async fn history(place: &QueuePlace, output: &Output) -> anyhow::Result<Exit> {
    let found = Found::find(&place.wanted()).await?;
    let entries = Audit::of(&found).read()?;
    if output.is_json() {
        let secrets = SecretHeaders::of(found.config.as_deref());
        let entries: Vec<audit::AuditEntry> = entries.into_iter().map(|entry| entry.hidden(&secrets)).collect();
        output.json(&entries.iter().map(json::Action::of).collect::<Vec<_>>());
        return Ok(Exit::Done);
    }
    if entries.is_empty() {
        output.line("no letter was redriven, edited or dropped here");
        return Ok(Exit::Done);
    }
    let row = |entry: &audit::AuditEntry| {
        vec![
            entry.at.to_string(),
            entry.by.clone(),
            entry.action.clone(),
            short(&entry.letter.id),
            entry.group.to_string(),
            entry.letter.reason.clone(),
            entry.note.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    output.table(&["AT", "BY", "ACTION", "ID", "GROUP", "REASON", "NOTE"], &rows);
    Ok(Exit::Done)
}

/// The beginning of an id, long enough to name it.
pub(super) fn short(id: &str) -> String {
    id.get(..8).unwrap_or(id).to_owned()
}
