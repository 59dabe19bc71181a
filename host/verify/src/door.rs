//! The front door's verdict: proof that a webhook was verified before it was stored, for this route, group and body.
//!
//! Time in the queue does not count against it: a secret may have been rotated away meanwhile, and one element of a split
//! webhook cannot be verified at all. The note keys authenticate it, so who can only send to the queue cannot make one.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use towpath_config::value::Digest;
use towpath_config::verify::{Keys, Verification};
use towpath_select::Scope;
use towpath_types::body::Body;
use towpath_types::clock::Timestamp;
use towpath_types::message::{ITEM_ATTRIBUTE, VERDICT_ATTRIBUTE};
use towpath_types::queue::{Attribute, Attributes, GroupId, NewMessage, Received};

use crate::fetched::Keyring;
use crate::note_keys::NoteKeys;
use crate::secrets::Known;
use crate::{Evidence, prove};

/// What the front door found out about a webhook.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Verified {
    /// The path of the route.
    pub route: String,
    /// When it was verified.
    pub at: Timestamp,
    /// The name of the secret; `public key` or `secret of the tenant` where the config names none.
    pub by: String,
}

/// The verdict as it is stored.
#[derive(Serialize, Deserialize)]
struct Written {
    #[serde(flatten)]
    verified: Verified,
    /// The groups that the message can have: the store may put it into the group of an earlier version.
    groups: Vec<GroupId>,
    mac: String,
}

/// What the MAC covers.
#[derive(Serialize)]
struct Covered<'a> {
    /// A MAC made for another purpose with the same key never matches.
    purpose: &'static str,
    verified: &'a Verified,
    groups: &'a [GroupId],
    /// The position of an element in its webhook.
    item: Option<&'a str>,
    /// A digest of the body as SQS holds it: the whole envelope.
    body: String,
}

/// Stores the verdict with a message. Without a key there is none, and the pipeline verifies the webhook again.
pub fn attest(keys: &NoteKeys, message: &mut NewMessage, former_group: Option<&GroupId>, verified: &Verified) {
    let groups = std::iter::once(&message.group).chain(former_group).cloned().collect();
    write(keys, message, groups, verified.clone());
}

/// What the front door found out about a received message, if one of the keys vouches for it. Refreshes rotated keys, until
/// `deadline`.
pub async fn verdict(keys: &NoteKeys, received: &Received, route: &str, deadline: Instant) -> Option<Verified> {
    let written = read(&received.attributes)?;
    if written.verified.route != route || !written.groups.contains(&received.group) {
        return None;
    }
    let given = hex::decode(&written.mac).ok()?;
    let is_right = |keys: &[Arc<str>]| is_right(keys, &written, &received.attributes, &received.body, &given);
    keys.fits(is_right, deadline).await.then_some(written.verified)
}

/// Renews the verdict of a message for a host that itself cut headers from the stored webhook. A verdict that did not hold
/// for `before` stays as it is.
pub fn renew(keys: &NoteKeys, before: &Received, message: &mut NewMessage) {
    if message.body == before.body {
        return;
    }
    let Some(written) = read(&before.attributes) else { return };
    let Some(given) = hex::decode(&written.mac).ok() else { return };
    if written.groups.contains(&before.group)
        && is_right(&keys.exposed(), &written, &before.attributes, &before.body, &given)
    {
        write(keys, message, written.groups, written.verified);
    }
}

/// The name of the secret that proves a webhook which is verified; or what it is, where it has none in the config.
pub fn proven_by(verification: &Verification, evidence: Evidence<'_>) -> String {
    const PUBLIC: &str = "public key";
    let ways: Vec<_> = verification.ways.iter().filter(|way| Scope::of(evidence.webhook).meets(&way.when)).collect();
    if let [way] = ways[..]
        && let Keys::OfTenant(_) = way.keys
    {
        return "secret of the tenant".to_owned();
    }
    if let [way] = ways[..]
        && let [] | [_] = way.keys.secrets()
    {
        return way.keys.secrets().first().map_or(PUBLIC, |secret| &secret.name).to_owned();
    }
    let holds = |way| {
        let alone = Verification { ways: vec![way], at_ingest: verification.at_ingest };
        prove(&alone, evidence, &Known::fixed(&alone), &Keyring::default()).is_ok()
    };
    for way in ways {
        for secret in way.keys.secrets() {
            let mut alone = way.clone();
            alone.keys = Keys::Secrets(vec![secret.clone()]);
            if holds(alone) {
                return secret.name.clone();
            }
        }
    }
    PUBLIC.to_owned()
}

fn write(keys: &NoteKeys, message: &mut NewMessage, groups: Vec<GroupId>, verified: Verified) {
    let Some(key) = keys.signing() else { return };
    let mut written = Written { verified, groups, mac: String::new() };
    written.mac = hex::encode(mac(&key, &covered(&written, &message.attributes, &message.body)));
    // A struct of texts and numbers always serialises.
    let text = serde_json::to_string(&written).unwrap_or_default();
    message.attributes.insert(VERDICT_ATTRIBUTE.to_owned(), Attribute::text(text));
}

fn read(attributes: &Attributes) -> Option<Written> {
    serde_json::from_str(attributes.get(VERDICT_ATTRIBUTE)?.as_text()?).ok()
}

fn is_right(keys: &[Arc<str>], written: &Written, attributes: &Attributes, body: &Body, given: &[u8]) -> bool {
    let covered = covered(written, attributes, body);
    keys.iter().fold(false, |right, key| right | crate::same(&mac(key, &covered), given))
}

fn mac(key: &str, covered: &[u8]) -> Vec<u8> {
    crate::mac(Digest::Sha256, key.as_bytes(), &[covered])
}

#[expect(clippy::expect_used, reason = "a fallback would cover less than it says")]
fn covered(written: &Written, attributes: &Attributes, body: &Body) -> Vec<u8> {
    let Written { verified, groups, .. } = written;
    let item = attributes.get(ITEM_ATTRIBUTE).and_then(|item| item.as_text());
    let body = hex::encode(body.digest());
    let covered = serde_json::to_vec(&Covered { purpose: "towpath-verdict-1", verified, groups, item, body });
    covered.expect("a struct of texts and numbers is always JSON")
}

#[cfg(test)]
#[path = "door/tests.rs"]
mod tests;
