//! The commands of those who operate a host.

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
  AWS_PROFILE=staging towpath poll            region, credentials and endpoint as
                                              any AWS SDK finds them

The config names the queues: queue.url and queue.dead_letter_url. SIGTERM, SIGHUP and Ctrl-C drain: what runs is \
finished, the rest given back, tail to head. /healthz answers 200 while the process lives; /readyz answers 503 \
while it drains and while the queue does not answer.")]
pub struct Poll {
    /// The config
    #[command(flatten)]
    pub config: ConfigFile,
    /// How many receive at the same time; each works on queue.concurrency groups
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = workers)]
    pub workers: usize,
    /// How long one receive waits, 1s to 20s: a stop is felt after this at the latest
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = wait)]
    pub wait: Duration,
    /// How long messages stand still after this process was killed, 3s to 12h; heartbeats keep them longer
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = visibility)]
    pub visibility: Duration,
    /// Where /healthz, /readyz and /metrics are
    #[arg(long, default_value = "127.0.0.1:8081", value_name = "ADDRESS")]
    pub health: SocketAddr,
    /// Keep the story of messages in this file, for `towpath tail` and `towpath trace`
    #[arg(long, value_name = "FILE")]
    pub story: Option<PathBuf>,
    /// Who may call
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

/// The longest hold that ends by itself. A longer one is one without an end.
const LONGEST_HOLD: Duration = Duration::from_secs(366 * 24 * 3600);

fn hold_length(text: &str) -> Result<Duration, String> {
    within(text, Duration::from_secs(1), LONGEST_HOLD)
}

/// `90s`, `45m`, `2h`, `3d`.
fn span(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write 90s, 45m, 2h or 3d"))
}

/// Where queues and holds are.
#[derive(ClapArgs, Debug, Clone, Default)]
pub struct QueuePlace {
    /// The config
    #[command(flatten)]
    pub config: ConfigFile,
    /// The folder of a local store, instead of the config's queue
    #[arg(long, value_name = "DIR", conflicts_with = "queue_url")]
    pub store: Option<PathBuf>,
    /// The URL of a dead-letter queue of SQS, instead of the config's
    #[arg(long, value_name = "URL", value_parser = super::url)]
    pub queue_url: Option<String>,
}

impl QueuePlace {
    /// The same without a command line.
    pub fn wanted(&self) -> towpath_operate::place::QueuePlace {
        let config = self.config.file();
        let config_was_named = self.config.config.is_some();
        let store = self.store.clone();
        let queue_url = self.queue_url.clone();
        towpath_operate::place::QueuePlace { config, config_was_named, store, queue_url }
    }
}

/// `hold`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath hold sss --for 45m --reason \"release 4.2\"
  towpath hold sss --store .towpath

Nothing is sent to a target on hold. Its messages wait, whatever their route's max_age, up to 13 days. \
Running hosts notice a hold within 10 seconds. On AWS holds are stored in S3: [holds] url in the config.")]
pub struct Hold {
    /// The target
    pub target: String,
    /// For how long at most, 1s to 366 days; without it, until `towpath resume`
    #[arg(long = "for", value_name = "TIME", value_parser = hold_length)]
    pub length: Option<Duration>,
    /// Why, for those who see it in `towpath status`
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Where
    #[command(flatten)]
    pub place: QueuePlace,
}

/// `pause`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath pause -c s3://bucket/towpath.json
  towpath resume -c s3://bucket/towpath.json

It switches off what feeds the Lambda host from the queue. Senders notice nothing: messages are \
stored, and wait in order. For a release of one target hold that target: `towpath hold sss`.")]
pub struct Pause {
    /// The config
    #[command(flatten)]
    pub config: ConfigFile,
}

/// `deploy`.
#[derive(Subcommand, Debug)]
pub enum Deploy {
    /// Check that what is deployed on AWS is what the config needs
    #[command(after_help = "\
Looks at the attributes of both queues, the mapping, the function and what it says of itself, the \
releases in the registry, and the alarms. It changes nothing; the function is invoked once, without \
a message.

Examples:
  towpath deploy check -c s3://bucket/towpath.json
  towpath deploy check -c towpath.toml --json

Exit code 1 if something is not as it must be; the cure stands beside it.")]
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
  towpath resume sss --rate 10/s              what waited comes at 10 a second from
                                              each host; what is new is not slowed
  towpath resume                              the Lambda host gets messages again")]
pub struct Resume {
    /// The target [default: everything that `towpath pause` stopped]
    pub target: Option<String>,
    /// How fast what waited is drained: 10/s, 600/m, 5000/h
    #[arg(long, requires = "target")]
    pub rate: Option<crate::rate::Rate>,
    /// Where
    #[command(flatten)]
    pub place: QueuePlace,
}

/// `status`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath status
  towpath status --json --store .towpath

On SQS the counts are approximate, and groups are not shown: SQS does not tell them.")]
pub struct Status {
    /// How many groups to show, those with the most messages first
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub groups: usize,
    /// Where
    #[command(flatten)]
    pub place: QueuePlace,
}
