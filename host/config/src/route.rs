//! `[[route]]`: which webhooks it takes, how they are grouped, and who maps them.

mod rollout;
mod selector;
mod template;

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use towpath_types::queue::GroupId;

pub use rollout::{Canary, Rollout, Share};
pub use selector::{Selector, TemplateError};
pub use template::{Part, Template};

use crate::verify::Verification;

/// One `[[route]]` of the config.
#[derive(Debug)]
pub struct Route {
    /// The path below the ingest prefix, without slashes around it.
    pub path: String,
    /// The group template.
    pub group: Template,
    /// Where the deduplication id is; without it every POST is its own message.
    pub dedup: Option<Selector>,
    /// What happens to a webhook whose group or deduplication id cannot be read.
    pub on_missing_key: OnMissingKey,
    /// The plugin's name.
    pub plugin: String,
    /// How another build of it is tried on real traffic.
    pub rollout: Rollout,
    /// How messages prove where they come from.
    pub verify: Option<Verification>,
    /// What happens instead of dead-lettering.
    pub on_dead_letter: OnDeadLetter,
    /// How old a message may grow before it is given up.
    pub max_age: Duration,
}

/// What happens to a webhook whose keys cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnMissingKey {
    /// It is stored: in the group of all that lack this value, and without deduplication.
    #[default]
    Fallback,
    /// The front door answers 422.
    Refuse,
}

/// What a route says about giving up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDeadLetter {
    /// Dead-letter the message and go on with its group.
    #[default]
    Continue,
    /// Keep the message, and its group waiting behind it, until the queue's last call.
    Block,
    /// Dead-letter the message, and what comes behind it in its group too, until they are sent back together.
    Park,
}

impl Route {
    /// Keys of the route that are made of headers that its proof leaves out, though it covers others: the key, and the header.
    pub fn unsigned_headers(&self) -> Vec<(&'static str, &str)> {
        let signed = self.verify.as_ref().map(Verification::signed_headers).unwrap_or_default();
        if signed.is_empty() {
            // The sender signs none: there is no better one.
            return Vec::new();
        }
        let selectors = self.group.selectors().map(|selector| ("group", selector));
        let selectors = selectors.chain(self.dedup.iter().map(|selector| ("dedup", selector)));
        let headers = selectors.filter_map(|(key, selector)| match selector {
            Selector::Header(name) => Some((key, name.as_str())),
            Selector::Json(_) => None,
        });
        headers.filter(|(_, name)| !signed.contains(name)).collect()
    }

    /// Whether the front door refuses webhooks of this route.
    pub fn can_refuse(&self) -> bool {
        let verifies = self.verify.as_ref().is_some_and(|verification| verification.at_ingest);
        verifies || self.on_missing_key == OnMissingKey::Refuse
    }

    /// The header in which a secret is sent along, if `verify` wants one (in lower case). From verification on it is nobody's
    /// business.
    pub fn secret_header(&self) -> Option<&str> {
        self.verify.as_ref().and_then(Verification::secret_header)
    }

    /// Whether verification, the group or the deduplication id is made of this header: without it a message that is sent
    /// again is not the same.
    pub fn needs_header(&self, name: &str) -> bool {
        let is =
            |selector: &Selector| matches!(selector, Selector::Header(header) if header.eq_ignore_ascii_case(name));
        self.verify.as_ref().is_some_and(|verify| verify.needs_header(name))
            || self.group.selectors().any(is)
            || self.dedup.as_ref().is_some_and(is)
    }
}

/// All routes, in the order of the config.
#[derive(Clone, Debug, Default)]
pub struct Routes(Vec<Arc<Route>>);

impl Routes {
    /// Routes that were checked not to overlap.
    pub fn new(routes: Vec<Route>) -> Routes {
        Routes(routes.into_iter().map(Arc::new).collect())
    }

    /// The first route whose template can have made this group.
    pub fn by_group(&self, group: &GroupId) -> Option<&Arc<Route>> {
        self.0.iter().find(|route| route.group.matches(group.as_str()))
    }

    /// The route of an ingest path.
    pub fn by_path(&self, path: &str) -> Option<&Arc<Route>> {
        self.0.iter().find(|route| route.path == path)
    }

    /// Every route.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.0.iter()
    }
}

/// How long the hash of a key is: a tilde and 96 bits in hex.
pub const HASH_LENGTH: usize = 25;
