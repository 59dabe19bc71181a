//! The command line of `plugin` and `record`.

mod release;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

pub use self::release::{PluginPin, PluginPublish, PluginRollback, PluginSignPointer, RegistryPlace, Signing};
use super::QueuePlace;
use crate::toolchain::Language;

/// `plugin`.
#[derive(Subcommand, Debug)]
pub enum Plugin {
    /// Begin a plugin: a folder with a mapping, a case, and all that it takes to build it
    New(PluginNew),
    /// Build plugins: Rust, JavaScript and Python
    #[command(after_help = "\
What a folder holds says how it is built: Cargo.toml by `cargo build --target wasm32-wasip2` (by `cargo \
component build` if it has [package.metadata.component]), package.json and plugin.js by componentize-js, \
plugin.py by componentize-py. The result is plugin.wasm in the same folder.

Examples:
  towpath plugin build                        every plugin below plugins/, or the one in this folder
  towpath plugin build plugins/github --precompile")]
    Build {
        /// Folders of plugins [default: this folder, or those below plugins/]
        folders: Vec<PathBuf>,
        /// Also compile to native code (plugin.cwasm and its manifest), as the Lambda host needs it
        #[arg(long)]
        precompile: bool,
        /// The target triple to precompile for [default: this machine's]
        #[arg(long, value_name = "TRIPLE", requires = "precompile")]
        target: Option<String>,
    },
    /// Run the golden cases of plugins
    Test(PluginTest),
    /// Run a plugin on one event, and show its verdict and its logs
    Run(PluginRun),
    /// Check a built plugin as a host would, and more
    Check(PluginCheck),
    /// Show what a plugin is made of and what it may touch: a security review on one screen
    #[command(after_help = "\
Examples:
  towpath plugin inspect plugins/crm
  towpath plugin inspect https-download/plugin.wasm --json")]
    Inspect {
        /// The plugin's folder, or a .wasm file [default: this folder]
        #[arg(default_value = ".", value_name = "PLUGIN")]
        plugin: PathBuf,
    },
    /// Compare two builds of a plugin on recorded events
    Diff(PluginDiff),
    /// Run a plugin on mutated recorded events; what traps it or hits a limit becomes a case
    Fuzz(PluginFuzz),
    /// Check, compile and release a plugin to a registry; hosts pick it up within 30 seconds
    Publish(PluginPublish),
    /// List the released versions of a plugin, and which of them run
    #[command(after_help = "\
Examples:
  towpath plugin versions crm
  towpath plugin versions crm --registry s3://bucket/plugins --json")]
    Versions {
        /// The plugin's name in the registry
        name: String,
        /// The registry
        #[command(flatten)]
        registry: RegistryPlace,
    },
    /// Go back to the version that ran before
    Rollback(PluginRollback),
    /// Let a channel run what another one runs: the candidate becomes current
    #[command(after_help = "Example:\n  towpath plugin promote crm")]
    Promote {
        /// The plugin's name in the registry
        name: String,
        /// The channel whose version it is
        #[arg(long, default_value = "candidate", value_name = "CHANNEL")]
        from: String,
        /// The channel that is moved
        #[arg(long, default_value = "current", value_name = "CHANNEL")]
        to: String,
        /// The registry
        #[command(flatten)]
        registry: RegistryPlace,
        /// The key
        #[command(flatten)]
        signing: Signing,
    },
    /// Keep a channel at a version, whatever is published
    Pin(PluginPin),
    /// Sign a pointer that was not, or was altered: after a look at where it points
    SignPointer(PluginSignPointer),
    /// Make a key to sign releases and pointers with
    #[command(after_help = "\
Example:
  towpath plugin keygen release.key
  towpath plugin publish crm --to s3://bucket/plugins --key release.key

`publish`, `promote`, `rollback` and `pin` need it.

The file is secret. What is printed goes into the config: [registry] public_key = \"…\".")]
    Keygen {
        /// The new file
        file: PathBuf,
    },
}

/// `plugin new`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath plugin new crm && cd crm && towpath plugin test
  towpath plugin new shop --lang python --from ~/recorded-events

--from takes recorded events (message.json, as `towpath record` writes them) and plain .json files, whose \
content becomes the body.")]
pub struct PluginNew {
    /// Its name, which is the folder's too: letters, digits and hyphens
    pub name: String,
    /// The language
    #[arg(long, value_enum, default_value = "rust")]
    pub lang: Language,
    /// Make cases from the recorded events in this folder
    #[arg(long, value_name = "DIR")]
    pub from: Option<PathBuf>,
}

/// `plugin test`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
A case is a folder below cases/ with message.json (a recorded event) and expected.json (the verdict and \
its fuel). Fuel may differ from the expectation by a fifth: another standard library uses other amounts. \
A plugin whose sources are newer than its component is built first. Engine and limits are those of production.

Examples:
  towpath plugin test                         exit code 1 if a case differs, 3 if a plugin is broken
  towpath plugin test plugins/github --filter issue
  towpath plugin test --update                write what the plugins say now, then look at git diff
  towpath plugin test --watch                 build and test again at every change
  towpath plugin test --junit report.xml")]
pub struct PluginTest {
    /// Folders of plugins [default: this folder, or those below plugins/]
    pub folders: Vec<PathBuf>,
    /// Write what the plugin says now as the expectation of each case. Where it fails (an error, a trap, a limit) nothing
    /// is written
    #[arg(long)]
    pub update: bool,
    /// With --update: also write failures, for cases on which the plugin should fail
    #[arg(long, requires = "update")]
    pub accept_faults: bool,
    /// Only cases whose names contain this
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// Build and test again at every change, until Ctrl-C
    #[arg(long, conflicts_with_all = ["update", "junit", "json"])]
    pub watch: bool,
    /// Also write a report in JUnit's format
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}

