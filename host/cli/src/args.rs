//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand};

mod dlq;
mod names;
mod operate;
mod plugin;
mod proof;
mod story;

pub use dlq::{Dlq, DlqDiff, DlqDrop, DlqEdit, DlqList, DlqRedrive, Filter, LetterPlace, Moment};
pub use names::Names;
pub use operate::{Deploy, Hold, Pause, Poll, QueuePlace, Resume, Status};
pub use plugin::{
    Plugin, PluginCheck, PluginDiff, PluginFuzz, PluginNew, PluginPin, PluginPublish, PluginRollback, PluginRun,
    PluginSignPointer, PluginTest, Record, RegistryPlace, Signing,
};
pub use proof::{Bench, Chaos};
pub use story::{StoryFilter, StoryPlace, Tail, Trace};

const EXAMPLES: &str = "\
Examples:
  towpath demo                                see it work: nothing is left running
  towpath serve                               run towpath.toml on this machine, durable, without AWS
  towpath dev --chaos 503:30s                 the same with a fake target that is away for 30 s
  towpath send plugins/github/cases           post recorded events
  towpath plugin new crm                      begin a plugin, with a case that passes
  towpath plugin build && towpath plugin test build all plugins and run their cases
  towpath dlq list --json                     what died, and why

Exit codes:
  0    done; a host that was told to stop has drained
  1    done, and something was found: a case differs, the config has mistakes
  2    wrong usage, or the command could not do its work; a part of a host broke
  3    a plugin does not build or load
  130  interrupted before it was done; a host was told twice to stop";

/// Carries every SaaS webhook to your system, in order, and never loses one.
#[derive(Parser, Debug)]
#[command(name = "towpath", version, about, after_help = EXAMPLES)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
    /// Write what is listed as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// How much to log: error, warn, info, debug or trace [default: TOWPATH_LOG, or info]
    #[arg(long, global = true, value_name = "LEVEL", value_parser = ["error", "warn", "info", "debug", "trace"])]
    pub log: Option<String>,
    /// How logs are written: for people, or one JSON object a line
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json"])]
    pub log_format: String,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Show the whole story on recorded events in half a minute
    Demo(Demo),
    /// Run ingest, queue and pipeline on this machine, durable
    Serve(Serve),
    /// Serve with hot reload of plugins and a fake target
    Dev(Dev),
    /// Run the pipeline over a queue of SQS, on a server
    Poll(Poll),
    /// Take a target away: its messages wait, in order
    Hold(Hold),
    /// Give a target back; what waited is drained, in order
    Resume(Resume),
    /// Let everything wait: nothing feeds the Lambda host until `towpath resume`
    Pause(Pause),
    /// Look at what is deployed on AWS
    #[command(subcommand)]
    Deploy(Deploy),
    /// Show targets, holds, breakers and what waits
    Status(Status),
    /// Post recorded events to an ingest
    Send(Send),
    /// Save messages as cases of a plugin, without personal data
    Record(Record),
    /// Make, build, test and inspect plugins
    #[command(subcommand)]
    Plugin(Plugin),
    /// Look at the config
    #[command(subcommand)]
    Config(Config),
    /// Follow what hosts do with each message, as it happens
    Tail(Tail),
    /// Tell the whole story of one message
    Trace(Trace),
    /// Look at dead letters, and send them back
    #[command(subcommand)]
    Dlq(Dlq),
    /// Measure what a message costs, beside others and beside the limit
    Bench(Bench),
    /// Prove that nothing is lost: hosts are killed, lines cut, disks filled, and the books must add up
    Chaos(Chaos),
    /// Look after a local store
    #[command(subcommand)]
    Store(Store),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  towpath completions bash > /etc/bash_completion.d/towpath")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// `store`.
