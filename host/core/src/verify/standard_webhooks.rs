//! Standard Webhooks: `webhook-id`, `webhook-timestamp` and `webhook-signature`; Svix's own names of them too.
//!
//! Source: `https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md`.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::signature::{ED25519, UnparsedPublicKey};

use super::hmac::Unit;
use super::{Evidence, Unverified, same};
use crate::queue::Proof;
use crate::signature::{Algorithm, Encoding};

/// Keys are shown with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The scheme. A secret is `whsec_<base64>` for `v1`, or the public key `whpk_<base64>` for `v1a`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StandardWebhooks {
    /// How far the timestamp may lie from the arrival.
    pub tolerance: Duration,
}

/// The headers that are read, in both spellings.
const HEADERS: [&str; 6] =
    ["webhook-id", "webhook-timestamp", "webhook-signature", "svix-id", "svix-timestamp", "svix-signature"];

impl StandardWebhooks {
    /// The headers that are signed, beside the time.
    pub(super) const SIGNED: [&str; 2] = ["webhook-id", "svix-id"];

    pub(super) fn needs_header(name: &str) -> bool {
        HEADERS.iter().any(|needed| needed.eq_ignore_ascii_case(name))
    }

    pub(super) fn check(&self, evidence: Evidence<'_>, secrets: &[Arc<str>]) -> Result<Proof, Unverified> {
        let is_svix = evidence.header("webhook-id").is_none() && evidence.header("svix-id").is_some();
        let name = |part| format!("{}-{part}", if is_svix { "svix" } else { "webhook" });
        let (stamp_name, signature_name) = (name("timestamp"), name("signature"));
        let (id, stamp) = (evidence.expect(&name("id"))?, evidence.expect(&stamp_name)?);
        let signed_at = Unit::Seconds.read(stamp).ok_or(Unverified::Malformed(stamp_name, "timestamp in seconds"))?;
        let signatures = Signatures::read(evidence.expect(&signature_name)?);
        if signatures.0.is_empty() {
            return Err(Unverified::Malformed(signature_name, "signature v1,… or v1a,…"));
        }
        let pieces: [&[u8]; 5] = [id, b".", stamp, b".", evidence.body];
        let (mut matches, mut usable, mut problem) = (false, false, None);
        for secret in secrets {
            // While secrets are rotated, one that is malformed must not refuse what another proves.
            match Key::read(secret) {
                Ok(key) => {
                    usable = true;
                    matches |= signatures.one_is_of(&key, &pieces);
                }
                Err(what) => problem = Some(what),
            }
        }
        match (matches, problem) {
            (true, _) => evidence.fresh(signed_at, self.tolerance, &pieces),
            (false, Some(problem)) if !usable => Err(Unverified::Secret(problem)),
            (false, _) => Err(Unverified::Mismatch(signature_name)),
        }
    }
}

/// What a secret verifies with.
pub(crate) enum Key {
    Symmetric(Vec<u8>),
    Public(UnparsedPublicKey<Vec<u8>>),
}

impl Key {
    /// The key in a secret, or why there is none.
    pub(crate) fn read(secret: &str) -> Result<Key, &'static str> {
        let Some(public) = secret.trim().strip_prefix("whpk_") else {
            return symmetric_key(secret).map(Key::Symmetric).ok_or("it is not base64 behind whsec_");
        };
        let public = BASE64.decode(public).ok().filter(|key| key.len() == 32);
        let public = public.ok_or("it is not a public key of 32 bytes in base64 behind whpk_")?;
        Ok(Key::Public(UnparsedPublicKey::new(&ED25519, public)))
    }
}

/// The key in a secret for `v1`: base64 behind `whsec_`, which may be left out.
pub(crate) fn symmetric_key(secret: &str) -> Option<Vec<u8>> {
    let key = BASE64.decode(secret.trim().strip_prefix("whsec_").unwrap_or(secret.trim())).ok()?;
    (!key.is_empty()).then_some(key)
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
                // Other versions may stand beside these.
                (None, None) => return None,
            };
            Some((version, Encoding::Base64.decode(digest)?))
        };
        // An elliptic curve is dear, and nobody rotates this many keys at a time.
        Signatures(value.split(|byte| *byte == b' ').filter_map(one).take(16).collect())
    }

    fn of(&self, version: Version) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter(move |(found, _)| *found == version).map(|(_, digest)| digest.as_slice())
    }

    fn one_is_of(&self, key: &Key, pieces: &[&[u8]]) -> bool {
        match key {
            Key::Public(key) => {
                let signed = pieces.concat();
                self.of(Version::Asymmetric).any(|signature| key.verify(&signed, signature).is_ok())
            }
            Key::Symmetric(key) => {
                let mac = Algorithm::Sha256.mac(key, pieces);
                self.of(Version::Symmetric).fold(false, |matches, digest| same(digest, &mac) | matches)
            }
        }
    }
}
