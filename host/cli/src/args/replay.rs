//! `replay`.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args as ClapArgs, Subcommand};

use super::QueuePlace;
use super::archive::{ArchiveFilter, NamedArchive};
use crate::rate::Rate;

/// `replay`.
#[derive(ClapArgs, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  towpath replay --route crm --since 2026-03-02T00:00:00Z --until 2026-03-03T00:00:00Z --to new-crm
  towpath replay --route crm --where /status=failed --plan     show what would be sent
  towpath replay --since 7d --plugin plugins/crm --plan   what another build would do differently
  towpath replay --route crm --since 2h --rate 20/s -c s3://acme-towpath/towpath.json
  towpath replay --resume 5e1f77d2                             go on after Ctrl-C or a crash
  towpath replay list                                          show the runs

Events come from the archive, which keeps what was delivered or skipped. They go behind the messages that wait in their group, in \
order, with their `webhook-id` and their first time. Each request carries the header towpath-replayed-at. The mapping is the \
route's as it is now.

A run is refused if a group has later events than the last one selected, delivered or waiting: an old request may overwrite newer \
state. --overtaken accepts that. Events that were redacted, and events whose group has no route any more, are left out and \
counted.

Ctrl-C stops after the batch that is being sent, over SQS after the event. A run that was killed goes on with --resume, on the same \
queue and archive: at most its last batch is sent again, over SQS its last event, which the queue drops within five minutes. Over SQS \
its file is in .towpath of the working directory.

Exit codes: 0 all were sent, or the plan is shown; 1 the builds differ (--plugin), or a send failed; 2 nothing was sent; 3 a plugin \
does not load; 130 after Ctrl-C."
)]
pub struct Replay {
    /// The subcommand
    #[command(subcommand)]
    pub command: Option<ReplayCommand>,
    /// Which events
    #[command(flatten)]
    pub filter: ArchiveFilter,
    /// Send all requests to this target of the config, instead of those that the mapping names
    #[arg(long, value_name = "TARGET")]
    pub to: Option<String>,
    /// Give each event a new webhook-id: a target that ignores repeats takes it for another event
    #[arg(long)]
    pub new_ids: bool,
    /// Replay groups that have later events too, although an old request may overwrite newer state
    #[arg(long)]
    pub overtaken: bool,
    /// Only show what would be sent
    #[arg(long)]
    pub plan: bool,
    /// Compare this build of the plugin with the config's instead: a folder with plugin.wasm, or a .wasm file. Nothing is sent
    #[arg(long, value_name = "PATH", requires = "plan", conflicts_with_all = ["to", "new_ids", "overtaken", "rate"])]
    pub plugin: Option<PathBuf>,
    /// The plugin's name in the config [default: the build's own name]
    #[arg(long, requires = "plugin")]
    pub name: Option<String>,
    /// The rate: 10/s, 600/m, 5000/h [default: as fast as possible]
    #[arg(long)]
    pub rate: Option<Rate>,
    /// The reason; it stays on the messages and in the audit
    #[arg(long, value_name = "TEXT", default_value = "replay", hide_default_value = true)]
    pub note: String,
    /// Go on with a run that was stopped or killed
    #[arg(long, value_name = "RUN", value_parser = NonEmptyStringValueParser::new(), conflicts_with_all = [
        "route", "group", "since", "until", "id", "outcome", "contains", "values", "to", "new_ids", "plan", "plugin", "folder",
        "bucket",
    ])]
    pub resume: Option<String>,
    /// The archive
    #[command(flatten)]
    pub archive: NamedArchive,
    /// The store or queue
    #[command(flatten)]
    pub place: QueuePlace,
}

/// `replay list`.
#[derive(Subcommand, Debug)]
pub enum ReplayCommand {
    /// Show the runs, newest first
    #[command(after_help = "\
Example:
  towpath replay list --json

A run that is interrupted, stopped or failed goes on with `towpath replay --resume RUN`. Its file, replay-RUN.json in the folder of \
the store, may be deleted once it is complete.

Exit code 0, with or without runs.")]
    List {
        /// The store or queue
        #[command(flatten)]
        place: QueuePlace,
    },
}
