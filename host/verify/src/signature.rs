//! Signatures: MACs, hashes with a secret, and those of public keys.

use std::borrow::Cow;

use towpath_config::verify::{Algorithm, Keys, Signature, Way};
use towpath_select::{Scope, hash, mac};
use towpath_types::queue::Proof;

use crate::fetched::Keyring;
use crate::public;
use crate::secrets::Secrets;
use crate::time::read_time;
use crate::written::{MOST, read};
use crate::{Evidence, Unproven, Unverified, What, same};

/// Checks that one of the signatures is right.
pub(super) fn check(
    scheme: &Signature,
    way: &Way,
    evidence: Evidence<'_>,
    scope: Scope<'_>,
    secrets: &Secrets,
    keyring: &Keyring,
) -> Result<Option<Proof>, Unproven> {
    let mut missing = None;
    let mut is_given = false;
    let mut last: Option<Unproven> = None;
    for place in &scheme.at {
        let value = match scope.value(place) {
            Ok(value) => value,
            Err(_) => {
                missing.get_or_insert(Unverified::Missing(What::of(place)).into());
                continue;
            }
        };
        is_given = true;
        match check_value(scheme, way, evidence, scope, secrets, keyring, &value, &What::of(place)) {
            Ok(proof) => return Ok(proof),
            Err(problem) if last.as_ref().is_none_or(|before| before.rank() <= problem.rank()) => last = Some(problem),
            Err(_) => {}
        }
    }
    // Of several places one may be empty, during a rotation for example.
    let problem = if is_given { last } else { missing };
    Err(problem.unwrap_or(Unverified::NoWay.into()))
}

#[expect(clippy::too_many_arguments, reason = "what a check works with, and one of its places")]
fn check_value(
    scheme: &Signature,
    way: &Way,
    evidence: Evidence<'_>,
    scope: Scope<'_>,
    secrets: &Secrets,
    keyring: &Keyring,
    value: &[u8],
    place: &What,
) -> Result<Option<Proof>, Unproven> {
    let (signatures, pairs) = read(scheme, value);
    let scope = Scope { pairs: &pairs, ..scope };
    let stamp = match &scheme.time {
        Some(time) => {
            let text = scope.value(&time.at).map_err(|_| Unverified::Missing(What::of(&time.at)))?;
            let signed_at = read_time(time.unit, &text);
            let signed_at = signed_at.ok_or(Unverified::Malformed(What::of(&time.at), "timestamp"))?;
            Some((text, signed_at))
        }
        None => None,
    };
    if signatures.is_empty() {
        return Err(Unverified::Malformed(place.clone(), "signature of the expected form").into());
    }
    let scope = Scope { timestamp: stamp.as_ref().map(|(text, _)| &**text), ..scope };
    let matched = match &way.keys {
        Keys::Public(keys) => {
            let signed = signed(scheme, &scope)?.concat();
            let is_one_of = |key| signatures.iter().any(|one| public::is_signed(scheme.algorithm, key, &signed, one));
            keys.iter().any(is_one_of).then_some(signed)
        }
        Keys::Fetched(fetched) => {
            let signed = signed(scheme, &scope)?.concat();
            // An old webhook, or one without what is signed, is no reason to ask for keys.
            stamp.as_ref().map_or(Ok(()), |(_, signed_at)| evidence.is_fresh(*signed_at, scheme.tolerance))?;
            let keys = keyring.keys(fetched, None, &scope, evidence)?;
            let mut keys = keys.iter().filter_map(|key| key.of(scheme.algorithm)).take(MOST);
            let is_one_of = |key| signatures.iter().any(|one| public::is_signed(scheme.algorithm, &key, &signed, one));
            keys.any(is_one_of).then_some(signed)
        }
        Keys::Secrets(_) | Keys::OfTenant(_) => by_secret(scheme, &scope, secrets, &signatures)?,
    };
    let Some(signed) = matched else { return Err(Unverified::Mismatch(place.clone()).into()) };
    match stamp {
        Some((_, signed_at)) => {
            let proof = evidence.fresh(signed_at, scheme.tolerance, &signed)?;
            Ok(scheme.signs_time().then_some(proof))
        }
        None => Ok(None),
    }
}

/// What was signed, if it was signed with one of the secrets. Every pair is compared, so that the time does not reveal
/// which secret matched.
fn by_secret(
    scheme: &Signature,
    scope: &Scope<'_>,
    secrets: &Secrets,
    signatures: &[Vec<u8>],
) -> Result<Option<Vec<u8>>, Unverified> {
    let mut matched = None;
    let mut unusable = secrets.iter().next().is_some();
    for secret in secrets.iter() {
        let scope = Scope { secret: Some(secret.as_bytes()), ..*scope };
        // During a rotation a malformed secret must not fail a webhook that another one proves.
        let Ok(key) = scope.text(&scheme.key) else { continue };
        unusable = false;
        let pieces = signed(scheme, &scope)?;
        let matches = match made(scheme.algorithm, &key, &pieces) {
            Some(right) => one_is(signatures, &right),
            None => public::read(secret, scheme.algorithm).is_some_and(|key| {
                let signed = pieces.concat();
                signatures.iter().any(|one| public::is_signed(scheme.algorithm, &key, &signed, one))
            }),
        };
        if matches {
            // What proves the event is the same for every secret: a hash names the secret.
            matched.get_or_insert_with(|| proven(scheme, &scope, pieces));
        }
    }
    if unusable { Err(Unverified::Secret("it is not encoded as the key of the scheme")) } else { Ok(matched) }
}

/// The signature that the holder of a secret makes; `None` if only that of a private key is one.
pub(crate) fn made(algorithm: Algorithm, key: &[u8], pieces: &[Cow<'_, [u8]>]) -> Option<Vec<u8>> {
    match algorithm {
        Algorithm::Mac(digest) => {
            let pieces: Vec<&[u8]> = pieces.iter().map(|piece| &**piece).collect();
            Some(mac(digest, key, &pieces))
        }
        Algorithm::Hash(digest) => Some(hash(digest, &pieces.concat())),
        Algorithm::Ed25519 | Algorithm::Ecdsa(..) | Algorithm::Rsa(..) => None,
    }
}

fn proven(scheme: &Signature, scope: &Scope<'_>, pieces: Vec<Cow<'_, [u8]>>) -> Vec<u8> {
    let without = Scope { secret: Some(b""), ..*scope };
    match scheme.algorithm {
        Algorithm::Hash(_) => without.text(&scheme.signed).unwrap_or_default(),
        _ => pieces.concat(),
    }
}

fn one_is(signatures: &[Vec<u8>], right: &[u8]) -> bool {
    signatures.iter().fold(false, |matches, signature| same(signature, right) | matches)
}

/// The parts of what is signed.
pub(crate) fn signed<'a>(scheme: &'a Signature, scope: &Scope<'a>) -> Result<Vec<Cow<'a, [u8]>>, Unverified> {
    scope.pieces(&scheme.signed).map_err(|(value, _)| Unverified::Missing(What::of(value)))
}
