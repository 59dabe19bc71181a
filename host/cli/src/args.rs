//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args as ClapArgs, Parser, Subcommand};
use towpath_config::env::LOG_LEVELS;

mod archive;
mod console;
mod dlq;
mod erase;
mod group;
mod init;
mod mcp;
mod names;
mod operate;
mod plugin;
mod proof;
mod provider;
mod replay;
mod secret;
mod send;
mod story;

pub use self::console::Console;
pub use archive::{Archive, ArchiveFilter, ArchiveList, ArchivePlace, NamedArchive};
pub use dlq::{Dlq, DlqDiff, DlqDrop, DlqEdit, DlqList, DlqRedrive, Filter, LetterPlace};
pub use erase::Erase;
pub use group::{Group, GroupAct, GroupList};
pub use init::Init;
pub use mcp::Mcp;
pub use names::Names;
pub use operate::{Deploy, Hold, Pause, Poll, QueuePlace, Resume, Status};
pub use plugin::{
    Plugin, PluginCheck, PluginDiff, PluginFuzz, PluginNew, PluginPin, PluginPublish, PluginRollback, PluginRun,
    PluginSignPointer, PluginTest, Record, RegistryPlace, Signing, plugin_name,
};
pub use proof::{Bench, Chaos};
pub use provider::{Provider, ProviderTest};
pub use replay::{Replay, ReplayCommand};
pub use secret::{Secret, SecretPlace};
pub use send::{Send, Signature};
pub use story::{LogGroups, StoryFilter, StoryPlace, Tail, Trace};

const EXAMPLES: &str = "\
Examples:
  towpath demo                                see it work; no host keeps running
  towpath init                                write a commented towpath.toml to start from
  towpath plugin new crm                      make a plugin with cases that pass
  towpath plugin build && towpath plugin test build all plugins and run their cases
  towpath dev --chaos 503:30s                 serve with a fake target that is down for 30 s
  towpath send plugins/github/cases           post recorded events
  towpath provider test github                try the handshakes and proofs of a route
  towpath serve                               serve towpath.toml on this machine, without AWS
  towpath dlq list --json                     list what was given up, and why
  towpath replay --route crm --since 24h      deliver events of the archive again

Exit codes:
  0    success; a host drained after the first signal
  1    the command worked and found a problem: a case differs, the config has mistakes
  2    wrong usage, the command failed, or a part of a host broke
  3    a plugin does not build or load
  130  interrupted before the end; a host got a second signal";

