//! The shape of `towpath.toml` as written: every table and key, before any check.

mod answer;
mod auth;
mod fetched;
mod forward;
mod notify;
mod split;
mod verify;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use toml::Value;

use crate::route::{OnDeadLetter, OnMissingKey};
pub(super) use answer::{Ack, Answer};
pub(super) use auth::Auth;
pub(super) use fetched::{Call, Certificate, Fetch, Fetched, Jwks};
pub(super) use forward::Forward;
pub(super) use notify::{Format, Notify, On};
pub(super) use split::Split;
pub(super) use verify::{At, Jwt, Pairs, Signature, Token, Verify, When};

/// The whole file. Wrong values are missing, or replaced by an empty text.
#[derive(Debug, Default)]
pub(super) struct Shape {
    pub(super) queue: Queue,
    pub(super) dead_letters: DeadLetters,
    pub(super) archive: Archive,
    pub(super) ingest: Ingest,
    pub(super) console: Option<Console>,
    pub(super) holds: Holds,
    pub(super) registry: Registry,
    pub(super) secrets: Option<Secrets>,
    pub(super) routes: Vec<(usize, Route)>,
    pub(super) plugins: BTreeMap<String, Plugin>,
    pub(super) targets: BTreeMap<String, Target>,
    pub(super) notify: Vec<(usize, Notify)>,
    /// All names in the file, valid or not: a reference to an invalid entry is not a second mistake.
    pub(super) named: BTreeMap<&'static str, Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Queue {
    pub(super) url: Option<String>,
    pub(super) dead_letter_url: Option<String>,
    pub(super) refused_url: Option<String>,
    pub(super) store: Option<PathBuf>,
    pub(super) concurrency: Option<usize>,
    #[serde(default)]
    pub(super) extend_visibility: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeadLetters {
    pub(super) keep: Option<Span>,
    pub(super) note_key: Option<Names>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Archive {
    pub(super) keep: Option<Span>,
    pub(super) max_size: Option<ByteSize>,
    pub(super) folder: Option<PathBuf>,
    pub(super) stream: Option<String>,
    pub(super) bucket: Option<String>,
    #[serde(default)]
    pub(super) redact: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ingest {
    pub(super) listen: Option<SocketAddr>,
    pub(super) prefix: Option<String>,
    pub(super) body_limit: Option<ByteSize>,
    #[serde(default)]
    pub(super) allow_origins: Vec<String>,
    #[serde(default)]
    pub(super) trusted_proxies: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Console {
    pub(super) listen: Option<SocketAddr>,
    #[serde(default)]
    pub(super) read_only: bool,
    pub(super) identity_header: Option<String>,
    #[serde(default)]
    pub(super) trusted_proxies: Vec<String>,
    pub(super) operators: Option<Vec<String>>,
    #[serde(default)]
    pub(super) allow_hosts: Vec<String>,
    pub(super) builds: Option<PathBuf>,
    pub(super) url: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    pub(super) path: String,
    pub(super) methods: Option<Vec<String>>,
    #[serde(default)]
    pub(super) allow_from: Vec<String>,
    pub(super) rate: Option<f64>,
    #[serde(default)]
    pub(super) ingress: Ingress,
    pub(super) group: String,
    pub(super) dedup: Option<String>,
    pub(super) unwrap: Option<String>,
    pub(super) split: Option<Split>,
    #[serde(default)]
    pub(super) on_missing_key: OnMissingKey,
    pub(super) plugin: Option<String>,
    pub(super) target: Option<String>,
    pub(super) forward: Option<Forward>,
    pub(super) shadow: Option<String>,
    pub(super) canary: Option<String>,
    pub(super) verify: Option<Value>,
    #[serde(default)]
    pub(super) answer: Vec<Answer>,
    pub(super) ack: Option<Ack>,
    #[serde(default)]
    pub(super) on_dead_letter: OnDeadLetter,
    pub(super) max_age: Option<Span>,
}

/// Who stores the webhooks of a route on AWS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Ingress {
    /// The ingest function.
    #[default]
    Lambda,
    /// API Gateway itself.
    Direct,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plugin {
    pub(super) path: Option<PathBuf>,
    pub(super) version: Option<String>,
    pub(super) sha256: Option<String>,
    pub(super) min_sequence: Option<u64>,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) config: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    pub(super) secrets: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) memory: Option<ByteSize>,
    pub(super) fuel: Option<u64>,
    pub(super) timeout: Option<Span>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    pub(super) url: String,
    pub(super) auth: Option<Value>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    pub(super) timeout: Option<Span>,
    #[serde(default)]
    pub(super) retry: Retry,
    #[serde(default)]
    pub(super) allow_private: bool,
    pub(super) ca: Option<String>,
    pub(super) proxy: Option<String>,
    #[serde(default)]
    pub(super) plugin_secrets: Vec<String>,
    #[serde(default)]
    pub(super) plugin_headers: Vec<String>,
    pub(super) connection_max_age: Option<Span>,
    pub(super) concurrency: Option<usize>,
    pub(super) rate: Option<f64>,
    #[serde(default)]
    pub(super) breaker: Breaker,
    #[serde(default)]
    pub(super) hold: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Breaker {
    pub(super) failures: Option<u32>,
    pub(super) on: Option<Vec<Status>>,
    pub(super) base: Option<Span>,
    pub(super) cap: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Holds {
    pub(super) url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Registry {
    pub(super) url: Option<String>,
    pub(super) public_key: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Secrets {
    #[serde(default)]
    pub(super) prefix: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Retry {
    pub(super) on: Option<Vec<Status>>,
    pub(super) base: Option<Span>,
    pub(super) cap: Option<Span>,
}

/// One status or several: `404`, `"404"`, `"500-504"`, `"5xx"` or `"default"`.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a status such as 429, a range such as \"500-504\", \"5xx\" or \"default\"")]
pub(super) enum Status {
    Number(i64),
    Text(String),
}

/// The name of a secret, or several.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected the name of a secret, or a list of names")]
pub(super) enum Names {
    One(String),
    Many(Vec<String>),
}

impl Names {
    pub(super) fn names(&self) -> Vec<String> {
        match self {
            Names::One(name) => vec![name.clone()],
            Names::Many(names) => names.clone(),
        }
    }

    /// The names, each with its suffix to the key path.
    pub(super) fn indexed(self) -> Vec<(String, String)> {
        match self {
            Names::One(name) => vec![(String::new(), name)],
            Names::Many(names) => names.into_iter().enumerate().map(|(i, name)| (format!("[{i}]"), name)).collect(),
        }
    }
}

/// A duration such as `10s`, `15m` or `3d`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span(pub(super) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parsed = humantime::parse_duration(&text);
        parsed.map(Span).map_err(|error| {
            D::Error::custom(format!("{text:?} is not a duration such as \"10s\", \"15m\" or \"3d\": {error}"))
        })
    }
}
