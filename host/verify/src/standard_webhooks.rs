//! Standard Webhooks: `webhook-id`, `webhook-timestamp` and `webhook-signature`, also under Svix's names.
//!
//! Source: `https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md`.

use ring::signature::{ED25519, UnparsedPublicKey};

use super::time::read_time;
use super::{Evidence, Unverified, What, mac, same};
use crate::secrets::Secrets;
use towpath_config::secrets::WebhookKey;
use towpath_config::signature::Encoding;
use towpath_config::value::Digest;
use towpath_config::verify::{StandardWebhooks, Unit};
use towpath_types::envelope::Webhook;
use towpath_types::queue::Proof;

pub(super) fn check(scheme: &StandardWebhooks, evidence: Evidence<'_>, secrets: &Secrets) -> Result<Proof, Unverified> {
    let [id_name, stamp_name, signature_name] = names(evidence.webhook);
    let id = evidence.expect(&id_name)?;
    let stamp = evidence.expect(&stamp_name)?;
    let signed_at = read_time(Unit::Seconds, stamp)
        .ok_or(Unverified::Malformed(What::header(&stamp_name), "timestamp in seconds"))?;
    let signatures = Signatures::read(evidence.expect(&signature_name)?);
    if signatures.0.is_empty() {
        return Err(Unverified::Malformed(What::header(&signature_name), "signature v1,… or v1a,…"));
    }
    let pieces = pieces(id, stamp, &evidence.webhook.body);
    let mut matches = false;
    let mut usable = false;
    let mut problem = None;
    for secret in secrets.iter() {
        // During rotation a malformed secret must not fail a webhook that another one proves.
        match WebhookKey::read(secret) {
            Ok(key) => {
                usable = true;
                matches |= signatures.one_is_of(&key, &pieces);
            }
            Err(what) => problem = Some(what),
        }
    }
    match (matches, problem) {
        (true, _) => evidence.fresh(signed_at, scheme.tolerance, &pieces.concat()),
        (false, Some(problem)) if !usable => Err(Unverified::Secret(problem)),
        (false, _) => Err(Unverified::Mismatch(What::header(&signature_name))),
    }
}

/// The headers of id, time and signatures, as this sender spells them.
pub(crate) fn names(webhook: &Webhook) -> [String; 3] {
    let is_svix = webhook.header("webhook-id").is_none() && webhook.header("svix-id").is_some();
    ["id", "timestamp", "signature"].map(|part| format!("{}-{part}", if is_svix { "svix" } else { "webhook" }))
}

/// What is signed.
fn pieces<'a>(id: &'a [u8], stamp: &'a [u8], body: &'a [u8]) -> [&'a [u8]; 5] {
    [id, b".", stamp, b".", body]
}

/// The value of the header with signatures that the holder of this key makes. For a public key that is somebody else.
pub(crate) fn write<E>(
    key: &WebhookKey,
    id: &[u8],
    stamp: &[u8],
    body: &[u8],
    by_private_key: impl Fn(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<String, E> {
    let pieces = pieces(id, stamp, body);
    let (version, signature) = match key {
        WebhookKey::Symmetric(key) => ("v1", mac(Digest::Sha256, key, &pieces)),
        WebhookKey::Public(_) => ("v1a", by_private_key(&pieces.concat())?),
    };
    Ok(format!("{version},{}", Encoding::Base64.encode(&signature)))
}

/// Versions and signatures.
struct Signatures(Vec<(Version, Vec<u8>)>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Symmetric,
    Asymmetric,
}

impl Signatures {
    fn read(value: &[u8]) -> Signatures {
        let one = |text: &[u8]| {
            let (version, digest) = match (text.strip_prefix(b"v1,"), text.strip_prefix(b"v1a,")) {
                (Some(digest), _) => (Version::Symmetric, digest),
                (_, Some(digest)) => (Version::Asymmetric, digest),
                // Signatures of other versions may be listed too.
                (None, None) => return None,
            };
            Some((version, Encoding::Base64.decode(digest)?))
        };
        // Elliptic-curve checks are expensive, and nobody rotates this many keys at once.
        Signatures(value.split(|byte| *byte == b' ').filter_map(one).take(16).collect())
    }

    fn of(&self, version: Version) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter(move |(found, _)| *found == version).map(|(_, digest)| digest.as_slice())
    }

    fn one_is_of(&self, key: &WebhookKey, pieces: &[&[u8]]) -> bool {
        match key {
            WebhookKey::Public(key) => {
                let key = UnparsedPublicKey::new(&ED25519, key);
                let signed = pieces.concat();
                self.of(Version::Asymmetric).any(|signature| key.verify(&signed, signature).is_ok())
            }
            WebhookKey::Symmetric(key) => {
                let mac = mac(Digest::Sha256, key, pieces);
                self.of(Version::Symmetric).fold(false, |matches, digest| same(digest, &mac) | matches)
            }
        }
    }
}
