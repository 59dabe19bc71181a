//! The commands of operators.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand};

use super::ConfigFile;

/// `poll`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath poll -c /etc/towpath.toml
  towpath poll --workers 4 --health 0.0.0.0:8081
  AWS_PROFILE=staging towpath poll            region and credentials as any AWS SDK finds them

The config names the queues: queue.url and queue.dead_letter_url. SIGTERM, SIGHUP and Ctrl-C drain: messages in flight are \
finished, the others released, last to first. A second SIGTERM or Ctrl-C, at least a second after the first, exits at once. \
/healthz answers 200 while the process lives; /readyz answers 503 while it drains and while the queue does not answer.

Exit codes: 0 drained; 2 it could not start, or a part of it broke; 3 a plugin does not load; 130 a second signal.")]
pub struct Poll {
    /// The config
    #[command(flatten)]
    pub config: ConfigFile,
    /// How many workers receive at once, 1 to 64; each processes queue.concurrency groups at once
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = workers)]
    pub workers: usize,
    /// How long one receive waits, 1s to 20s; a stop takes effect within this time
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = wait)]
    pub wait: Duration,
    /// How long messages stay hidden after a crash, 3s to 12h; heartbeats extend it
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = visibility)]
    pub visibility: Duration,
    /// The address of /healthz, /readyz and /metrics
    #[arg(long, default_value = "127.0.0.1:8081", value_name = "ADDRESS")]
    pub health: SocketAddr,
    /// Keep the story of messages in this file, for `towpath tail` and `towpath trace`
    #[arg(long, value_name = "FILE")]
    pub story: Option<PathBuf>,
    /// Allowed host names
    #[command(flatten)]
    pub names: super::Names,
}

pub(super) fn workers(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| (1..=64).contains(count)).ok_or_else(|| "a number from 1 to 64".to_owned())
}

pub(super) fn lambda_timeout(text: &str) -> Result<Duration, String> {
    within(text, Duration::from_secs(2), Duration::from_secs(900))
}

fn wait(text: &str) -> Result<Duration, String> {
    within(text, Duration::from_secs(1), Duration::from_secs(20))
}

fn visibility(text: &str) -> Result<Duration, String> {
    within(text, Duration::from_secs(3), Duration::from_secs(12 * 3600))
}

pub(super) fn within(text: &str, least: Duration, most: Duration) -> Result<Duration, String> {
    let duration = span(text)?;
    let fits = (least..=most).contains(&duration);
    let least = humantime::format_duration(least);
    let most = humantime::format_duration(most);
    if fits { Ok(duration) } else { Err(format!("it must be from {least} to {most}")) }
}

fn hold_length(text: &str) -> Result<Duration, String> {
    within(text, Duration::from_secs(1), towpath_operate::hold::LONGEST)
}

/// `90s`, `45m`, `2h`, `3d`.
fn span(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write 90s, 45m, 2h or 3d"))
}

/// The store or queue to work on.
#[derive(ClapArgs, Debug, Clone, Default)]
pub struct QueuePlace {
    /// The config
    #[command(flatten)]
    pub config: ConfigFile,
    /// The folder of a local store, instead of the config's queue
    #[arg(long, value_name = "DIR", conflicts_with = "queue_url")]
    pub store: Option<PathBuf>,
    /// The URL of an SQS dead-letter queue, instead of the config's. The event queue and the holds still come from the config
    #[arg(long, value_name = "URL", value_parser = super::url)]
    pub queue_url: Option<String>,
}

impl QueuePlace {
    /// As the operate room takes it.
    pub fn wanted(&self) -> towpath_operate::place::QueuePlace {
        let config = self.config.file();
        let config_was_named = self.config.config.is_some();
        let store = self.store.clone();
        let queue_url = self.queue_url.clone();
        towpath_operate::place::QueuePlace { config, config_was_named, store, queue_url }
    }

