//! Private keys: ring signs with them.

use std::fmt;

use ring::rand::SystemRandom;
use ring::rsa::KeyPair as RsaKeyPair;
use ring::signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, RsaEncoding};
use towpath_config::pem;
use towpath_config::value::Digest;
use towpath_config::verify::{Algorithm, Curve, Form, Padding};

/// A private key of the user's own, for trying schemes of public keys.
pub struct PrivateKey(Vec<u8>);

/// A text without a key that ring reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "it is not a private key in PKCS#8 and PEM, which begins with -----BEGIN PRIVATE KEY-----; `openssl pkcs8 -topk8 -nocrypt` \
     converts other forms"
)]
pub struct NotAPrivateKey;

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

impl PrivateKey {
    pub fn read(text: &str) -> Result<PrivateKey, NotAPrivateKey> {
        pem::private_key(text).map(PrivateKey).ok_or(NotAPrivateKey)
    }

    /// The signature; `None` if the key is not one of this algorithm, or ring cannot sign with it.
    pub(super) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match algorithm {
            Algorithm::Ed25519 => {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&self.0).ok()?;
                Some(pair.sign(message).as_ref().to_vec())
            }
            Algorithm::Ecdsa(curve, form) => {
                let pair = EcdsaKeyPair::from_pkcs8(ecdsa(curve, form), &self.0, &random).ok()?;
                Some(pair.sign(&random, message).ok()?.as_ref().to_vec())
            }
            Algorithm::Rsa(padding, digest) => {
                let pair = RsaKeyPair::from_pkcs8(&self.0).ok()?;
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(rsa(padding, digest)?, &random, message, &mut signature).ok()?;
                Some(signature)
            }
            Algorithm::Mac(_) | Algorithm::Hash(_) => None,
        }
    }
}

fn ecdsa(curve: Curve, form: Form) -> &'static EcdsaSigningAlgorithm {
    match (curve, form) {
        (Curve::P256, Form::Asn1) => &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
        (Curve::P256, Form::Fixed) => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        (Curve::P384, Form::Asn1) => &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
        (Curve::P384, Form::Fixed) => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
    }
}

/// `None` for hashes with which ring verifies only, or not at all.
fn rsa(padding: Padding, digest: Digest) -> Option<&'static dyn RsaEncoding> {
    Some(match (padding, digest) {
        (Padding::Pkcs1, Digest::Sha256) => &signature::RSA_PKCS1_SHA256,
        (Padding::Pkcs1, Digest::Sha384) => &signature::RSA_PKCS1_SHA384,
        (Padding::Pkcs1, Digest::Sha512) => &signature::RSA_PKCS1_SHA512,
        (Padding::Pss, Digest::Sha256) => &signature::RSA_PSS_SHA256,
        (Padding::Pss, Digest::Sha384) => &signature::RSA_PSS_SHA384,
        (Padding::Pss, Digest::Sha512) => &signature::RSA_PSS_SHA512,
        (_, Digest::Md5 | Digest::Sha1) => return None,
    })
}