/// Deliver webhooks to your system: in order, at least once, with retries
#[derive(Parser, Debug)]
#[command(name = "towpath", version, about, after_help = EXAMPLES)]
pub struct Args {
    /// The command
    #[command(subcommand)]
    pub command: Command,
    /// Print results as JSON; errors too, as {"error", "causes", "hint"}
    #[arg(long, global = true)]
    pub json: bool,
    /// The log level [default: TOWPATH_LOG, or info]
    #[arg(long, global = true, value_name = "LEVEL", value_parser = PossibleValuesParser::new(LOG_LEVELS), ignore_case = true)]
    pub log: Option<String>,
    /// The log format: text for people, or json with one object per line
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json"])]
    pub log_format: String,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Show order, retries and dead letters on recorded events, in about 10 seconds
    Demo(Demo),
    /// Write a commented towpath.toml to start from
    Init(Init),
    /// Run ingest, a durable queue and the pipeline on this machine
    Serve(Serve),
    /// Serve with hot reload of plugins and a fake target
    Dev(Dev),
    /// Run the pipeline over an SQS queue, on your own server
    Poll(Poll),
    /// Stop delivery to a target; its messages wait in order
    Hold(Hold),
    /// End a hold or a pause; waiting messages are delivered in order
    Resume(Resume),
    /// Stop feeding the Lambda host until `towpath resume`; messages wait in order
    Pause(Pause),
    /// Inspect the deployment on AWS
    #[command(subcommand)]
    Deploy(Deploy),
    /// Show targets, holds, breakers and waiting messages
    Status(Status),
    /// Look at events, groups and dead letters in a browser, and act on them
    Console(Console),
    /// Let an assistant look at events, groups and dead letters, and propose what to do
    Mcp(Mcp),
    /// Post recorded events to an ingest
    Send(Send),
    /// Save messages as cases of a plugin, without personal data
    Record(Record),
    /// Make, build, test, inspect and release plugins
    #[command(subcommand)]
    Plugin(Plugin),
    /// Check the config
    #[command(subcommand)]
    Config(Config),
    /// List the senders that are known, and show how to set up a route for one
    #[command(subcommand)]
    Provider(Provider),
    /// Learn the secrets that senders send in a handshake
    #[command(subcommand)]
    Secret(Secret),
    /// Follow what hosts do with each message, live
    Tail(Tail),
    /// Show the whole story of one message
    Trace(Trace),
    /// Show which groups wait and why; retry, dead-letter or park one
    #[command(subcommand)]
    Group(Group),
    /// Inspect, redrive, edit and drop dead letters
    #[command(subcommand)]
    Dlq(Dlq),
    /// Find events that were delivered or skipped
    #[command(subcommand)]
    Archive(Archive),
    /// Send archived events again, in order, or list what another build of the plugin would do with them
    Replay(Box<Replay>),
    /// Erase a person's events from everything that this machine keeps
    Erase(Box<Erase>),
    /// Benchmark the cost per message against alternatives and the theoretical limit
    Bench(Bench),
    /// Test delivery under faults: kill hosts, cut connections, fill the disk, then check every message
    Chaos(Chaos),
    /// Compact or repair a local store
    #[command(subcommand)]
    Store(Store),
    /// Print a shell completion script
    #[command(after_help = "Example:\n  towpath completions bash > /etc/bash_completion.d/towpath")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// `store`.
#[derive(Subcommand, Debug)]
pub enum Store {
    /// Rewrite a store's file without its free space, while nothing runs on it
    #[command(after_help = "\
Examples:
  towpath store compact
  towpath store compact /var/lib/towpath

Stop every process that uses the store first: the command fails if one has it open. It needs as much free disk space as \
the messages take. `serve` returns free space by itself, a little at a time; only a store made by an older version must be \
compacted once.

Exit code 2 if the store is in use or cannot be read.")]
    Compact {
        /// The folder of the store [default: the config's]
        store: Option<PathBuf>,
        /// The config
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Copy what is readable in a damaged store into a new one
    #[command(after_help = "\
Examples:
  mv .towpath .towpath-damaged && towpath store recover .towpath-damaged .towpath
  towpath store recover .towpath-damaged .towpath --queue 3=events.fifo

Stop every process that uses the store first. The damaged store is not changed. Messages keep their ids, times and order. \
Those in unreadable pages are lost, unless a backup of the file has them. Messages that a host had leased can be received \
again at once.

Exit code 1 if something could not be read.")]
    Recover {
        /// The folder of the damaged store
        from: PathBuf,
        /// The folder of the new store
        to: PathBuf,
        /// The name of a queue whose name is unreadable; the first run prints its number
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
    /// The named file, or the default.
    pub fn file(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(towpath_config::env::config_file)
    }
}

/// `demo`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  make demo                                   build the plugins and run the demo
  towpath demo --store /tmp/demo              run it with plugins that are built

It takes about 10 seconds once the plugins are built. The numbers at the end are checked against what the fake target \
received. Ctrl-C leaves waiting messages in the store; the next run delivers them first.

Exit codes: 0 if every message is accounted for; 1 if the numbers do not match; 130 after Ctrl-C.")]
pub struct Demo {
    /// The folder with the built plugins approval, github and stripe, and their recorded events
    #[arg(long, default_value = "plugins", value_name = "DIR")]
    pub plugins: PathBuf,
    /// The folder of the store; it is kept
    #[arg(long, default_value = ".towpath/demo", value_name = "DIR")]
    pub store: PathBuf,
}

/// `serve`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath serve
  towpath serve --config /etc/towpath.toml --listen 0.0.0.0:8080
  towpath serve --console                     with the web console at console.listen

SIGTERM, SIGHUP and Ctrl-C drain: messages in flight are finished, the others released. A second SIGTERM or Ctrl-C, at \
least a second after the first, exits at once. Neither loses a message that was answered 202.

Exit codes: 0 drained; 2 it could not start, or a part of it broke; 3 a plugin does not load; 130 a second signal.")]
pub struct Serve {
    /// The config
    #[command(flatten)]
    pub config: ConfigFile,
    /// The address to listen on, instead of ingest.listen
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Also offer the queues to SQS clients at this address, such as 127.0.0.1:9324. If TOWPATH_SECRET_SQS_ENDPOINT is set,
    /// clients must present it as access key id; on an address that other machines reach it must be set
    #[arg(long, value_name = "ADDRESS")]
    pub sqs: Option<SocketAddr>,
    /// Only store webhooks: `towpath poll` over the SQS endpoint, or another `serve` on the same store, delivers them
    #[arg(long)]
    pub ingest_only: bool,
    /// The address of /metrics, /healthz and /readyz [default: 127.0.0.1:9464, or none if it is taken]
    #[arg(long, value_name = "ADDRESS")]
    pub metrics: Option<SocketAddr>,
    /// Also run the web console, at this address or at console.listen; a config that has its table runs it too. It prints a link
    /// that logs in once, within 10 minutes. If it cannot start, events are delivered without it
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, require_equals = true)]
    pub console: Option<Option<SocketAddr>>,
    /// Allowed host names
    #[command(flatten)]
    pub names: Names,
}

/// `dev`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath dev                                 deliver to a fake target, and show each delivery
  towpath dev --chaos 503:30s                 the target is down for 30 s, then answers 200
  towpath dev --chaos 429:10s,slow:20s,reset:5s
  towpath dev --real-targets                  deliver to the targets of the config
  towpath dev --lambda target/debug/bootstrap   the built function processes the messages

Chaos: a comma-separated list of KIND[:DURATION], played in order from the start of `dev`. A step without a duration never \
ends. KIND is a status such as 503, `429` (with Retry-After: 1), `slow` (answers after 60 s) or `reset` (drops the connection).

Hot reload: when a plugin's sources change, `dev` builds it and swaps it between two messages. If the build fails, the old \
one keeps running. The function of --lambda loads its plugins only when it starts.

Exit codes are those of `towpath serve`.")]
pub struct Dev {
    /// The config
    #[command(flatten)]
    pub config: ConfigFile,
    /// The address to listen on, instead of ingest.listen
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// The script of the fake target; it answers 200 without one
    #[arg(long, value_name = "SCRIPT", default_value = "")]
    pub chaos: crate::sss::Chaos,
    /// Deliver to the targets of the config instead of the fake one
    #[arg(long)]
    pub real_targets: bool,
    /// Reload built components, but build nothing
    #[arg(long)]
    pub no_build: bool,
    /// Process messages with this built Lambda function instead of in this process. Its AWS_LAMBDA_RUNTIME_API is a URL
    /// with a secret path
    #[arg(long, value_name = "PATH")]
    pub lambda: Option<PathBuf>,
    /// How many invocations run at once, 1 to 64
    #[arg(long, value_name = "N", default_value_t = 2, requires = "lambda", value_parser = crate::args::operate::workers)]
    pub lambda_concurrency: usize,
    /// The time limit of an invocation, 2s to 15m; failed messages return within six times this
    #[arg(long, value_name = "TIME", default_value = "10s", requires = "lambda", value_parser = crate::args::operate::lambda_timeout)]
    pub lambda_timeout: Duration,
    /// The address for SQS clients. They must present TOWPATH_SECRET_SQS_ENDPOINT as access key id; if it is not set, each
    /// run makes and prints one. On an address that other machines reach it must be set
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9324")]
    pub sqs: SocketAddr,
    /// The address of the web console [default: console.listen, 127.0.0.1:8082, or a free port if it is taken]
    #[arg(long, value_name = "ADDRESS")]
    pub console: Option<SocketAddr>,
    /// Allowed host names
    #[command(flatten)]
    pub names: Names,
}

/// `config`.
#[derive(Subcommand, Debug)]
pub enum Config {
    /// Check the config, load its plugins and print every mistake
    #[command(after_help = "\
Examples:
  towpath config check
  towpath config check -c staging.toml --skip-secrets --json

Mistakes go to standard output, each with its key, its line and a hint. Warnings go to standard error and do not change the \
exit code.

Exit codes: 0 without a mistake; 1 with one, also if a plugin does not load; 2 if the file cannot be read.")]
    Check {
        /// The config
        #[command(flatten)]
        config: ConfigFile,
        /// Do not read the values of secrets
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
        _ => Err("it is not a URL such as https://sqs.eu-west-1.amazonaws.com/123456789012/events.fifo or http://127.0.0.1:8080".to_owned()),
    }
}

fn numbered(text: &str) -> Result<(i64, String), String> {
    let (number, name) = text.split_once('=').ok_or("write NUMBER=NAME, such as 3=events.fifo")?;
    let number = number.parse().map_err(|_| format!("{number} is not the number of a queue"))?;
    Ok((number, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// The usual width of a terminal.
    const COLUMNS: usize = 100;

    fn every_help(command: &clap::Command) -> Vec<(String, String)> {
        let own = command.get_after_help().map(|help| (command.get_name().to_owned(), help.to_string()));
        own.into_iter().chain(command.get_subcommands().flat_map(every_help)).collect()
    }

    #[test]
    fn no_help_is_wrapped_twice() {
        // clap wraps paragraphs to the terminal: one with line breaks of its own comes out ragged.
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
