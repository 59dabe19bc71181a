//! `towpath.toml`, or the same as JSON: read once, checked completely, every mistake shown with its key path.

mod algorithm;
pub mod answer;
pub mod archive;
mod check;
mod collect;
pub mod condition;
mod console;
pub mod env;
pub mod fetched;
pub mod headers;
pub mod hosts;
mod lines;
pub mod network;
mod notify;
mod origins;
pub mod pem;
pub mod plugin;
pub mod provider;
mod public_key;
pub mod registry;
pub mod route;
mod s3;
mod schemes;
pub mod secrets;
mod shape;
pub mod signature;
pub mod split;
pub mod target;
mod tenant;
pub mod value;
pub mod verify;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use archive::ArchiveConfig;
pub use collect::meant;
pub use console::ConsoleConfig;
pub use notify::{Notify, NotifyFormat, Trigger};
pub use registry::{RegistryConfig, RegistryUrl};
pub use s3::{S3Folder, S3Url};
pub use schemes::verification_schemes;
pub use secrets::{
    Form, Learned, LearnedStore, Learning, Lookup, NEVER_LEARNED, NotFetched, NotReplaced, Secret, SecretFolder,
    SecretStore, Secrets, Stored, Version,
};
pub use tenant::{NotATenantSecret, TenantSecret};

use lines::Lines;

use crate::plugin::Settings;
use crate::route::{Networks, Routes};
use crate::target::Target;
use towpath_files::regular;

#[derive(Debug)]
pub struct Config {
    pub file: PathBuf,
    /// `[queue]`.
    pub queue: QueueConfig,
    /// `[dead_letters]` `keep`: retention of dead letters in the local store; absent means forever.
    pub keep_dead_letters: Option<Duration>,
    /// `[dead_letters]` `note_key`: authenticates operators' notes, the front door's verdicts, and dead letters.
    pub note_keys: Vec<Secret>,
    /// The names of these secrets.
    pub note_key_names: Vec<String>,
    /// `[archive]`.
    pub archive: ArchiveConfig,
    /// `[ingest]`.
    pub ingest: IngestConfig,
    /// `[console]`; absent if the config has no such table.
    pub console: Option<ConsoleConfig>,
    /// `[holds]` `url`: the object in S3 that stores holds; absent for the local store.
    pub holds: Option<S3Url>,
    /// `[registry]`: the source of plugins without a path.
    pub registry: Option<RegistryConfig>,
    /// `[secrets]` `prefix`: prefix of secret names in Secrets Manager; absent for the environment.
    pub secrets_prefix: Option<String>,
    /// `[[route]]`, in order.
    pub routes: Routes,
    /// `[plugin.NAME]` by name.
    pub plugins: BTreeMap<String, Settings>,
    /// `[target.NAME]` by name.
    pub targets: BTreeMap<String, Target>,
    /// `[[notify]]`, in order.
    pub notify: Vec<Notify>,
}

/// `[queue]`: where messages are stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueueConfig {
    /// The SQS queue; absent for the local queue.
    pub url: Option<String>,
    /// The SQS dead-letter queue; absent for the local queue.
    pub dead_letter_url: Option<String>,
    /// The SQS queue for webhooks that the front door turned away; absent for the local queue, or to keep none.
    pub refused_url: Option<String>,
    /// The local queue's folder.
    pub store: PathBuf,
    /// How many groups are processed concurrently.
    pub concurrency: usize,
    /// Whether a function first extends the messages of a batch: the queue's visibility timeout is below six times the
    /// function's timeout.
    pub extend_visibility: bool,
}

/// `[ingest]`: the HTTP front door.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IngestConfig {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The prefix of all route paths: begins with `/` and does not end with one, or is empty.
    pub prefix: String,
    /// The longest accepted body, in bytes.
    pub body_limit: usize,
    /// The web origins that may post, such as `https://forms.example.com`.
    pub allow_origins: Vec<String>,
    /// Proxies in front of the host: what they say of the sender's address is believed.
    pub trusted_proxies: Networks,
}

/// One mistake: where it is, what it is, and how to fix it.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Mistake {
    /// The key path, such as `route[0].verify.secret`.
    pub at: String,
    pub problem: String,
    /// How to fix it; may be empty.
    pub hint: String,
    /// The line in the file, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
}

