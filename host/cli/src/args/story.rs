//! The commands that follow messages.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use towpath_operate::story::{self, Filter};
use towpath_types::outcome::OUTCOMES;

use super::ConfigFile;

/// Where the story of messages is read.
#[derive(ClapArgs, Debug, Clone, Default)]
pub struct StoryPlace {
    /// The config, whose local store has the story
    #[command(flatten)]
    pub config: ConfigFile,
    /// The folder of a local store, instead of the config's
    #[arg(long, value_name = "DIR", conflicts_with_all = ["file", "log_group"])]
    pub store: Option<PathBuf>,
    /// A file: what `towpath poll --story` keeps, or a log in JSON; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "log_group")]
    pub file: Option<PathBuf>,
    /// A log group of CloudWatch, such as /aws/lambda/towpath-host
    #[arg(long, value_name = "NAME")]
    pub log_group: Vec<String>,
}

impl StoryPlace {
    /// The same without a command line and CloudWatch.
    pub fn wanted(&self) -> story::StoryPlace {
        let config = self.config.file();
        let config_was_named = self.config.config.is_some();
        story::StoryPlace { config, config_was_named, store: self.store.clone(), file: self.file.clone() }
    }
}

/// Which lines are wanted.
#[derive(ClapArgs, Debug, Clone, Default)]
pub struct StoryFilter {
    /// Only those of this group; a star at the end stands for anything
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Only those of this route
    #[arg(long, value_name = "PATH")]
    pub route: Option<String>,
    /// Only those of this plugin
    #[arg(long, value_name = "NAME")]
    pub plugin: Option<String>,
    /// Only those that called this target, or were held for it
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
    /// Only those with this outcome
    #[arg(long, value_name = "OUTCOME", value_parser = PossibleValuesParser::new(OUTCOMES))]
    pub outcome: Option<String>,
    /// Only what did not go well
    #[arg(long)]
    pub failed: bool,
    /// Only those of this message
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub id: Option<String>,
}

impl StoryFilter {
    /// The same without a command line.
    pub fn wanted(&self) -> Filter {
        let StoryFilter { group, route, plugin, target, outcome, failed, id } = self.clone();
        Filter { group, route, plugin, target, outcome, failed, id }
    }
}

/// `tail`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath tail                                what `towpath serve` does, as it happens
  towpath tail --failed --target sss          what goes wrong at one target
  towpath tail --group 'approval/*' --json | jq .attempts
  towpath tail --log-group /aws/lambda/towpath-host --log-group /aws/lambda/towpath-ingest
  towpath poll --log-format json 2>&1 | towpath tail --file -

One line a pass: when, what came of it, the message, its group, and each request with its answer and how long it took. \
`serve` keeps two files of 64 MiB in its store; `poll` keeps them where --story says. On Lambda the log has it at the level \
info.")]
pub struct Tail {
    /// Where
    #[command(flatten)]
    pub place: StoryPlace,
    /// What
    #[command(flatten)]
    pub filter: StoryFilter,
    /// Begin with so many of the last lines
    #[arg(short = 'n', long, default_value_t = 10, value_name = "N")]
    pub lines: usize,
    /// End there instead of waiting for more
    #[arg(long)]
    pub no_follow: bool,
}

/// `trace`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath trace 8f3c2b1a                      a whole story, by the id's beginning
  towpath trace 8f3c2b1a --log-group /aws/lambda/towpath-host --since 2d

From when it was stored to its last attempt, and where it is now. The id is what ingest answered and targets got as \
`webhook-id`, or one that a queue gave it. Exit code 2 if nothing is known of it.")]
pub struct Trace {
    /// The message's id, or its beginning
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,
    /// Where
    #[command(flatten)]
    pub place: StoryPlace,
    /// How far back CloudWatch is searched
    #[arg(long, default_value = "1d", value_name = "TIME", value_parser = back)]
    pub since: Duration,
}

/// The longest that CloudWatch keeps a log group. Source: `PutRetentionPolicy` of CloudWatch Logs.
const LONGEST_KEPT: Duration = Duration::from_secs(3653 * 24 * 3600);

fn back(text: &str) -> Result<Duration, String> {
    super::operate::within(text, Duration::from_secs(1), LONGEST_KEPT)
}
