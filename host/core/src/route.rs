//! Routes: from a webhook to its group, and from a group back to the route.

mod key;
mod rollout;
mod template;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

pub use key::{Selector, Unreadable};
pub use rollout::{Canary, Rollout, Share};
pub use template::{Template, TemplateError};

use crate::decide::OnDeadLetter;
use crate::envelope::{self, Webhook};
use crate::message::{ORIGIN_ATTRIBUTE, WEBHOOK_ID_ATTRIBUTE, webhook};
use crate::queue::{Attribute, Attributes, GroupId, Received};
use crate::verify::Verification;
use key::{Key, written};
use template::Expanded;

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
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnMissingKey {
    /// It is stored: in the group of all that lack this value, and without deduplication.
    #[default]
    Fallback,
    /// The front door answers 422.
    Refuse,
}

impl Route {
    /// Reads the keys of a webhook.
    pub fn keys(&self, webhook: &Webhook) -> Keys {
        let Expanded { group, former, mut problems } = self.group.expand(webhook);
        let dedup = self.dedup.as_ref().and_then(|selector| match Key::read(selector, webhook) {
            Key::Sound(key) => {
                Some(Dedup { id: self.dedup_id(&key, webhook), webhook_id: self.webhook_id(&group, &key) })
            }
            // Two events that are cut off at the same place are not the same event.
            Key::Doubtful(_, why) | Key::None(why) => {
                problems.push(KeyProblem { key: "dedup", selector: selector.clone(), why });
                None
            }
        });
        let proof_id = match &self.verify {
            Some(verification) if !verification.at_ingest && verification.signs_time() => {
                Some(verification.bind(b"", webhook))
            }
            _ => None,
        };
        Keys { group, former_group: former, dedup, proof_id, problems }
    }

    /// The deduplication id of a key. What is stored before it is verified must not take the place of what is.
    fn dedup_id(&self, key: &[u8], webhook: &Webhook) -> String {
        match self.verify.as_ref().filter(|verification| !verification.at_ingest) {
            Some(verification) => verification.bind(key, webhook),
            None => written(key),
        }
    }

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

    /// A message that came to the queue past ingest, with the attributes that ingest would have stored with it.
    pub fn identified<'a>(&self, received: &'a Received) -> Cow<'a, Received> {
        let Received { body, attributes, .. } = received;
        let known = [WEBHOOK_ID_ATTRIBUTE, ORIGIN_ATTRIBUTE].iter().any(|name| attributes.contains_key(*name));
        if self.dedup.is_none() || known || envelope::is_envelope(body) {
            return Cow::Borrowed(received);
        }
        let own = webhook(body, attributes).map(|webhook| self.keys(&webhook).attributes()).unwrap_or_default();
        let mut received = received.clone();
        received.attributes.extend(own);
        Cow::Owned(received)
    }

    /// The `webhook-id` of every webhook of this route and group with this deduplication key. Neither a path nor a group
    /// holds a zero byte, so different keys have different input.
    fn webhook_id(&self, group: &GroupId, key: &[u8]) -> String {
        let parts = [self.path.as_bytes(), b"\0", group.as_str().as_bytes(), b"\0", key];
        let digest = parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize();
        let mut id = hex::encode(digest);
        id.truncate(WEBHOOK_ID_DIGITS);
        id.insert_str(0, "msg_");
        id
    }
}

/// How many hexadecimal digits a derived `webhook-id` has: 128 bits.
const WEBHOOK_ID_DIGITS: usize = 32;

/// What a webhook is stored under.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keys {
    /// Its group: always a valid group id.
    pub group: GroupId,
    /// The group that earlier versions gave it, where that is another one: what waits there comes first.
    pub former_group: Option<GroupId>,
    /// What makes it the same event as another, if the route names that and the webhook has it.
    pub dedup: Option<Dedup>,
    /// What tells a repeat where nothing else does: the signed time and all that was signed with it.
    pub proof_id: Option<String>,
    /// Keys that could not be read.
    pub problems: Vec<KeyProblem>,
}

/// What tells that two webhooks are the same event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dedup {
    /// The deduplication id for the queue: the value, or its hash if it is no valid id; a hash of it and of the proof on a route
    /// that is verified in the pipeline only.
    pub id: String,
    /// What the target sees as `webhook-id`: the same whenever the event is sent.
    pub webhook_id: String,
}

/// A key that could not be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyProblem {
    /// The key of the route: `group` or `dedup`.
    pub key: &'static str,
    /// Where its value should have been.
    pub selector: Selector,
    /// Why it could not be read.
    pub why: Unreadable,
}

impl fmt::Display for KeyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.key, self.selector, self.why)
    }
}

impl Keys {
    /// The attributes that the message carries for its target.
    pub fn attributes(&self) -> Attributes {
        let id = self.dedup.as_ref().map(|dedup| Attribute::text(dedup.webhook_id.clone()));
        id.map(|id| (WEBHOOK_ID_ATTRIBUTE.to_owned(), id)).into_iter().collect()
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

/// Whether SQS takes this text as a group id or deduplication id: letters, digits, punctuation.
pub fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_ID && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// How long the hash of a key is: a tilde and 96 bits in hex.
const HASH_LENGTH: usize = 25;