/// A config as far as it could be read, with all its mistakes.
#[derive(Debug)]
pub struct Draft {
    /// Valid only without mistakes. Otherwise wrong keys have their defaults, and wrong tables may be missing.
    pub config: Config,
    /// All mistakes, in no particular order.
    pub mistakes: Vec<Mistake>,
    /// What does no harm but is probably not intended.
    pub warnings: Vec<Mistake>,
    /// The names of all targets in the file, valid or not.
    pub targets: Vec<String>,
}

/// Why there is no config.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {}", file.display())]
    Read { file: PathBuf, source: std::io::Error },
    #[error("{} is not valid {format}", file.display())]
    Syntax {
        file: PathBuf,
        /// `TOML` or `JSON`.
        format: &'static str,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{} has {}:{}", file.display(), count(mistakes.len()), Listed(mistakes))]
    Mistakes { file: PathBuf, mistakes: Vec<Mistake> },
}

impl Config {
    /// Reads and checks a config file. Relative paths in it are relative to its folder.
    pub fn load(file: &Path, secrets: &Secrets) -> Result<Config, ConfigError> {
        let text = regular::read_text(file, regular::MAX_CONFIG)
            .map_err(|source| ConfigError::Read { file: file.to_owned(), source })?;
        Config::parse(&text, file, secrets)
    }

    /// Checks the text of a config file: JSON if the file's name ends in `.json`, else TOML.
    pub fn parse(text: &str, file: &Path, secrets: &Secrets) -> Result<Config, ConfigError> {
        let Draft { config, mistakes, .. } = Config::draft(text, file, secrets)?;
        if mistakes.is_empty() { Ok(config) } else { Err(ConfigError::Mistakes { file: file.to_owned(), mistakes }) }
    }

    /// What cannot work yet because a secret is not available, each with the reason.
    pub fn unready(&self) -> BTreeMap<String, String> {
        let routes = self.routes.iter().map(|route| ("route", &route.path, &route.unready));
        let plugins = self.plugins.iter().map(|(name, plugin)| ("plugin", name, &plugin.unready));
        let targets = self.targets.iter().map(|(name, target)| ("target", name, &target.unready));
        let all = routes.chain(plugins).chain(targets);
        all.filter_map(|(kind, name, why)| Some((format!("{kind} {name}"), why.clone()?))).collect()
    }

    /// Like [`Config::parse`], for callers that check more. Fails only if the text is not TOML or JSON at all.
    pub fn draft(text: &str, file: &Path, secrets: &Secrets) -> Result<Draft, ConfigError> {
        let mut draft = check::check(table(text, file)?, file, secrets);
        draft.locate(text);
        Ok(draft)
    }
}

/// The text of a config file: JSON if the file's name ends in `.json`, else TOML.
fn table(text: &str, file: &Path) -> Result<toml::Table, ConfigError> {
    let syntax = |format, source| ConfigError::Syntax { file: file.to_owned(), format, source };
    if file.extension().is_some_and(|extension| extension == "json") {
        serde_json::from_str(text).map_err(|source| syntax("JSON", source.into()))
    } else {
        text.parse().map_err(|source: toml::de::Error| syntax("TOML", source.into()))
    }
}

impl Draft {
    /// Sets the lines of all mistakes and warnings from the text of the file.
    pub fn locate(&mut self, text: &str) {
        let lines = Lines::of(text);
        for mistake in self.mistakes.iter_mut().chain(&mut self.warnings) {
            mistake.line = lines.find(&mistake.at);
        }
    }
}

impl Mistake {
    /// The line and the hint, if there are any: `line 6; hint: …`.
    pub fn help(&self) -> Option<String> {
        let line = self.line.map(|line| format!("line {line}"));
        let hint = (!self.hint.is_empty()).then(|| format!("hint: {}", self.hint));
        let parts: Vec<String> = line.into_iter().chain(hint).collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

fn count(mistakes: usize) -> String {
    match mistakes {
        1 => "1 mistake".to_owned(),
        n => format!("{n} mistakes"),
    }
}

struct Listed<'a>(&'a [Mistake]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mistake in self.0 {
            write!(f, "\n  {}: {}", mistake.at, mistake.problem)?;
            if let Some(help) = mistake.help() {
                write!(f, "\n    {help}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
