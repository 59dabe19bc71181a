//! Signatures: MACs, hashes with a secret, and those of public keys.

use std::borrow::Cow;

use towpath_config::verify::{Algorithm, Keys, Signature, Way, Written};
use towpath_select::{Scope, hash, mac};
use towpath_types::queue::Proof;

use crate::public;
use crate::time::read_time;
use crate::{Evidence, Secrets, Unverified, What, same};

/// Checking a signature of a public key is expensive, and nobody sends this many.
const MOST: usize = 16;

/// Checks that one of the signatures is right.
pub(super) fn check(
    scheme: &Signature,
    way: &Way,
    evidence: Evidence<'_>,
    scope: Scope<'_>,
    secrets: &Secrets,
) -> Result<Option<Proof>, Unverified> {
    let mut missing = None;
    let mut is_given = false;
    let mut last = None;
    for place in &scheme.at {
        let value = match scope.value(place) {
            Ok(value) => value,
            Err(_) => {
                missing.get_or_insert(Unverified::Missing(What::of(place)));
                continue;
            }
        };
        is_given = true;
        match check_value(scheme, way, evidence, scope, secrets, &value, &What::of(place)) {
            Ok(proof) => return Ok(proof),
            Err(problem) => last = Some(problem),
        }
    }
    // Of several places one may be empty, during a rotation for example.
    let problem = if is_given { last } else { missing };
    Err(problem.unwrap_or(Unverified::NoWay))
}

fn check_value(
    scheme: &Signature,
    way: &Way,
    evidence: Evidence<'_>,
    scope: Scope<'_>,
    secrets: &Secrets,
    value: &[u8],
    place: &What,
) -> Result<Option<Proof>, Unverified> {
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
        return Err(Unverified::Malformed(place.clone(), "signature of the expected form"));
    }
    let scope = Scope { timestamp: stamp.as_ref().map(|(text, _)| &**text), ..scope };
    let matched = match &way.keys {
        Keys::Public(keys) => {
            let signed = signed(scheme, &scope)?.concat();
            let is_one_of = |key| signatures.iter().any(|one| public::is_signed(scheme.algorithm, key, &signed, one));
            keys.iter().any(is_one_of).then_some(signed)
        }
        Keys::Secrets(_) | Keys::OfTenant(_) => by_secret(scheme, &scope, secrets, &signatures)?,
    };
    let Some(signed) = matched else { return Err(Unverified::Mismatch(place.clone())) };
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
        let matches = match scheme.algorithm {
            Algorithm::Mac(digest) => {
                let pieces: Vec<&[u8]> = pieces.iter().map(|piece| &**piece).collect();
                one_is(signatures, &mac(digest, &key, &pieces))
            }
            Algorithm::Hash(digest) => one_is(signatures, &hash(digest, &pieces.concat())),
            public => public::read(secret, public).is_some_and(|key| {
                let signed = pieces.concat();
                signatures.iter().any(|one| public::is_signed(public, &key, &signed, one))
            }),
        };
        if matches {
            // What proves the event is the same for every secret: a hash names the secret.
            matched.get_or_insert_with(|| proven(scheme, &scope, pieces));
        }
    }
    if unusable { Err(Unverified::Secret("it is not encoded as the key of the scheme")) } else { Ok(matched) }
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

fn signed<'a>(scheme: &'a Signature, scope: &Scope<'a>) -> Result<Vec<Cow<'a, [u8]>>, Unverified> {
    scope.pieces(&scheme.signed).map_err(|(value, _)| Unverified::Missing(What::of(value)))
}

/// The names and texts of pairs.
type Pairs<'a> = Vec<(&'a [u8], &'a [u8])>;

/// The signatures in a value, and its pairs, if it consists of pairs.
fn read<'a>(scheme: &Signature, value: &'a [u8]) -> (Vec<Vec<u8>>, Pairs<'a>) {
    let decode = |text: &[u8]| scheme.encoding.decode(text);
    match &scheme.written {
        Written::Plain { prefix, separators } => {
            let each = value.split(|byte| separators.contains(byte));
            let signatures = each.filter_map(|text| decode(text.strip_prefix(prefix.as_bytes())?));
            (signatures.take(MOST).collect(), Vec::new())
        }
        Written::Pairs { signatures, between } => {
            let pairs: Vec<_> = value.split(|byte| byte == between).filter_map(pair).collect();
            let is_signature = |name: &[u8]| signatures.iter().any(|own| own.as_bytes() == name);
            let found = pairs.iter().filter(|(name, _)| is_signature(name)).filter_map(|(_, text)| decode(text));
            (found.take(MOST).collect(), pairs)
        }
    }
}

fn pair(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.trim_ascii();
    let at = text.iter().position(|byte| *byte == b'=')?;
    let (name, rest) = text.split_at(at);
    Some((name, rest.strip_prefix(b"=")?))
}
