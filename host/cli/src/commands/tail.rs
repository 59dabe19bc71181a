//! `tail`: follows what hosts do with each message.

use std::io::BufRead as _;
use std::path::Path;

use console::Style;
use tokio::sync::mpsc;
use towpath_compose::signals;
use towpath_operate::json;
use towpath_operate::story::{Entry, Filter, Source};
use towpath_operate::tail::{self, Told};

use crate::args::Tail;
use crate::output::{Exit, Output, Span, plain};

pub(super) async fn run(args: Tail, output: &Output) -> anyhow::Result<Exit> {
    let filter = args.filter.wanted();
    let tail = tail::Tail { filter: filter.clone(), lines: args.lines, no_follow: args.no_follow };
    let tell = |told: Told<'_>| {
        match told {
            Told::Line(entry) => show(entry, output),
            Told::NotYet(file) => {
                output.note(format!("{} does not exist yet: the first message creates it", file.display()));
            }
            Told::Nothing => {}
        }
        !output.is_closed()
    };
    let work = async {
        match (&args.place, args.place.file.as_deref()) {
            (place, _) if !place.log_group.is_empty() => tail.cloudwatch(place.log_group.clone(), tell).await,
            (_, Some(file)) if file == Path::new("-") => standard_input(&filter, output).await,
            (place, file) => tail.file(&Source::of(&place.wanted()).await?, file.is_some(), tell).await,
        }
    };
    tokio::select! {
        result = signals::first() => result?,
        result = work => result?,
    }
    Ok(Exit::Done)
}

async fn standard_input(filter: &Filter, output: &Output) -> anyhow::Result<()> {
    let (sender, mut lines) = mpsc::channel(64);
    // A thread of its own: a read of standard input cannot be cancelled.
    std::thread::spawn(move || {
        let sent = |line: String| sender.blocking_send(line).is_ok();
        std::io::stdin().lock().lines().map_while(Result::ok).all(sent)
    });
    while let Some(line) = lines.recv().await {
        if let Some(entry) = Entry::read(&line).filter(|entry| filter.wants(entry)) {
            show(&entry, output);
        }
        if output.is_closed() {
            break;
        }
    }
    Ok(())
}

fn show(entry: &Entry, output: &Output) {
    if output.is_json() {
        return output.json_line(&json::line(entry));
    }
    let id = entry.field("message_id");
    let id = id.get(..8).unwrap_or(id);
    let group = entry.field("group");
    let rest = format!("  {id}  {group}  {}", entry.detail());
    output.spans([plain(format!("{}  ", entry.time())), painted(entry), plain(rest)]);
}

/// The event, in a column and a colour of its own.
pub(super) fn painted(entry: &Entry) -> Span {
    let colour = if entry.is_failure() { Style::new().yellow() } else { Style::new().green() };
    (colour, format!("{:<11}", entry.what()))
}
