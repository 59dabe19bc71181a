//! What a route reads from a webhook: the keys that it is stored under (group, deduplication id, `webhook-id`), what is
//! shown of it, and the request that it becomes without a plugin.

mod expand;
mod forward;
mod key;
mod problem;
mod seen;
mod split;

use std::borrow::Cow;

use sha2::{Digest, Sha256};
use towpath_config::route::Route;
use towpath_select::{Scope, Selected};
use towpath_types::envelope::Webhook;
use towpath_types::message::{ORIGIN_ATTRIBUTE, WEBHOOK_ID_ATTRIBUTE, webhook};
use towpath_types::queue::{Attribute, Attributes, DedupId, GroupId, Received};
use towpath_verify::bind;

pub use forward::forwarded;
pub use problem::KeyProblem;
pub use seen::{opened, shown};
pub use split::{Division, NoItems, Place, keys_of_stored};

use expand::{Expanded, expand};
use key::written;

/// The keys of a webhook. One that unpacks to too much is read as it came.
pub fn keys(route: &Route, webhook: &Webhook) -> Keys {
    keys_of(route, webhook, &opened(route, webhook).unwrap_or(Cow::Borrowed(webhook)))
}

/// The keys of a webhook, read from what is [`opened`] of it, or from what came: what a stranger sent is not unpacked.
pub fn keys_of(route: &Route, webhook: &Webhook, seen: &Webhook) -> Keys {
    let Expanded { group, former, mut problems } =
        expand(&route.group, |value| towpath_select::key(&Scope::of(seen), value));
    let dedup = route.dedup.as_ref().and_then(|value| match towpath_select::key(&Scope::of(seen), value) {
        Selected::Sound(key) => {
            Some(Dedup { id: dedup_id(route, &key, webhook), webhook_id: webhook_id(route, &group, &key) })
        }
        // Two events that are cut off at the same place are not the same event.
        Selected::Doubtful(_, why) | Selected::None(why) => {
            problems.push(KeyProblem { key: "dedup", value: value.clone(), why });
            None
        }
    });
    let proof_id = match &route.verify {
        Some(verification) if !verification.at_ingest && verification.signs_time() => {
            Some(bind(verification, b"", webhook))
        }
        _ => None,
    };
    Keys { group, former_group: former, dedup, proof_id, problems }
}

/// The deduplication id of a key. Unverified webhooks must not take the place of verified ones.
fn dedup_id(route: &Route, key: &[u8], webhook: &Webhook) -> DedupId {
    match route.verify.as_ref().filter(|verification| !verification.at_ingest) {
        Some(verification) => bind(verification, key, webhook).into(),
        None => written(key).into(),
    }
}

/// A message that did not come through ingest, with the attributes that ingest would have stored.
pub fn identified<'a>(route: &Route, received: &'a Received) -> Cow<'a, Received> {
    let Received { body, attributes, .. } = received;
    let known = [WEBHOOK_ID_ATTRIBUTE, ORIGIN_ATTRIBUTE].iter().any(|name| attributes.contains_key(*name));
    if route.dedup.is_none() || known || body.has_headers() {
        return Cow::Borrowed(received);
    }
    let own = webhook(body, attributes).map(|webhook| keys(route, &webhook).attributes()).unwrap_or_default();
    let mut received = received.clone();
    received.attributes.extend(own);
    Cow::Owned(received)
}

/// The `webhook-id` of all webhooks of this route and group with this deduplication key. Paths and groups contain no
/// zero byte, so different keys have different input.
fn webhook_id(route: &Route, group: &GroupId, key: &[u8]) -> String {
    let parts = [route.path.as_bytes(), b"\0", group.as_str().as_bytes(), b"\0", key];
    let digest = parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize();
    let mut id = hex::encode(digest);
    id.truncate(WEBHOOK_ID_DIGITS);
    id.insert_str(0, "msg_");
    id
}

/// Hexadecimal digits of a derived `webhook-id`: 128 bits.
const WEBHOOK_ID_DIGITS: usize = 32;

/// What a webhook is stored under.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keys {
    /// Always a valid group id.
    pub group: GroupId,
    /// The group of earlier versions, if it differs: messages that wait there come first.
    pub former_group: Option<GroupId>,
    /// What identifies the event, if the route names a key and the webhook has it.
    pub dedup: Option<Dedup>,
    /// Identifies a repeat where nothing else does: the signed time and all that was signed with it.
    pub proof_id: Option<String>,
    pub problems: Vec<KeyProblem>,
}

/// What makes two webhooks the same event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dedup {
    /// The deduplication id for the queue: the value, or its hash if it is not a valid id. On a route that is verified
    /// only in the pipeline, a hash of the value and the proof.
    pub id: DedupId,
    /// What the target receives as `webhook-id`: the same each time the event is sent.
    pub webhook_id: String,
}

impl Keys {
    /// The attributes that the message carries for its target.
    pub fn attributes(&self) -> Attributes {
        let id = self.dedup.as_ref().map(|dedup| Attribute::text(dedup.webhook_id.clone()));
        id.map(|id| (WEBHOOK_ID_ATTRIBUTE.to_owned(), id)).into_iter().collect()
    }
}

#[cfg(test)]
mod tests;