/// `plugin run`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath plugin run --event cases/first/message.json
  towpath plugin run plugins/shop --body order.json --header x-shopify-topic:orders/paid

Exit code 1 if the plugin fails on the event (an error, a trap, a limit); any verdict is 0.")]
pub struct PluginRun {
    /// The plugin's folder, or a .wasm file [default: this folder]
    #[arg(default_value = ".", value_name = "PLUGIN")]
    pub plugin: PathBuf,
    /// The recorded event
    #[arg(long, value_name = "FILE", required_unless_present = "body")]
    pub event: Option<PathBuf>,
    /// A file that becomes the body, instead of a recorded event
    #[arg(long, value_name = "FILE", conflicts_with = "event")]
    pub body: Option<PathBuf>,
    /// A header beside --body
    #[arg(long, value_name = "NAME:VALUE", requires = "body")]
    pub header: Vec<String>,
}

/// `plugin check`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Checks the world and the version of the contract, imports, a trial start, the targets against the config, size, \
what a call uses of the limits, and all cases. Exit code 1 if something is wrong, 3 if it does not load.

The component runs in the sandbox. A build does not: sources that are newer than their component are built first, and that \
runs what they bring on this machine as you: build scripts and macros of Rust, scripts of npm packages, of Python the set-up of \
packages. For sources that you have not read use --no-build, or a throwaway machine.

Examples:
  towpath plugin check
  towpath plugin check plugins/github -c towpath.toml
  towpath plugin check --no-build downloaded/crm      run nothing but the component, in its sandbox")]
pub struct PluginCheck {
    /// Build nothing: check the component that is there, older than its sources or not
    #[arg(long)]
    pub no_build: bool,
    /// Folders of plugins [default: this folder, or those below plugins/]
    pub folders: Vec<PathBuf>,
    /// The config whose targets count [default: towpath.toml, if there is one]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `plugin diff`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Example:
  towpath plugin diff released/crm.wasm plugins/crm --events plugins/crm/cases

Exit code 1 if a verdict changes.")]
pub struct PluginDiff {
    /// The build that runs: a folder or a .wasm file
    pub old: PathBuf,
    /// The build that is to replace it
    pub new: PathBuf,
    /// Recorded events (message.json), or folders of them
    #[arg(long, required = true, num_args = 1.., value_name = "DIR")]
    pub events: Vec<PathBuf>,
}

/// `plugin fuzz`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath plugin fuzz --minutes 5
  towpath plugin fuzz plugins/crm --runs 10000 --seed 7

A trap, running out of fuel, memory or time is a finding: its input is saved as cases/fuzz-…; exit code 1.")]
pub struct PluginFuzz {
    /// The plugin's folder [default: this folder]
    #[arg(default_value = ".", value_name = "PLUGIN")]
    pub plugin: PathBuf,
    /// How long
    #[arg(long, default_value_t = 1.0, value_name = "MINUTES", value_parser = minutes)]
    pub minutes: f64,
    /// How many mutated events at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub runs: Option<u64>,
    /// Where the mutations begin; the same seed makes the same ones [default: another each time, printed]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(minutes) if minutes > 0.0 && minutes <= 10_080.0 => Ok(minutes),
        _ => Err("minutes are a number above 0, such as 0.5, and a week at most".to_owned()),
    }
}

/// `record`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath record --to plugins/crm/cases --store .towpath --limit 20
  towpath record --to plugins/crm/cases --dead --store .towpath --redact /customer/name
  towpath record --to plugins/crm/cases --listen 127.0.0.1:8080   post to it; Ctrl-C ends
  towpath record --to plugins/crm/cases --listen 127.0.0.1:8090 --forward http://127.0.0.1:8080
                                              in front of a live ingest

Mail addresses, phone and card numbers, tokens, and the values of signature and authorization headers are \
replaced, and what --redact points to (a JSON pointer; `*` is every item or key). Equal values get equal \
replacements, by a key in .towpath/redact.key. Look at the result before it is committed: what is \
personal in free text is not known here.

No value of a header that holds a secret is written: of those with usual names, and of those that the routes and targets of the \
config name. The config is towpath.toml here, or what --config names.")]
pub struct Record {
    /// The folder that gets the cases
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Where the messages are
    #[command(flatten)]
    pub place: QueuePlace,
    /// Take the dead letters instead of what waits
    #[arg(long)]
    pub dead: bool,
    /// Take what is posted to this address instead; it is answered 202 and kept nowhere else
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["dead", "store", "queue_url"])]
    pub listen: Option<SocketAddr>,
    /// Hand what is posted on to this ingest, and answer what it answers, until Ctrl-C
    #[arg(long, value_name = "URL", requires = "listen", value_parser = super::url)]
    pub forward: Option<String>,
    /// Who may post, with --listen
    #[command(flatten)]
    pub names: super::Names,
    /// How many at most
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
    /// Only messages of this group; a star at the end stands for anything
    #[arg(long)]
    pub group: Option<String>,
    /// Replace what this JSON pointer finds in the body, such as /customer/*/name
    #[arg(long, value_name = "POINTER")]
    pub redact: Vec<String>,
    /// Replace nothing but what --redact points to, and values of headers that hold secrets
    #[arg(long)]
    pub keep_patterns: bool,
}
