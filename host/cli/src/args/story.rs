//! The commands that follow messages.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use towpath_operate::story::{self, Filter};
use towpath_types::outcome::OUTCOMES;

use super::ConfigFile;

/// Where to read the story of messages.
#[derive(ClapArgs, Debug, Clone, Default)]
pub struct StoryPlace {
    /// The config; its local store has the story
    #[command(flatten)]
    pub config: ConfigFile,
    /// The folder of a local store, instead of the config's
    #[arg(long, value_name = "DIR", conflicts_with_all = ["file", "log_group"])]
    pub store: Option<PathBuf>,
    /// A file: the one of `towpath poll --story`, or a log in JSON; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "log_group")]
    pub file: Option<PathBuf>,
    /// A CloudWatch log group, such as /aws/lambda/towpath-host; may be repeated
    #[arg(long, value_name = "NAME")]
    pub log_group: Vec<String>,
}

impl StoryPlace {
    /// As the operate room takes it, without CloudWatch.
    pub fn wanted(&self) -> story::StoryPlace {
        let config = self.config.file();
        let config_was_named = self.config.config.is_some();
        story::StoryPlace { config, config_was_named, store: self.store.clone(), file: self.file.clone(), logs: None }
    }
}

/// Log groups with the story of functions, for what else is read from a queue.
#[derive(ClapArgs, Debug, Clone)]
pub struct LogGroups {
    /// A CloudWatch log group with the story of events, such as /aws/lambda/towpath-host; may be repeated
    #[arg(long, value_name = "NAME")]
    pub log_group: Vec<String>,
    /// How far back to search the log groups for an event, 1s to 10 years
    #[arg(long, default_value = "1d", value_name = "TIME", value_parser = back, requires = "log_group")]
    pub since: Duration,
}

impl LogGroups {
    /// As the operate room takes them; `None` without a log group.
    pub fn wanted(self) -> Option<story::LogGroups> {
        Some(story::LogGroups { names: self.log_group, back: self.since }).filter(|logs| !logs.names.is_empty())
    }
}

/// Which lines to show.
#[derive(ClapArgs, Debug, Clone, Default)]
pub struct StoryFilter {
    /// Only messages of this group; a star at the end matches anything
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Only messages of this route
    #[arg(long, value_name = "PATH")]
    pub route: Option<String>,
    /// Only messages of this plugin
    #[arg(long, value_name = "NAME")]
    pub plugin: Option<String>,
    /// Only passes that called this target, or were held for it
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
    /// Only passes with this outcome
    #[arg(long, value_name = "OUTCOME", value_parser = PossibleValuesParser::new(OUTCOMES))]
    pub outcome: Option<String>,
    /// Only failures
    #[arg(long)]
    pub failed: bool,
    /// Only this message, by its id or the beginning of it
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub id: Option<String>,
}

impl StoryFilter {
    /// As the operate room takes it.
    pub fn wanted(&self) -> Filter {
        let StoryFilter { group, route, plugin, target, outcome, failed, id } = self.clone();
        Filter { group, route, plugin, target, outcome, failed, id }
    }
}

/// `tail`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath tail                                follow `towpath serve`
  towpath tail --failed --target sss          failures at one target
  towpath tail --group 'approval/*' --json | jq .attempts
  towpath tail --log-group /aws/lambda/towpath-host --log-group /aws/lambda/towpath-ingest
  towpath poll --log-format json 2>&1 | towpath tail --file -

One line per pass of a message: time, outcome, id, group, and each request with its response and duration. `serve` keeps the \
story in its store, in two files of 64 MiB; `poll` keeps it in the file of --story. Functions write it to their log at the \
level info.

Exit codes: 0 after Ctrl-C or with --no-follow; 2 if the story cannot be read.")]
pub struct Tail {
    /// Where to read
    #[command(flatten)]
    pub place: StoryPlace,
    /// Which lines
    #[command(flatten)]
    pub filter: StoryFilter,
    /// Begin with the last N lines
    #[arg(short = 'n', long, default_value_t = 10, value_name = "N")]
    pub lines: usize,
    /// Print the last N lines and exit
    #[arg(long)]
    pub no_follow: bool,
}

/// `trace`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath trace 8f3c2b1a                      by the beginning of the id
  towpath trace 8f3c2b1a --log-group /aws/lambda/towpath-host --since 2d

It shows the message from its storage to its last attempt, and where it is now. The id is the one that ingest answered, the \
`webhook-id` that the target received, or the id that a queue gave the message.

Exit codes: 0 found; 2 if nothing is known about it; 130 after Ctrl-C.")]
pub struct Trace {
    /// The message's id, or the beginning of it
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,
    /// Where to read
    #[command(flatten)]
    pub place: StoryPlace,
    /// How far back to search CloudWatch, 1s to 10 years
    #[arg(long, default_value = "1d", value_name = "TIME", value_parser = back)]
    pub since: Duration,
}

/// The longest retention of a CloudWatch log group. Source: `PutRetentionPolicy` of CloudWatch Logs.
const LONGEST_KEPT: Duration = Duration::from_secs(3653 * 24 * 3600);

fn back(text: &str) -> Result<Duration, String> {
    super::operate::within(text, Duration::from_secs(1), LONGEST_KEPT)
}