#[derive(Subcommand, Debug)]
pub enum Store {
    /// Write the file of a store again without its free room, while nothing runs on it
    #[command(after_help = "\
Examples:
  towpath store compact
  towpath store compact /var/lib/towpath

Stop what runs on the store first: it fails if anything has it open, and takes as much room again as the messages \
need while it works. A running `serve` gives free room back by itself, a little at a time; a store that was made before \
that was possible has to be compacted once.")]
    Compact {
        /// The folder of the store [default: the config's]
        store: Option<PathBuf>,
        /// The config
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Save what can be read of a damaged store into a new one; exit code 1 if something could not be read
    #[command(after_help = "\
Example:
  mv .towpath .towpath-damaged && towpath store recover .towpath-damaged .towpath

Stop what runs on the store first. The damaged one is left as it is. Messages keep their ids, times and order; those in \
pages that cannot be read are lost, unless a backup of the file has them. What was taken by a host can be taken at once.")]
    Recover {
        /// The folder of the damaged store
        from: PathBuf,
        /// The folder of the new one
        to: PathBuf,
        /// What a queue is called whose name could not be read; the first run tells its number
        #[arg(long, value_name = "NUMBER=NAME", value_parser = numbered)]
        queue: Vec<(i64, String)>,
    },
}

/// Where the config is.
#[derive(ClapArgs, Debug, Clone, Default)]
pub struct ConfigFile {
    /// The config file [default: TOWPATH_CONFIG, or towpath.toml]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl ConfigFile {
    /// The file that is meant.
    pub fn file(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(towpath_config::env::config_file)
    }
}

/// `demo`.
#[derive(ClapArgs, Debug)]
#[command(
    after_help = "Example:\n  towpath demo --store /tmp/demo\n\nCtrl-C leaves what waits in the store; the next run resumes it."
)]
pub struct Demo {
    /// The folder with the plugins and their recorded events
    #[arg(long, default_value = "plugins", value_name = "DIR")]
    pub plugins: PathBuf,
    /// The folder of the queue; it is kept
    #[arg(long, default_value = ".towpath/demo", value_name = "DIR")]
    pub store: PathBuf,
}

/// `serve`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath serve
  towpath serve --config /etc/towpath.toml --listen 0.0.0.0:8080

SIGTERM, SIGHUP and Ctrl-C drain: what runs is finished, the rest given back. A second SIGTERM or Ctrl-C, a \
second or more after the first, quits at once; nothing that was answered 202 is lost either way.")]
pub struct Serve {
    /// The config
    #[command(flatten)]
    pub config: ConfigFile,
    /// The address to listen on, instead of the config's
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Also offer the queues to clients of SQS at this address, such as 127.0.0.1:9324. With
    /// TOWPATH_SECRET_SQS_ENDPOINT they need it as their access key id; beyond this machine it must be set
    #[arg(long, value_name = "ADDRESS")]
    pub sqs: Option<SocketAddr>,
    /// Store webhooks, and leave the rest to others: `towpath poll` over the endpoint, or a `serve` on the same store
    #[arg(long)]
    pub ingest_only: bool,
    /// Where /metrics, /healthz and /readyz are [default: 127.0.0.1:9464, if nobody else listens there]
    #[arg(long, value_name = "ADDRESS")]
    pub metrics: Option<SocketAddr>,
    /// Who may call
    #[command(flatten)]
    pub names: Names,
}

/// `dev`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath dev                                 every target is the fake one; deliveries are shown
  towpath dev --chaos 503:30s                 it is away for 30 s, then answers 200
  towpath dev --chaos 429:10s,slow:20s,reset:5s
  towpath dev --real-targets                  deliver to the targets of the config
  towpath dev --lambda target/debug/bootstrap   the built function gets the messages

