//! How signatures are made.

use std::str::FromStr;

use crate::value::Digest;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// HMAC, RFC 2104.
    Mac(Digest),
    /// A hash of a text that contains the secret.
    Hash(Digest),
    /// RFC 8032.
    Ed25519,
    /// ECDSA with the hash of the curve's size, FIPS 186.
    Ecdsa(Curve, Form),
    /// RSA, RFC 8017.
    Rsa(Padding, Digest),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Curve {
    P256,
    P384,
}

/// How the two numbers of an ECDSA signature are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// As ASN.1 in DER.
    Asn1,
    /// One after the other, each as long as the curve.
    Fixed,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Padding {
    Pkcs1,
    Pss,
}

/// The algorithms by their names. Padding and hash of RSA are those that ring verifies.
const NAMED: [(&str, Algorithm); 22] = [
    ("hmac-md5", Algorithm::Mac(Digest::Md5)),
    ("hmac-sha1", Algorithm::Mac(Digest::Sha1)),
    ("hmac-sha256", Algorithm::Mac(Digest::Sha256)),
    ("hmac-sha384", Algorithm::Mac(Digest::Sha384)),
    ("hmac-sha512", Algorithm::Mac(Digest::Sha512)),
    ("md5", Algorithm::Hash(Digest::Md5)),
    ("sha1", Algorithm::Hash(Digest::Sha1)),
    ("sha256", Algorithm::Hash(Digest::Sha256)),
    ("sha384", Algorithm::Hash(Digest::Sha384)),
    ("sha512", Algorithm::Hash(Digest::Sha512)),
    ("ed25519", Algorithm::Ed25519),
    ("ecdsa-p256-sha256", Algorithm::Ecdsa(Curve::P256, Form::Asn1)),
    ("ecdsa-p256-sha256-fixed", Algorithm::Ecdsa(Curve::P256, Form::Fixed)),
    ("ecdsa-p384-sha384", Algorithm::Ecdsa(Curve::P384, Form::Asn1)),
    ("ecdsa-p384-sha384-fixed", Algorithm::Ecdsa(Curve::P384, Form::Fixed)),
    ("rsa-sha1", Algorithm::Rsa(Padding::Pkcs1, Digest::Sha1)),
    ("rsa-sha256", Algorithm::Rsa(Padding::Pkcs1, Digest::Sha256)),
    ("rsa-sha384", Algorithm::Rsa(Padding::Pkcs1, Digest::Sha384)),
    ("rsa-sha512", Algorithm::Rsa(Padding::Pkcs1, Digest::Sha512)),
    ("rsa-pss-sha256", Algorithm::Rsa(Padding::Pss, Digest::Sha256)),
    ("rsa-pss-sha384", Algorithm::Rsa(Padding::Pss, Digest::Sha384)),
    ("rsa-pss-sha512", Algorithm::Rsa(Padding::Pss, Digest::Sha512)),
];

impl Algorithm {
    /// Whether it uses a public key.
    pub fn is_public(self) -> bool {
        matches!(self, Algorithm::Ed25519 | Algorithm::Ecdsa(..) | Algorithm::Rsa(..))
    }
}

impl FromStr for Algorithm {
    type Err = String;

    fn from_str(text: &str) -> Result<Algorithm, String> {
        let named = NAMED.into_iter().find(|(name, _)| *name == text);
        named.map(|(_, algorithm)| algorithm).ok_or_else(|| {
            let known = NAMED.map(|(name, _)| name);
            format!("{text:?} is not an algorithm: use {}", known.join(", "))
        })
    }
}
