//! `tail`: what hosts do with each message, as it happens.

use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use console::Style;
use tokio::sync::mpsc;
use tokio::time::sleep;
use towpath_compose::signals;
use towpath_config::{Config, Secrets};
use towpath_files::private;
use towpath_operate::aws;
use towpath_operate::config;
use towpath_operate::queues::STORY;
use towpath_operate::story::{Entry, File, Filter};

use crate::args::{StoryPlace, Tail};
use crate::output::{Exit, Output, Span, plain};

/// How often a file is looked at, and CloudWatch, which is paid for by the request.
const LOOK: Duration = Duration::from_millis(200);
const LOOK_AT_CLOUDWATCH: Duration = Duration::from_secs(3);

/// How far back the last lines of CloudWatch are looked for.
const BEFORE: Duration = Duration::from_secs(600);

pub(super) async fn run(args: Tail, output: &Output) -> anyhow::Result<Exit> {
    let filter = args.filter.wanted();
    let work = async {
        match (&args.place, args.place.file.as_deref()) {
            (place, _) if !place.log_group.is_empty() => cloudwatch(&args, &filter, output).await,
            (_, Some(file)) if file == Path::new("-") => standard_input(&filter, output).await,
            (place, _) => file(&Source::of(place).await?, &args, &filter, output).await,
        }
    };
    tokio::select! {
        result = signals::first() => result?,
        result = work => result?,
    }
    Ok(Exit::Done)
}

/// A file with a story, and the config of the hosts that write it, if it is known.
pub(super) struct Source {
    pub(super) file: PathBuf,
    pub(super) config: Option<Config>,
}

impl Source {
    /// The one that is meant. A place that was named must be there; the config's store may come later.
    pub(super) async fn of(place: &StoryPlace) -> anyhow::Result<Source> {
        let config = config::load(&place.config.file(), &Secrets::placeholders()).await;
        let config_was_named = place.config.config.is_some();
        match (&place.file, &place.store) {
            (Some(file), _) => {
                let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
                if folder.is_some_and(|folder| !folder.is_dir()) {
                    bail!("there is no {}: --file is what `towpath poll --story` keeps", file.display());
                }
                // The config of this folder need not be that of the host that wrote it.
                let config = if config_was_named { Some(config?) } else { None };
                Ok(Source { file: file.clone(), config })
            }
            (None, Some(store)) => {
                let file = store.join(STORY);
                private::refuse_link(&file)?;
                if !file.exists() && !store.join("towpath.db").is_file() {
                    bail!("there is no store in {}: has `towpath serve` run there?", store.display());
                }
                let config = if config_was_named { Some(config?) } else { config.ok() };
                Ok(Source { file, config })
            }
            (None, None) => {
                let config = config.context("finding the story: give --store DIR, --file FILE or --config FILE")?;
                let file = config.queue.store.join(STORY);
                private::refuse_link(&file)?;
                Ok(Source { file, config: Some(config) })
            }
        }
    }
}

async fn file(source: &Source, args: &Tail, filter: &Filter, output: &Output) -> anyhow::Result<()> {
    let path = &source.file;
    let mut file = File::open(path)?;
    let is_there = path.exists();
    if args.no_follow && !is_there && args.place.file.is_some() {
        bail!("there is no {}", path.display());
    }
    let lines = file.whole()?;
    if let Some(config) = &source.config {
        filter.check(config, lines.iter().filter_map(|line| Entry::read(line)))?;
    }
    last(lines, args.lines, filter, output);
    if args.no_follow {
        return Ok(());
    }
    if !is_there {
        output.note(format!("{} is not there yet: it comes with the first message", path.display()));
    }
    while !output.is_closed() {
        file.lines()?.iter().filter_map(|line| Entry::read(line)).for_each(|entry| show(&entry, filter, output));
        sleep(LOOK).await;
    }
    Ok(())
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
        if output.is_closed() {
            break;
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
    while !output.is_closed() {
        sleep(LOOK_AT_CLOUDWATCH).await;
        logs.of_hosts().await?.iter().for_each(|entry| show(entry, filter, output));
    }
    Ok(())
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
        return output.json_line(&entry.json());
    }
    let id = entry.field("message_id");
    let (id, group) = (id.get(..8).unwrap_or(id), entry.field("group"));
    let rest = format!("  {id}  {group}  {}", entry.detail());
    output.spans([plain(format!("{}  ", entry.time())), painted(entry), plain(rest)]);
}

/// What happened, in a column of its own and in a colour.
pub(super) fn painted(entry: &Entry) -> Span {
    let colour = if entry.is_failure() { Style::new().yellow() } else { Style::new().green() };
    (colour, format!("{:<11}", entry.what()))
}
