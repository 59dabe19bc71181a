//! `towpath.toml`, or the same as JSON: read once, checked whole, every mistake shown with its key path.

mod check;
mod collect;
pub mod env;
pub mod headers;
mod lines;
pub mod network;
pub mod pem;
pub mod plugin;
pub mod registry;
pub mod route;
mod s3;
pub mod secrets;
mod shape;
pub mod signature;
pub mod target;
pub mod verify;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use registry::{RegistryConfig, RegistryUrl};
pub use s3::S3Url;
pub use secrets::{Form, Secret, SecretStore, Secrets};

use lines::Lines;

use crate::plugin::Settings;
use crate::route::Routes;
use crate::target::Target;
use towpath_files::regular;

/// A checked config.
#[derive(Debug)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// `[queue]`.
    pub queue: QueueConfig,
    /// `[dead_letters]` `keep`: how long dead letters of the local store are kept; absent for ever.
    pub keep_dead_letters: Option<Duration>,
    /// `[dead_letters]` `note_key`: what proves operators' notes.
    pub note_keys: Vec<Secret>,
    /// The names of its secrets.
    pub note_key_names: Vec<String>,
    /// `[ingest]`.
    pub ingest: IngestConfig,
    /// `[holds]` `url`: the object in S3 where holds are kept; absent for the local store.
    pub holds: Option<S3Url>,
    /// `[registry]`: where plugins without a path come from.
    pub registry: Option<RegistryConfig>,
    /// `[secrets]` `prefix`: what stands before a secret's name in Secrets Manager; absent for the environment.
    pub secrets_prefix: Option<String>,
    /// `[[route]]`, in order.
    pub routes: Routes,
    /// `[plugin.NAME]` by name.
    pub plugins: BTreeMap<String, Settings>,
    /// `[target.NAME]` by name.
    pub targets: BTreeMap<String, Target>,
}

/// `[queue]`: where messages are stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueueConfig {
    /// The SQS queue; absent for the local queue.
    pub url: Option<String>,
    /// The SQS dead-letter queue; absent for the local queue.
    pub dead_letter_url: Option<String>,
    /// The SQS queue for what the front door refuses; absent for the local queue, or to keep nothing.
    pub refused_url: Option<String>,
    /// The local queue's folder.
    pub store: PathBuf,
    /// How many groups are worked on at the same time.
    pub concurrency: usize,
}

/// `[ingest]`: the HTTP front door.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IngestConfig {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// What stands before a route's path: starts with `/` and does not end with one, or is empty.
    pub prefix: String,
    /// The longest body that is taken, in bytes.
    pub body_limit: usize,
    /// The origins of web pages that may post, such as `https://forms.example.com`.
    pub allow_origins: Vec<String>,
}

/// One mistake: where, what, and what would be right.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Mistake {
    /// The key path, such as `route[0].verify.secret`.
    pub at: String,
    /// What is wrong.
    pub problem: String,
    /// What to do about it; may be empty.
    pub hint: String,
    /// The line of the file that it is on, as far as that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
}

/// A config as far as it could be read, and all that is wrong with it.
#[derive(Debug)]
pub struct Draft {
    /// What counts if nothing is wrong. Else keys that are wrong have their defaults, and tables that are wrong may be
    /// missing.
    pub config: Config,
    /// What is wrong, in no order that matters.
    pub mistakes: Vec<Mistake>,
    /// What does no harm and is hardly meant.
    pub warnings: Vec<Mistake>,
    /// The names of all targets that were written, well or badly.
    pub targets: Vec<String>,
}

/// Why there is no config.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no TOML, or no JSON.
    #[error("{} is not valid {format}", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// `TOML` or `JSON`.
        format: &'static str,
        /// Where and why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file has mistakes.
    #[error("{} has {}:{}", file.display(), count(mistakes.len()), Listed(mistakes))]
    Mistakes {
        /// The file.
        file: PathBuf,
        /// All of them.
        mistakes: Vec<Mistake>,
    },
}

impl Config {
    /// Reads and checks a config file. Relative paths in it are relative to its folder.
    pub fn load(file: &Path, secrets: &Secrets) -> Result<Config, ConfigError> {
        let text = regular::read_text(file, regular::MAX_CONFIG)
            .map_err(|source| ConfigError::Read { file: file.to_owned(), source })?;
        Config::parse(&text, file, secrets)
    }

    /// Checks the text of a config file: JSON if its name ends in `.json`, else TOML.
    pub fn parse(text: &str, file: &Path, secrets: &Secrets) -> Result<Config, ConfigError> {
        let Draft { config, mistakes, .. } = Config::draft(text, file, secrets)?;
        match mistakes.is_empty() {
            true => Ok(config),
            false => Err(ConfigError::Mistakes { file: file.to_owned(), mistakes }),
        }
    }

    /// As [`Config::parse`], for whoever finds more mistakes in it. Fails only where the text is no TOML, or no JSON.
    pub fn draft(text: &str, file: &Path, secrets: &Secrets) -> Result<Draft, ConfigError> {
        let syntax = |format, source| ConfigError::Syntax { file: file.to_owned(), format, source };
        let table = match file.extension().is_some_and(|extension| extension == "json") {
            true => serde_json::from_str::<toml::Table>(text).map_err(|source| syntax("JSON", source.into()))?,
            false => text.parse::<toml::Table>().map_err(|source| syntax("TOML", source.into()))?,
        };
        let mut draft = check::check(table, file, secrets);
        draft.locate(text);
        Ok(draft)
    }
}

impl Draft {
    /// Finds the lines of all mistakes and warnings in the text of the file.
    pub fn locate(&mut self, text: &str) {
        let lines = Lines::of(text);
        for mistake in self.mistakes.iter_mut().chain(&mut self.warnings) {
            mistake.line = lines.find(&mistake.at);
        }
    }
}

impl Mistake {
    /// Its line and its hint, as far as there are any: `line 6; hint: …`.
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
