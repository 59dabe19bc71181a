//! Routes: from a webhook to its group, and from a group back to the route.

mod rollout;
mod template;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

pub use rollout::{Canary, Rollout, Share};
pub use template::{Template, TemplateError};

use crate::decide::OnDeadLetter;
use crate::envelope::Webhook;
use crate::queue::GroupId;
use crate::verify::Verification;

/// The longest a group id or deduplication id can be. Source: the `SendMessage` API of SQS.
pub const MAX_ID: usize = 128;

/// One `[[route]]` of the config.
#[derive(Debug)]
pub struct Route {
    /// The path below the ingest prefix, without slashes around it.
    pub path: String,
    /// The group template.
    pub group: Template,
    /// Where the deduplication id is; without it every POST is its own message.
    pub dedup: Option<Selector>,
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

impl Route {
    /// The deduplication id of a webhook, if the route has one and the webhook holds it. A value that
    /// is no valid id is replaced by its hash.
    pub fn dedup_id(&self, webhook: &Webhook) -> Option<String> {
        let mut source = Source::new(webhook);
        let value = self.dedup.as_ref().and_then(|selector| source.select(selector))?;
        Some(if is_id(&value) { value } else { stable_hash(&value) })
    }

    /// The group of a webhook: always a valid group id.
    pub fn group_of(&self, webhook: &Webhook) -> GroupId {
        self.group.expand(&mut Source::new(webhook))
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

/// Where in a webhook a value stands: `json:/pointer` or `header:name`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Selector {
    /// A JSON pointer (RFC 6901) into the body.
    Json(String),
    /// A header, by its name in lower case.
    Header(String),
}

impl std::str::FromStr for Selector {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Selector, TemplateError> {
        match text.split_once(':') {
            Some(("json", pointer)) if pointer.starts_with('/') => Ok(Selector::Json(pointer.to_owned())),
            Some(("header", name)) if http::HeaderName::try_from(name).is_ok() => {
                Ok(Selector::Header(name.to_ascii_lowercase()))
            }
            _ => Err(TemplateError::Selector(text.to_owned())),
        }
    }
}

/// A webhook to select from. The body is parsed as JSON once, and only if something asks for it.
struct Source<'a> {
    webhook: &'a Webhook,
    json: Option<Option<Value>>,
}

impl<'a> Source<'a> {
    fn new(webhook: &'a Webhook) -> Source<'a> {
        Source { webhook, json: None }
    }

    /// The value as text; `None` if it is missing, null or empty.
    fn select(&mut self, selector: &Selector) -> Option<String> {
        let text = match selector {
            Selector::Header(name) => {
                let (_, value) = self.webhook.headers.iter().find(|(n, _)| n == name)?;
                String::from_utf8_lossy(value).into_owned()
            }
            Selector::Json(pointer) => {
                let body = &self.webhook.body;
                let json = self.json.get_or_insert_with(|| serde_json::from_slice(body).ok());
                match json.as_ref()?.pointer(pointer)? {
                    Value::Null => return None,
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                }
            }
        };
        (!text.is_empty()).then_some(text)
    }
}

/// Whether SQS takes this text as a group id or deduplication id: letters, digits, punctuation.
pub fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_ID && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A short text that stands for any value: the same value gives the same text on every machine.
fn stable_hash(value: &str) -> String {
    let digest = Sha256::digest(value.as_bytes());
    let mut text = hex::encode(digest);
    text.truncate(HASH_LENGTH - 1);
    text.insert(0, '~');
    text
}

/// How long a [`stable_hash`] is: a tilde and 96 bits in hex.
const HASH_LENGTH: usize = 25;
