//! `[[route]]`: which webhooks it takes, how they are grouped, and what makes requests of them.

mod admission;
mod mapping;
mod pattern;
mod rollout;
mod template;

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde::Deserialize;
use towpath_types::envelope::REST;
use towpath_types::queue::GroupId;

pub(crate) use admission::network;
pub use admission::{Admission, Networks, Rate};
pub use mapping::{Forward, Mapping};
pub use pattern::PathPattern;
pub use rollout::{Canary, Rollout, Share};
pub use template::{Part, Template, TemplateError};

use crate::answer::{Answer, Reply};
use crate::secrets::Learned;
use crate::split::Split;
use crate::value::{Source, Template as Templated, Value};
use crate::verify::Verification;

/// One `[[route]]` of the config.
#[derive(Debug)]
pub struct Route {
    /// The path below the ingest prefix, without leading or trailing slashes.
    pub path: String,
    pub pattern: PathPattern,
    /// The methods of events.
    pub methods: Vec<Method>,
    /// Answers to requests that are no events, in order.
    pub answers: Vec<Answer>,
    /// The answer to an event that is stored, if it is not the usual one.
    pub ack: Option<Reply>,
    pub group: Template,
    /// Where the deduplication key is; without it every POST is a separate message.
    pub dedup: Option<Value>,
    /// The value of a webhook that is the event, if it is not the body.
    pub unwrap: Option<Value>,
    /// The array each element of which is an event.
    pub split: Option<Split>,
    /// What happens to a webhook whose group or deduplication key cannot be read.
    pub on_missing_key: OnMissingKey,
    /// What makes requests of them.
    pub mapping: Mapping,
    /// Who may send to it, and how fast.
    pub admission: Admission,
    /// How webhooks are verified.
    pub verify: Option<Verification>,
    /// What happens instead of dead-lettering.
    pub on_dead_letter: OnDeadLetter,
    /// The age at which a message is given up.
    pub max_age: Duration,
    /// Why it can neither take nor pass on a webhook yet: a secret is not available.
    pub unready: Option<String>,
}

/// What happens to a webhook whose keys cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnMissingKey {
    /// Store it: in the group of all webhooks that lack this value, and without deduplication.
    #[default]
    Fallback,
    /// Answer 422 at the front door.
    Refuse,
}

/// What a route does when it gives up on a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDeadLetter {
    /// Dead-letter the message and continue with its group.
    #[default]
    Continue,
    /// Keep the message, blocking its group, until the queue's last call.
    Block,
    /// Dead-letter the message and all later ones of its group, until they are redriven together.
    Park,
}

impl Route {
    /// Route keys that come from headers outside the signature, if it covers any: the key, and the header.
    pub fn unsigned_headers(&self) -> Vec<(&'static str, &str)> {
        let signed = self.verify.as_ref().map(Verification::signed_headers).unwrap_or_default();
        if signed.is_empty() {
            // The sender signs no headers at all, so there is no better choice.
            return Vec::new();
        }
        let values = self.group.values().map(|value| ("group", value));
        let values = values.chain(self.dedup.iter().map(|value| ("dedup", value)));
        let headers = values.filter_map(|(key, value)| value.source.header().map(|name| (key, name)));
        headers.filter(|(_, name)| !signed.contains(name)).collect()
    }

    /// Whether the front door turns away webhooks of this route.
    pub fn can_refuse(&self) -> bool {
        let verifies = self.verify.as_ref().is_some_and(|verification| verification.at_ingest);
        verifies || self.on_missing_key == OnMissingKey::Refuse
    }

    /// The names of the secrets that the front door needs: to verify, and to answer handshakes.
    pub fn secret_names_at_ingest(&self) -> impl Iterator<Item = &str> {
        let handshakes_are_verified = self.answers.iter().any(|answer| answer.verified);
        let verified = self.verify.iter().filter(move |verify| verify.at_ingest || handshakes_are_verified);
        let answers = self.answers.iter().flat_map(|answer| &answer.secrets).map(|secret| secret.name.as_str());
        verified.flat_map(Verification::secret_names).chain(answers)
    }

    /// Whether nothing but the front door's verdict proves its messages: an element of a webhook cannot be verified.
    pub fn is_vouched_for(&self) -> bool {
        self.split.is_some() && self.verify.is_some()
    }

