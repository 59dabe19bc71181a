//! The command line of `plugin` and `record`.

mod release;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use self::release::RULES;
pub use self::release::{PluginPin, PluginPublish, PluginRollback, PluginSignPointer, RegistryPlace, Signing};
use super::{ConfigFile, QueuePlace};
use crate::toolchain::Language;

/// `plugin`.
#[derive(Subcommand, Debug)]
pub enum Plugin {
    /// Make a plugin: a folder that builds, with a mapping and cases that pass
    New(PluginNew),
    /// Build plugins in Rust, JavaScript and Python
    #[command(after_help = "\
The files of a folder decide how it is built. Cargo.toml: `cargo build --target wasm32-wasip2`, or `cargo component build` with \
[package.metadata.component]. package.json and plugin.js: componentize-js. plugin.py: componentize-py. The result is plugin.wasm \
in the same folder.

Examples:
  towpath plugin build                        this plugin, or those below plugins/ or this folder
  towpath plugin build plugins/github --precompile

Exit codes: 0 built; 2 there is nothing to build; 3 a plugin does not build.")]
    Build {
        /// Plugin folders [default: this folder if it is a plugin, else all directly below plugins/ or below this folder]
        folders: Vec<PathBuf>,
        /// Also compile to native code (plugin.cwasm and its manifest), which the Lambda host needs
        #[arg(long)]
        precompile: bool,
        /// The target triple to precompile for [default: this machine's]
        #[arg(long, value_name = "TRIPLE", requires = "precompile")]
        target: Option<String>,
    },
    /// Run the cases of plugins: recorded events with expected verdicts
    Test(PluginTest),
    /// Run a plugin on one event; print verdict and logs
    Run(PluginRun),
    /// Check plugins as a host would, and run their cases
    Check(PluginCheck),
    /// Show what a plugin contains and may access: a security review on one screen
    #[command(after_help = "\
Examples:
  towpath plugin inspect plugins/crm
  towpath plugin inspect downloaded/plugin.wasm --json

It builds nothing and never runs native code. Exit code 3 if the component does not load.")]
    Inspect {
        /// The plugin's folder, or a .wasm file [default: this folder]
        #[arg(default_value = ".", value_name = "PLUGIN")]
        plugin: PathBuf,
    },
    /// Compare two builds of a plugin on recorded events
    Diff(PluginDiff),
    /// Run a plugin on mutated events; an event that traps it or hits a limit becomes a case
    Fuzz(PluginFuzz),
    /// Check, compile and release a plugin to a registry; hosts swap within 30 seconds
    Publish(PluginPublish),
    /// List the plugins of the config: what each is now, the routes that use it, and how often its builds ran
    #[command(after_help = "\
Examples:
  towpath plugin list
  towpath plugin list --json | jq '.plugins[] | select(.problem)'

BUILD is what the path or the channel means now; a running host follows a channel within 30 seconds, and a path when it is \
restarted. PASSES are counted in the last 8 MiB of the story: those that were delivered or skipped, of all.

Exit codes: 0 if every plugin resolves to a build; 1 if one does not; 2 if the config cannot be read.")]
    List {
        /// The config
        #[command(flatten)]
        config: ConfigFile,
    },
    /// List the released versions of a plugin and the channels at them
    #[command(after_help = "\
Examples:
  towpath plugin versions crm
  towpath plugin versions crm --registry s3://bucket/plugins --json
  towpath plugin versions crm --compare current candidate

--compare shows what differs between two of them: contract, cases, targets, imports and exports. It runs neither.

Exit codes: 0 if hosts can load and follow every channel; 1 if not; 2 if the registry has no such plugin. With --compare: 0 if \
nothing differs; 1 if something does.")]
    Versions {
        /// The plugin's name in the registry
        name: String,
        /// Show what differs between two versions, or channels
        #[arg(long, num_args = 2, value_names = ["OLD", "NEW"])]
        compare: Option<Vec<String>>,
        /// The registry
        #[command(flatten)]
        registry: RegistryPlace,
    },
    /// Move a channel back to an earlier version
    Rollback(PluginRollback),
    /// Move a channel to the version of another one: the candidate becomes current
    #[command(after_help = format!("\
Examples:
  towpath plugin promote crm                      current becomes what candidate is
  towpath plugin promote crm --from beta --to candidate

{RULES}

Exit codes: 0 moved; 1 somebody else moved the channel, or it is pinned; 2 there is no such version, its manifest cannot be used, or it could not be signed."))]
    Promote {
        /// The plugin's name in the registry
        name: String,
        /// The channel to take the version from
        #[arg(long, default_value = "candidate", value_name = "CHANNEL")]
        from: String,
        /// The channel to move
        #[arg(long, default_value = "current", value_name = "CHANNEL")]
        to: String,
        /// The registry
        #[command(flatten)]
        registry: RegistryPlace,
        /// The signing key
        #[command(flatten)]
        signing: Signing,
    },
    /// Keep a channel at a version; a publish does not move it
    Pin(PluginPin),
    /// Sign a pointer that was never signed or was altered, after a look at what it points to
    SignPointer(PluginSignPointer),
    /// Make a key that signs releases and pointers
    #[command(after_help = "\
Examples:
  towpath plugin keygen release.key
  towpath plugin publish crm --to s3://bucket/plugins --key release.key

Keep the file secret. Put the printed line into the config: [registry] public_key = \"…\". From then on `publish`, `promote`, \
`rollback`, `pin` and `sign-pointer` need the key (--key, or TOWPATH_SIGNING_KEY_FILE), and hosts follow only what it signed. \
Use a key for one registry only. For a registry that has releases already, see docs/operate/release-plugins.md.

Exit code 2 if the file exists: a key is never overwritten.")]
    Keygen {
        /// The file to write, which must not exist
        file: PathBuf,
    },
}

