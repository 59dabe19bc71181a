//! Reads the documents in which senders publish their keys.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use serde::Deserialize;
use serde_json::Value as Json;
use towpath_config::pem;
use towpath_config::verify::PublicKey;
use towpath_types::clock::Timestamp;
use x509_cert::Certificate;
use x509_cert::der::asn1::UintRef;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::time::Time;

use crate::fetched::{Document, Key};

/// The most keys of a set. Large senders publish a few dozen.
const MOST_KEYS: usize = 256;

/// Why a document is not what it should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unusable {
    #[error("it is not a JSON Web Key Set")]
    Jwks,
    #[error("it is not a certificate")]
    Certificate,
    #[error("it is not a public key")]
    Key,
    #[error("it has no text or key at the pointer")]
    Pointer,
    #[error("none of its keys is one that signatures can be checked with")]
    NoKeys,
}

/// The public keys in a document.
pub fn read(document: &Document, bytes: &[u8]) -> Result<Vec<Key>, Unusable> {
    match document {
        Document::Jwks => key_set(bytes),
        Document::Certificate => Ok(vec![certificate(std::str::from_utf8(bytes).map_err(|_| Unusable::Certificate)?)?]),
        Document::Key(None) => Ok(vec![key(std::str::from_utf8(bytes).map_err(|_| Unusable::Key)?)?]),
        Document::Key(Some(pointer)) => {
            let json: Json = serde_json::from_slice(bytes).map_err(|_| Unusable::Pointer)?;
            match json.pointer(pointer) {
                Some(Json::String(text)) => Ok(vec![key(text)?]),
                Some(object @ Json::Object(_)) => Ok(vec![jwk(object.clone()).ok_or(Unusable::NoKeys)?]),
                _ => Err(Unusable::Pointer),
            }
        }
    }
}

/// Keys of unknown kinds are left out, as RFC 7517 section 5 says.
fn key_set(bytes: &[u8]) -> Result<Vec<Key>, Unusable> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Json>,
    }
    let set: Set = serde_json::from_slice(bytes).map_err(|_| Unusable::Jwks)?;
    let keys: Vec<Key> = set.keys.into_iter().filter_map(jwk).take(MOST_KEYS).collect();
    if keys.is_empty() { Err(Unusable::NoKeys) } else { Ok(keys) }
}

/// A public key that is not for encryption only. A secret one is left out: whoever can read it can sign.
fn jwk(json: Json) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(json).ok()?;
    if jwk.common.public_key_use.is_some_and(|used| used != PublicKeyUse::Signature) {
        return None;
    }
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let bytes = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) => {
            let (modulus, exponent) = (decode(&rsa.n)?, decode(&rsa.e)?);
            // PKCS#1, RFC 8017 appendix A.1.1: a sequence of the two.
            vec![UintRef::new(&modulus).ok()?, UintRef::new(&exponent).ok()?].to_der().ok()?
        }
        AlgorithmParameters::EllipticCurve(curve) => {
            let length = match curve.curve {
                EllipticCurve::P256 => 32,
                EllipticCurve::P384 => 48,
                _ => return None,
            };
            let (x, y) = (decode(&curve.x)?, decode(&curve.y)?);
            if x.len() != length || y.len() != length {
                return None;
            }
            // The uncompressed point, SEC 1 section 2.3.3.
            [&[4], x.as_slice(), &y].concat()
        }
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => decode(&pair.x)?,
        _ => return None,
    };
    let algorithm = match jwk.common.key_algorithm {
        // One for encryption, or one that is not known here.
        Some(named) => Some(named.to_string().parse().ok()?),
        None => None,
    };
    Some(Key { id: jwk.common.key_id, algorithm, bytes, valid: None })
}

/// The first certificate in PEM.
fn certificate(text: &str) -> Result<Key, Unusable> {
    let der = pem::first_certificate(text).ok_or(Unusable::Certificate)?;
    let certificate = Certificate::from_der(&der).map_err(|_| Unusable::Certificate)?;
    let signed = certificate.tbs_certificate();
    let at = |time: Time| Timestamp(u64::try_from(time.to_unix_duration().as_millis()).unwrap_or(u64::MAX));
    let validity = signed.validity();
    let bytes = signed.subject_public_key_info().subject_public_key.raw_bytes().to_vec();
    let valid = Some((at(validity.not_before), at(validity.not_after)));
    Ok(Key { id: None, algorithm: None, bytes, valid })
}

/// A key as text: a certificate, PEM, base64 or hex, or a JWK.
fn key(text: &str) -> Result<Key, Unusable> {
    if text.contains("-----BEGIN CERTIFICATE-----") {
        return certificate(text);
    }
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).ok().and_then(jwk).ok_or(Unusable::Key);
    }
    let bytes = PublicKey::bytes_of(text).map_err(|_| Unusable::Key)?;
    Ok(Key { id: None, algorithm: None, bytes, valid: None })
}

#[cfg(test)]
#[path = "documents/tests.rs"]
mod tests;