    /// Where a webhook carries a secret, if `verify` expects one or an answer keeps one. After verification nobody else may see
    /// it.
    pub fn tokens(&self) -> Vec<Value> {
        let kept = self.answers.iter().filter_map(|answer| answer.keep.as_ref()).map(|keep| keep.value.clone());
        self.verify.iter().flat_map(Verification::tokens).chain(kept).collect()
    }

    /// The secret that a handshake of the route brings.
    pub fn learned(&self) -> Option<&Arc<Learned>> {
        self.answers.iter().find_map(|answer| answer.keep.as_ref()).map(|keep| &keep.secret)
    }

    /// The same as text: names of headers and other values, separated by commas; see [`tokens_of`].
    pub fn tokens_text(&self) -> Option<String> {
        let text = |value: Value| value.source.header().map_or_else(|| value.to_string(), str::to_owned);
        let texts: Vec<String> = self.tokens().into_iter().map(text).collect();
        (!texts.is_empty()).then(|| texts.join(","))
    }

    /// Whether the group or the deduplication key depends on the query, or the query is forwarded.
    pub fn reads_query(&self) -> bool {
        let reads = |value: &Value| matches!(value.source, Source::Query(_) | Source::WholeQuery);
        self.mapping.forward().is_some() || self.group.values().chain(&self.dedup).chain(&self.unwrap).any(reads)
    }

    /// Whether the method makes a difference: `PUT` and `DELETE` without a body are two events.
    pub fn reads_method(&self) -> bool {
        self.mapping.forward().is_some()
    }

    /// Whether verification, the group, the deduplication key or a template of `forward` depends on this header: a
    /// replayed message without it would not be the same.
    pub fn needs_header(&self, name: &str) -> bool {
        let needs = |value: &Value| value.source.needs_header(name);
        // Without this one a body cannot be unpacked.
        name.eq_ignore_ascii_case("content-encoding")
            || self.unwrap.as_ref().is_some_and(needs)
            || self.verify.as_ref().is_some_and(|verify| verify.needs_header(name))
            || self.group.values().any(needs)
            || self.dedup.as_ref().is_some_and(needs)
            || self.mapping.forward().is_some_and(|forward| forward.templates().flat_map(Templated::values).any(needs))
    }
}

/// The values of such a text.
pub fn tokens_of(text: &str) -> impl Iterator<Item = Value> {
    text.split(',').map(|name| name.parse().unwrap_or_else(|_| Value::header(name)))
}

/// All routes, in the order of the config.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    routes: Vec<Arc<Route>>,
    /// Where each path leads.
    paths: matchit::Router<usize>,
}

/// A route, and what its path took from a request: see [`towpath_types::envelope::Webhook`].
pub struct Matched<'a> {
    pub route: &'a Arc<Route>,
    pub segments: Vec<(String, String)>,
}

impl Routes {
    /// Routes must have been checked for overlaps.
    pub fn new(routes: Vec<Route>) -> Routes {
        let routes: Vec<Arc<Route>> = routes.into_iter().map(Arc::new).collect();
        let mut paths = matchit::Router::new();
        for (index, route) in routes.iter().enumerate() {
            for template in route.pattern.templates() {
                // A second route of the same path never gets anything.
                let _ = paths.insert(template, index);
            }
        }
        Routes { routes, paths }
    }

    /// The route of a request's path below the ingest prefix, without leading or trailing slashes. Literal segments win
    /// over named ones and over what follows.
    pub fn of_request(&self, path: &str) -> Option<Matched<'_>> {
        let full = format!("/{path}");
        let found = self.paths.at(&full).ok()?;
        if found.params.iter().any(|(_, segment)| segment.is_empty()) {
            return None;
        }
        let name = |name: &str| if name == pattern::TAIL { REST.to_owned() } else { name.to_owned() };
        let segments = found.params.iter().map(|(own, segment)| (name(own), segment.to_owned())).collect();
        Some(Matched { route: self.routes.get(*found.value)?, segments })
    }

    /// The first route whose template can have produced this group.
    pub fn by_group(&self, group: &GroupId) -> Option<&Arc<Route>> {
        self.routes.iter().find(|route| route.group.matches(group.as_str()))
    }

    /// The route with this path, as written in the config.
    pub fn by_path(&self, path: &str) -> Option<&Arc<Route>> {
        self.routes.iter().find(|route| route.path == path)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.iter()
    }
}

/// The length of a hashed key: a tilde and 96 bits in hex.
pub const HASH_LENGTH: usize = 25;
