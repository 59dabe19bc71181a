//! `tail`: what hosts do with each message, as it happens.

use std::io::BufRead as _;
use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::args::{StoryPlace, Tail};
use crate::compose::{STORY, load_config};
use crate::output::{Exit, Output};
use crate::story::{Entry, File, Filter};
use crate::{aws, signals};

/// How often a file is looked at, and CloudWatch, which is paid for by the request.
const LOOK: Duration = Duration::from_millis(200);
const LOOK_AT_CLOUDWATCH: Duration = Duration::from_secs(3);

/// How far back the last lines of CloudWatch are looked for.
const BEFORE: Duration = Duration::from_secs(600);

pub(super) async fn run(args: Tail, output: &Output) -> anyhow::Result<Exit> {
    let filter = Filter::new(args.filter.clone());
    let work = async {
        match (&args.place, args.place.file.as_deref()) {
            (place, _) if !place.log_group.is_empty() => cloudwatch(&args, &filter, output).await,
            (_, Some(file)) if file == Path::new("-") => standard_input(&filter, output).await,
            (place, _) => file(&path(place).await?, &args, &filter, output).await,
        }
    };
    tokio::select! {
        result = signals::first() => result?,
        result = work => result?,
    }
    Ok(Exit::Done)
}

/// The file with the story that is meant.
pub(super) async fn path(place: &StoryPlace) -> anyhow::Result<std::path::PathBuf> {
    if let Some(file) = &place.file {
        return Ok(file.clone());
    }
    let store = match &place.store {
        Some(store) => store.clone(),
        None => load_config(&place.config, &towpath_core::config::Secrets::placeholders()).await?.queue.store,
    };
    Ok(store.join(STORY))
}

async fn file(path: &Path, args: &Tail, filter: &Filter, output: &Output) -> anyhow::Result<()> {
    let mut file = File::open(path)?;
    last(file.whole()?, args.lines, filter, output);
    if args.no_follow {
        return Ok(());
    }
    if !path.exists() {
        output.note(format!("{} is not there yet: it comes with the first message", path.display()));
    }
    loop {
        file.lines()?.iter().filter_map(|line| Entry::read(line)).for_each(|entry| show(&entry, filter, output));
        sleep(LOOK).await;
    }
}

async fn standard_input(filter: &Filter, output: &Output) -> anyhow::Result<()> {
    let (sender, mut lines) = mpsc::channel(64);
    // A thread of its own: reading standard input cannot be broken off.
    std::thread::spawn(move || {
        let sent = |line: String| sender.blocking_send(line).is_ok();
        std::io::stdin().lock().lines().map_while(Result::ok).all(sent)
    });
    while let Some(line) = lines.recv().await {
        if let Some(entry) = Entry::read(&line) {
            show(&entry, filter, output);
        }
    }
    Ok(())
}

async fn cloudwatch(args: &Tail, filter: &Filter, output: &Output) -> anyhow::Result<()> {
    let mut logs = aws::Logs::of(args.place.log_group.clone(), BEFORE).await?;
    let lines = logs.of_hosts().await?;
    let entries = lines.into_iter().filter(|entry| filter.wants(entry)).collect::<Vec<_>>();
    let from = entries.len().saturating_sub(args.lines);
    entries.iter().skip(from).for_each(|entry| show(entry, filter, output));
    if args.no_follow {
        return Ok(());
    }
    loop {
        sleep(LOOK_AT_CLOUDWATCH).await;
        logs.of_hosts().await?.iter().for_each(|entry| show(entry, filter, output));
    }
}

fn last(lines: Vec<String>, count: usize, filter: &Filter, output: &Output) {
    let mut entries: Vec<Entry> = Vec::new();
    for line in lines.iter().rev() {
        if entries.len() == count {
            break;
        }
        entries.extend(Entry::read(line).filter(|entry| filter.wants(entry)));
    }
    entries.iter().rev().for_each(|entry| show(entry, filter, output));
}

fn show(entry: &Entry, filter: &Filter, output: &Output) {
    if !filter.wants(entry) {
        return;
    }
    if output.is_json() {
        return output.line(entry.json());
    }
    let id = entry.field("message_id");
    let (id, group) = (id.get(..8).unwrap_or(id), entry.field("group"));
    output.line(format!("{}  {}  {id}  {group}  {}", entry.time(), entry.painted(), entry.detail()));
}