    /// The same place from any folder: its paths are absolute.
    pub fn from_anywhere(&self) -> std::io::Result<QueuePlace> {
        let file = self.config.file();
        let is_local = !file.to_string_lossy().contains("://");
        let config = match &self.config.config {
            Some(_) if !is_local => Some(file),
            // A default that is not there is not used either.
            None if !file.exists() => None,
            _ => Some(std::path::absolute(file)?),
        };
        let store = self.store.as_ref().map(std::path::absolute).transpose()?;
        Ok(QueuePlace { config: ConfigFile { config }, store, queue_url: self.queue_url.clone() })
    }

    /// The options that name it, each with a space before it, for a command that a message shows.
    pub fn options(&self) -> String {
        let config =
            self.config.config.as_ref().map(|file| format!(" --config {}", quoted(&file.display().to_string())));
        let store = self.store.as_ref().map(|folder| format!(" --store {}", quoted(&folder.display().to_string())));
        let queue_url = self.queue_url.as_ref().map(|url| format!(" --queue-url {}", quoted(url)));
        [config, store, queue_url].into_iter().flatten().collect()
    }
}

/// As a shell takes it as one word.
fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:+@%".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// `hold`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath hold sss --for 45m --reason \"release 4.2\"
  towpath hold sss --store .towpath

Nothing is sent to a target on hold. Its messages wait up to 13 days, whatever their route's max_age. \
Running hosts notice a hold within 10 seconds. On AWS, holds are stored in S3: [holds] url in the config.

Exit code 2 if the config has no such target, or the hold cannot be stored.")]
pub struct Hold {
    /// The name of the target
    pub target: String,
    /// How long the hold lasts at most, 1s to 366 days [default: until `towpath resume`]
    #[arg(long = "for", value_name = "TIME", value_parser = hold_length)]
    pub length: Option<Duration>,
    /// The reason that `towpath status` shows
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// The store or queue
    #[command(flatten)]
    pub place: QueuePlace,
}

/// `pause`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath pause -c s3://bucket/towpath.json
  towpath resume -c s3://bucket/towpath.json

It disables the event source mapping that feeds the Lambda host from the queue. Senders notice nothing: messages are stored and \
wait in order, until SQS deletes them at the end of the queue's retention. To stop only one target, hold it: `towpath hold sss`.

Exit code 2 if the mapping is not found or cannot be changed.")]
pub struct Pause {
    /// The config
    #[command(flatten)]
    pub config: ConfigFile,
}

/// `deploy`.
#[derive(Subcommand, Debug)]
pub enum Deploy {
    /// Compare the deployment on AWS with what the config needs
    #[command(after_help = "\
It checks the attributes of both queues, the event source mapping, the function and what it reports, the releases in the \
registry, and the alarms. It changes nothing, and invokes the function once, without a message.

Examples:
  towpath deploy check -c s3://bucket/towpath.json
  towpath deploy check -c towpath.toml --json

Exit codes: 0 if all checks pass; 1 if one fails, with its cure next to it; 2 if AWS cannot be asked.")]
    Check {
        /// The config
        #[command(flatten)]
        config: ConfigFile,
    },
}

/// `resume`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath resume sss
  towpath resume sss --rate 10/s              each host drains 10 waiting messages a second
  towpath resume                              end `towpath pause`: feed the Lambda host again

Exit codes: 0 resumed; 1 if the target stays on hold because the config says `hold = true`; 2 if there is no such target.")]
pub struct Resume {
    /// The target to resume. Without it, end `towpath pause`: feed the Lambda host again; --store and --queue-url are then ignored
    pub target: Option<String>,
    /// The rate at which each host drains the messages that waited: 10/s, 600/m, 5000/h
    #[arg(long, requires = "target")]
    pub rate: Option<crate::rate::Rate>,
    /// The store or queue
    #[command(flatten)]
    pub place: QueuePlace,
}

/// `status`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath status
  towpath status --json --store .towpath

A target is ok, held, draining, or has its breaker open. IN FLIGHT OR DELAYED counts messages that a host has leased or \
that wait for a retry. On SQS the counts are approximate, and groups are not shown, because SQS does not report them.

Exit code 2 if the store or queue cannot be read. The state of the targets does not change the exit code.")]
pub struct Status {
    /// How many groups to show, the largest first
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub groups: usize,
    /// The store or queue
    #[command(flatten)]
    pub place: QueuePlace,
}
