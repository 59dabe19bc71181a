//! Gives ring to jsonwebtoken, which has no cryptography of its own.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind, Result};
use jsonwebtoken::signature::{Error as Mismatch, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey};
use towpath_config::value::Digest;
use towpath_config::verify::{self, Curve, Form, Padding, PublicKey};

use crate::{mac, public as keys, same};

static RING: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| no_signer(),
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Only the first call has an effect.
pub(crate) fn install() {
    let _ = RING.install_default();
}

/// The key, if it suits the algorithm.
pub(crate) fn decoding_key(algorithm: Algorithm, key: &[u8]) -> Option<DecodingKey> {
    match public(algorithm)? {
        verify::Algorithm::Rsa(..) => Some(DecodingKey::from_rsa_der(key)),
        verify::Algorithm::Ecdsa(..) => Some(DecodingKey::from_ec_der(key)),
        verify::Algorithm::Ed25519 => Some(DecodingKey::from_ed_der(key)),
        verify::Algorithm::Mac(_) | verify::Algorithm::Hash(_) => None,
    }
}

/// An algorithm with a public key.
pub(crate) fn public(algorithm: Algorithm) -> Option<verify::Algorithm> {
    Some(match algorithm {
        Algorithm::ES256 => verify::Algorithm::Ecdsa(Curve::P256, Form::Fixed),
        Algorithm::ES384 => verify::Algorithm::Ecdsa(Curve::P384, Form::Fixed),
        Algorithm::RS256 => verify::Algorithm::Rsa(Padding::Pkcs1, Digest::Sha256),
        Algorithm::RS384 => verify::Algorithm::Rsa(Padding::Pkcs1, Digest::Sha384),
        Algorithm::RS512 => verify::Algorithm::Rsa(Padding::Pkcs1, Digest::Sha512),
        Algorithm::PS256 => verify::Algorithm::Rsa(Padding::Pss, Digest::Sha256),
        Algorithm::PS384 => verify::Algorithm::Rsa(Padding::Pss, Digest::Sha384),
        Algorithm::PS512 => verify::Algorithm::Rsa(Padding::Pss, Digest::Sha512),
        Algorithm::EdDSA => verify::Algorithm::Ed25519,
        _ => return None,
    })
}

/// The hash of an algorithm that is a MAC.
pub(crate) fn mac_of(algorithm: Algorithm) -> Option<Digest> {
    match algorithm {
        Algorithm::HS256 => Some(Digest::Sha256),
        Algorithm::HS384 => Some(Digest::Sha384),
        Algorithm::HS512 => Some(Digest::Sha512),
        _ => None,
    }
}

fn no_signer() -> Result<Box<dyn JwtSigner>> {
    Err(ErrorKind::InvalidAlgorithm.into())
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    let kind = match mac_of(*algorithm) {
        Some(digest) => Kind::Mac(digest, key.try_get_as_bytes()?.to_vec()),
        None => {
            let public = public(*algorithm).ok_or_else(|| Error::from(ErrorKind::InvalidAlgorithm))?;
            let key = PublicKey::raw(key.try_get_as_bytes()?.to_vec(), public);
            Kind::Public(public, key.map_err(|_| Error::from(ErrorKind::InvalidKeyFormat))?)
        }
    };
    Ok(Box::new(Ring { algorithm: *algorithm, kind }))
}

struct Ring {
    algorithm: Algorithm,
    kind: Kind,
}

enum Kind {
    Mac(Digest, Vec<u8>),
    Public(verify::Algorithm, PublicKey),
}

impl Verifier<Vec<u8>> for Ring {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Mismatch> {
        let is_right = match &self.kind {
            Kind::Mac(digest, key) => same(&mac(*digest, key, &[message]), signature),
            Kind::Public(algorithm, key) => keys::is_signed(*algorithm, key, message, signature),
        };
        if is_right { Ok(()) } else { Err(Mismatch::new()) }
    }
}

impl JwtVerifier for Ring {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