Chaos: a list of KIND[:DURATION], played in order; without a duration it goes on for ever. KIND is a \
status such as 503, `429` (with Retry-After: 1), `slow` (answers after 60 s) or `reset` (breaks off). \
After a change in a plugin's sources it is built again and swapped between two messages; a build that \
fails leaves the old one running. A function of --lambda gets its plugins when it starts.")]
pub struct Dev {
    /// The config
    #[command(flatten)]
    pub config: ConfigFile,
    /// The address to listen on, instead of the config's
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// What the fake target answers
    #[arg(long, value_name = "SCRIPT", default_value = "")]
    pub chaos: crate::sss::Chaos,
    /// Deliver to the targets of the config instead of the fake one
    #[arg(long)]
    pub real_targets: bool,
    /// Reload built components only; build nothing
    #[arg(long)]
    pub no_build: bool,
    /// Give the messages to this built Lambda function instead of the pipeline in this process. Its
    /// AWS_LAMBDA_RUNTIME_API is a URL with a path that nobody else knows
    #[arg(long, value_name = "PATH")]
    pub lambda: Option<PathBuf>,
    /// How many invocations run at the same time
    #[arg(long, value_name = "N", default_value_t = 2, requires = "lambda", value_parser = crate::args::operate::workers)]
    pub lambda_concurrency: usize,
    /// How long an invocation may take; messages that come back do so after six times as long at the latest
    #[arg(long, value_name = "TIME", default_value = "10s", requires = "lambda", value_parser = crate::args::operate::lambda_timeout)]
    pub lambda_timeout: Duration,
    /// Where clients of SQS reach the queues, with the access key id that is printed: TOWPATH_SECRET_SQS_ENDPOINT,
    /// or a new one for each run. Beyond this machine it must be set
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9324")]
    pub sqs: SocketAddr,
    /// Who may call
    #[command(flatten)]
    pub names: Names,
}

/// `send`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath send plugins/approval/cases/submitted/message.json
  towpath send plugins/*/cases                every recorded event of every plugin
  towpath send --to http://127.0.0.1:9000/hooks --path crm event.json --times 100")]
pub struct Send {
    /// Recorded events (message.json), or folders of them
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The ingest, prefix included
    #[arg(long, default_value = "http://127.0.0.1:8080/hooks", value_name = "URL")]
    pub to: String,
    /// The path to post to, instead of the one in the file
    #[arg(long)]
    pub path: Option<String>,
    /// How often to send them all
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub times: u32,
}

/// `config`.
#[derive(Subcommand, Debug)]
pub enum Config {
    /// Check the config and load its plugins; show all mistakes at once
    #[command(after_help = "\
Examples:
  towpath config check
  towpath config check -c staging.toml --skip-secrets --json")]
    Check {
        /// The config
        #[command(flatten)]
        config: ConfigFile,
        /// Do not ask for the values of secrets
        #[arg(long)]
        skip_secrets: bool,
        /// Do not load the plugins
        #[arg(long)]
        skip_plugins: bool,
    },
}

/// A URL of a server, as the command line takes it.
fn url(text: &str) -> Result<String, String> {
    match text.parse::<http::Uri>() {
        Ok(url) if matches!(url.scheme_str(), Some("http" | "https")) => Ok(text.to_owned()),
        _ => Err("it is no URL such as https://sqs.eu-west-1.amazonaws.com/123456789012/events.fifo or http://127.0.0.1:8080".to_owned()),
    }
}

fn numbered(text: &str) -> Result<(i64, String), String> {
    let (number, name) = text.split_once('=').ok_or("write NUMBER=NAME, such as 3=events.fifo")?;
    let number = number.parse().map_err(|_| format!("{number} is no number of a queue"))?;
    Ok((number, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// What a terminal of the usual width shows in one line.
    const COLUMNS: usize = 100;

    fn every_help(command: &clap::Command) -> Vec<(String, String)> {
        let own = command.get_after_help().map(|help| (command.get_name().to_owned(), help.to_string()));
        own.into_iter().chain(command.get_subcommands().flat_map(every_help)).collect()
    }

    #[test]
    fn no_help_is_wrapped_twice() {
        // Paragraphs are wrapped where they are shown: one that has line ends of its own comes out ragged.
        let helps = every_help(&Args::command());
        assert!(helps.len() > 20, "{} commands have one", helps.len());
        let mut ragged = Vec::new();
        for (command, help) in helps {
            let paragraph = |line: &str| !line.is_empty() && !line.starts_with(' ') && !line.ends_with(':');
            let lines = || help.lines().zip(help.lines().skip(1).chain([""]));
            let broken = lines().filter(|(line, next)| paragraph(line) && paragraph(next));
            let long = lines().filter(|(line, _)| line.starts_with(' ') && line.chars().count() > COLUMNS);
            ragged.extend(broken.chain(long).map(|(line, _)| format!("{command}: {line}")));
        }
        assert!(ragged.is_empty(), "{}", ragged.join("\n"));
    }
}