/// `plugin new`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath plugin new crm && cd crm && towpath plugin test
  towpath plugin new shop --lang python --from ~/recorded-events

--from takes recorded events (message.json, as `towpath record` writes them) and plain .json files, whose content becomes the \
body. `towpath init` writes a config for the plugin.

Exit code 2 if the name is not allowed or the folder exists; nothing is written then.")]
pub struct PluginNew {
    /// The name of the plugin and its folder: lower-case letters, digits and hyphens; a letter first
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
A case is a folder below cases/ with message.json (a recorded event) and expected.json (the verdict and its fuel). Fuel may \
differ by a fifth, because another standard library uses other amounts. A plugin whose sources are newer than its component is \
built first. Engine and limits are those of production, except the timeout, which is 60 s.

Examples:
  towpath plugin test
  towpath plugin test plugins/github --filter issue
  towpath plugin test --update                write the current verdicts, then review git diff
  towpath plugin test --watch                 build and test again after every change
  towpath plugin test --junit report.xml

Exit codes: 0 if all cases pass; 1 if one differs or there is none; 3 if a plugin does not build or load; 130 ends --watch.")]
pub struct PluginTest {
    /// Plugin folders [default: this folder if it is a plugin, else all directly below plugins/ or below this folder]
    pub folders: Vec<PathBuf>,
    /// Write the current verdict of each case to its expected.json. If the plugin fails (an error, a trap, a limit), nothing is
    /// written
    #[arg(long)]
    pub update: bool,
    /// With --update: also write failures, for cases on which the plugin should fail
    #[arg(long, requires = "update")]
    pub accept_faults: bool,
    /// Only cases whose names contain this
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// Build and test again after every change, until Ctrl-C
    #[arg(long, conflicts_with_all = ["update", "junit", "json"])]
    pub watch: bool,
    /// Also write a JUnit report to this file
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}

/// `plugin run`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath plugin run --event cases/first/message.json
  towpath plugin run plugins/shop --body order.json --header x-shopify-topic:orders/paid

Exit codes: 0 for any verdict; 1 if the plugin fails on the event (an error, a trap, a limit); 3 if it does not build or load.")]
pub struct PluginRun {
    /// The plugin's folder, or a .wasm file [default: this folder]
    #[arg(default_value = ".", value_name = "PLUGIN")]
    pub plugin: PathBuf,
    /// The recorded event
    #[arg(long, value_name = "FILE", required_unless_present = "body")]
    pub event: Option<PathBuf>,
    /// A file to use as the body, instead of a recorded event
    #[arg(long, value_name = "FILE", conflicts_with = "event")]
    pub body: Option<PathBuf>,
    /// A header to send with --body; may be repeated
    #[arg(long, value_name = "NAME:VALUE", requires = "body")]
    pub header: Vec<String>,
}

/// `plugin check`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
It checks world and version of the contract, imports, a trial start, the targets against the config, the size, how much of the \
limits a call uses, and all cases.

The component runs in the sandbox; a build does not. Sources that are newer than their component are built first, and that runs \
their code on this machine as you: build scripts and macros of Rust, scripts of npm packages, the setup of Python packages. For \
sources that you have not read, use --no-build or a throwaway machine.

Examples:
  towpath plugin check
  towpath plugin check plugins/github -c towpath.toml
  towpath plugin check --no-build downloaded/crm      run only the component, in its sandbox

Exit codes: 0 if all checks pass; 1 if one fails; 3 if a plugin does not build or load.")]
pub struct PluginCheck {
    /// Build nothing: check the component as it is, even if its sources are newer
    #[arg(long)]
    pub no_build: bool,
    /// Plugin folders [default: this folder if it is a plugin, else all directly below plugins/ or below this folder]
    pub folders: Vec<PathBuf>,
    /// The config whose targets the plugin may name [default: towpath.toml, if it exists]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `plugin diff`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Example:
  towpath plugin diff released/crm.wasm plugins/crm --events plugins/crm/cases

Exit codes: 0 if all verdicts are the same; 1 if one changes; 3 if a build does not load.")]
pub struct PluginDiff {
    /// The current build: a folder or a .wasm file
    pub old: PathBuf,
    /// The new build: a folder or a .wasm file
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

A finding is a trap, or a call that runs out of fuel, memory or time. Its input is saved as cases/fuzz-…. After ten findings \
it stops.

Exit codes: 0 without a finding; 1 with one; 3 if the plugin does not build or load.")]
pub struct PluginFuzz {
    /// The plugin's folder [default: this folder]
    #[arg(default_value = ".", value_name = "PLUGIN")]
    pub plugin: PathBuf,
    /// How long to fuzz, in minutes
    #[arg(long, default_value_t = 1.0, value_name = "MINUTES", value_parser = minutes)]
    pub minutes: f64,
    /// The most mutated events to try
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub runs: Option<u64>,
    /// The seed of the mutations; the same seed makes the same ones [default: random, printed]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// A name that fits a plugin, its folder and a route.
pub fn plugin_name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(fits) && text.len() <= 64 {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{text:?} is not a plugin name: use lower-case letters, digits and hyphens, a letter first, at most 64"
    ))
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(minutes) if minutes > 0.0 && minutes <= 10_080.0 => Ok(minutes),
        _ => Err("minutes must be above 0, such as 0.5, and at most 10080, a week".to_owned()),
    }
}

/// `record`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath record --to plugins/crm/cases --store .towpath --limit 20
  towpath record --to plugins/crm/cases --dead --store .towpath --redact /customer/name
  towpath record --to plugins/crm/cases --listen 127.0.0.1:8080   post to it; Ctrl-C ends it
  towpath record --to plugins/crm/cases --listen 127.0.0.1:8090 --forward http://127.0.0.1:8080
                                              in front of a live ingest

Redaction: mail addresses, phone and card numbers, tokens, and the values that --redact points to are replaced. In a pointer, \
`*` is every item or key. Equal values get equal replacements, by a key in .towpath/redact.key. Review the result before you \
commit it: personal data in free text is not recognised.

Headers: values of signature and authorization headers, and of others that hold secrets, are never written: those with common \
names, and those that the routes and targets of the config name. The config is towpath.toml here, or the one of --config.

Exit codes: 0 recorded; 1 there was nothing to record; 2 the source cannot be read.")]
pub struct Record {
    /// The folder for the cases
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// The store or queue
    #[command(flatten)]
    pub place: QueuePlace,
    /// Record dead letters instead of waiting messages
    #[arg(long)]
    pub dead: bool,
    /// Listen at this address and record what is posted; it is answered 202 and stored nowhere else
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["dead", "store", "queue_url"])]
    pub listen: Option<SocketAddr>,
    /// With --listen: forward each request to this ingest and return its answer, until Ctrl-C
    #[arg(long, value_name = "URL", requires = "listen", value_parser = super::url)]
    pub forward: Option<String>,
    /// Allowed host names, with --listen
    #[command(flatten)]
    pub names: super::Names,
    /// The most messages to record
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
    /// Only messages of this group; a star at the end matches anything
    #[arg(long)]
    pub group: Option<String>,
    /// Also replace the values at this JSON pointer in the body, such as /customer/*/name; may be repeated
    #[arg(long, value_name = "POINTER")]
    pub redact: Vec<String>,
    /// Replace only what --redact points to, and values of headers that hold secrets
    #[arg(long)]
    pub keep_patterns: bool,
}
