//! Public keys: ring checks their signatures.

use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use towpath_config::value::Digest;
use towpath_config::verify::{Algorithm, Curve, Form, Padding, PublicKey};

/// The public key in a secret.
pub(crate) fn read(secret: &str, algorithm: Algorithm) -> Option<PublicKey> {
    PublicKey::read(secret, algorithm).ok()
}

pub(crate) fn is_signed(algorithm: Algorithm, key: &PublicKey, signed: &[u8], signature: &[u8]) -> bool {
    let checked = ring_algorithm(algorithm);
    checked.is_some_and(|ring| UnparsedPublicKey::new(ring, key.as_bytes()).verify(signed, signature).is_ok())
}

/// `None` for what has no public key.
fn ring_algorithm(algorithm: Algorithm) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match algorithm {
        Algorithm::Ed25519 => &signature::ED25519,
        Algorithm::Ecdsa(Curve::P256, Form::Asn1) => &signature::ECDSA_P256_SHA256_ASN1,
        Algorithm::Ecdsa(Curve::P256, Form::Fixed) => &signature::ECDSA_P256_SHA256_FIXED,
        Algorithm::Ecdsa(Curve::P384, Form::Asn1) => &signature::ECDSA_P384_SHA384_ASN1,
        Algorithm::Ecdsa(Curve::P384, Form::Fixed) => &signature::ECDSA_P384_SHA384_FIXED,
        Algorithm::Rsa(Padding::Pkcs1, Digest::Sha1) => &signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        Algorithm::Rsa(Padding::Pkcs1, Digest::Sha256) => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rsa(Padding::Pkcs1, Digest::Sha384) => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rsa(Padding::Pkcs1, Digest::Sha512) => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Rsa(Padding::Pss, Digest::Sha256) => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Rsa(Padding::Pss, Digest::Sha384) => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Rsa(Padding::Pss, Digest::Sha512) => &signature::RSA_PSS_2048_8192_SHA512,
        Algorithm::Rsa(..) | Algorithm::Mac(_) | Algorithm::Hash(_) => return None,
    })
}
