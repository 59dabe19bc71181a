//! Providers: senders whose signatures, keys and handshakes are known. Their files are compiled in.

mod arguments;
mod example;
mod expand;
mod parameters;
mod uses;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use toml::Table;

use crate::collect::meant;

pub(crate) use expand::expand_routes;
pub use parameters::Parameter;
pub use uses::{Use, uses};

/// Name and text of each file, sorted by name.
static FILES: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/providers.rs"));

/// What is known about a provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// What a route writes as `provider`.
    #[serde(skip)]
    pub name: &'static str,
    pub title: String,
    /// The address of the provider's documentation.
    pub doc: String,
    pub confidence: Confidence,
    /// Where to get the secret; absent if there is none.
    secret: Option<String>,
    /// What to do at the provider, step by step.
    pub setup: Vec<String>,
    /// How often the provider repeats a webhook that failed, if known.
    pub retries: Option<String>,
    /// How long the provider waits for the answer, if known.
    pub timeout: Option<String>,
    #[serde(default)]
    pub notes: Vec<String>,
    /// What of the provider's own proof or answer Towpath cannot do.
    pub unsupported: Option<String>,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    /// Keys of `[[route]]`, with parameters such as `$secret`.
    route: Table,
    #[serde(skip)]
    text: &'static str,
}

/// How well what the file says is known to be true.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    High,
    Medium,
    Low,
}

impl Confidence {
    pub fn as_str(self) -> &'static str {
        match self {
            Confidence::High => "high",
            Confidence::Medium => "medium",
            Confidence::Low => "low",
        }
    }
}

impl Provider {
    /// The provider of this name.
    #[expect(clippy::expect_used, reason = "the files are part of the program, and a test reads each one")]
    pub fn find(name: &str) -> Option<Provider> {
        let (name, text) = FILES.iter().find(|(known, _)| *known == name)?;
        Some(Provider::read(name, text).expect("a sound provider file"))
    }

    /// All providers, sorted by name.
    pub fn all() -> impl Iterator<Item = Provider> {
        Provider::names().filter_map(Provider::find)
    }

    pub fn names() -> impl Iterator<Item = &'static str> {
        FILES.iter().map(|(name, _)| *name)
    }

    /// What to say about a name that is not known.
    pub fn hint(unknown: &str) -> String {
        format!("{}`towpath provider list` prints all of them", meant(unknown, Provider::names()))
    }

    fn read(name: &'static str, text: &'static str) -> Result<Provider, toml::de::Error> {
        Ok(Provider { name, text, ..toml::from_str(text)? })
    }

    /// The keys of its `[[route]]`, with parameters such as `$secret`.
    pub fn route(&self) -> &Table {
        &self.route
    }

    /// How it proves who it is, in a word: an algorithm, or what is sent along. Several are joined by a comma.
    pub fn proof(&self) -> String {
        let mut words: Vec<&str> = Vec::new();
        for way in self.ways() {
            let text = |key: &str| way.get(key).and_then(toml::Value::as_str);
            let word = match text("scheme").unwrap_or_default() {
                "signature" => text("algorithm").unwrap_or("hmac-sha256"),
                "hmac" | "github" | "shopify" | "stripe" | "slack" | "hubspot" => "hmac-sha256",
                "token" | "header" | "bearer" => "token",
                scheme => scheme,
            };
            if !words.contains(&word) {
                words.push(word);
            }
        }
        words.join(", ")
    }

    /// The tables of `verify`.
    fn ways(&self) -> impl Iterator<Item = &Table> {
        let verify = self.route.get("verify");
        let list = verify.and_then(toml::Value::as_array).into_iter().flatten();
        verify.filter(|verify| verify.is_table()).into_iter().chain(list).filter_map(toml::Value::as_table)
    }

    /// Whether it asks the endpoint to prove itself before it sends events.
    pub fn has_handshake(&self) -> bool {
        self.route.contains_key("answer")
    }

    /// Whether one request holds several events, each of which becomes a message.
    pub fn splits(&self) -> bool {
        self.route.contains_key("split")
    }

    /// Whether its secret comes in a handshake, and the route keeps it.
    pub fn sends_secret(&self) -> bool {
        let answers = self.route.get("answer").and_then(toml::Value::as_array).into_iter().flatten();
        answers.filter_map(toml::Value::as_table).any(|answer| answer.contains_key("keep"))
    }

    /// Whether it proves nothing itself: the operator puts a secret into the URL.
    pub fn proves_by_url(&self) -> bool {
        let is_in_query = |way: &Table| {
            let token = way.get("token").and_then(toml::Value::as_str);
            token.is_some_and(|token| token.starts_with("query:"))
        };
        self.ways().count() > 0 && self.ways().all(is_in_query)
    }

    /// Whether the id of its events is known.
    pub fn has_dedup(&self) -> bool {
        self.route.contains_key("dedup")
    }

    /// Whether its events have a known order key. Without one all events of a route are one group.
    pub fn has_order(&self) -> bool {
        self.route.contains_key("order")
    }
}

#[cfg(test)]
mod tests;
