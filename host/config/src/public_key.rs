//! Public keys that senders sign with.

use std::fmt;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::pem::SectionKind;
use spki::SubjectPublicKeyInfoRef;

use crate::algorithm::{Algorithm, Curve};
use crate::signature;

/// A public key, as ring takes it: the raw bytes of Ed25519, the uncompressed point of an elliptic curve, or PKCS#1 of RSA.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(Vec<u8>);

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", hex::encode(self.0.get(..8).unwrap_or(&self.0)))
    }
}

/// The shortest key of RSA in PKCS#1: 2048 bits and their frame, with the exponent 3.
const SHORTEST_RSA: usize = 268;

/// Why a text is not a public key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAPublicKey {
    #[error("it is a private key: give the public one, which cannot sign")]
    Private,
    #[error("it is neither PEM, nor base64 or hex of a public key")]
    Encoding,
    #[error("it is not a key of this algorithm")]
    Kind,
    /// ring checks no signature of it.
    #[error(
        "it is an RSA key of less than 2048 bits, with which no signature is accepted: ask the sender for a longer one"
    )]
    Short,
}

impl PublicKey {
    /// Reads PEM (`PUBLIC KEY`, `RSA PUBLIC KEY`), or base64 or hex of the same in DER or of a raw key.
    pub fn read(text: &str, algorithm: Algorithm) -> Result<PublicKey, NotAPublicKey> {
        PublicKey::raw(PublicKey::bytes_of(text)?, algorithm)
    }

    /// The bytes of a key of any algorithm in a text.
    pub fn bytes_of(text: &str) -> Result<Vec<u8>, NotAPublicKey> {
        let bytes = if text.trim_start().starts_with("-----BEGIN") { pem(text)? } else { encoded(text)? };
        Ok(match SubjectPublicKeyInfoRef::try_from(bytes.as_slice()) {
            Ok(info) => info.subject_public_key.raw_bytes().to_vec(),
            Err(_) => bytes,
        })
    }

    /// A key as ring takes it.
    pub fn raw(key: Vec<u8>, algorithm: Algorithm) -> Result<PublicKey, NotAPublicKey> {
        let suits = match algorithm {
            Algorithm::Ed25519 => key.len() == 32,
            Algorithm::Ecdsa(Curve::P256, _) => key.len() == 65 && key.first() == Some(&4),
            Algorithm::Ecdsa(Curve::P384, _) => key.len() == 97 && key.first() == Some(&4),
            // A sequence of two numbers in DER.
            Algorithm::Rsa(..) if key.len() > 128 && key.first() == Some(&0x30) => {
                if key.len() < SHORTEST_RSA {
                    return Err(NotAPublicKey::Short);
                }
                true
            }
            Algorithm::Rsa(..) => false,
            Algorithm::Mac(_) | Algorithm::Hash(_) => false,
        };
        if suits { Ok(PublicKey(key)) } else { Err(NotAPublicKey::Kind) }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

fn pem(text: &str) -> Result<Vec<u8>, NotAPublicKey> {
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()) {
        match section {
            Ok((SectionKind::PublicKey, der)) => return Ok(der),
            Ok((SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey, _)) => {
                return Err(NotAPublicKey::Private);
            }
            Ok(_) => {}
            Err(_) => return Err(NotAPublicKey::Encoding),
        }
    }
    // rustls has no name for PKCS#1 of a public key.
    let lines = text.lines().map(str::trim);
    let inside = lines.skip_while(|line| *line != "-----BEGIN RSA PUBLIC KEY-----").skip(1);
    let inner: String = inside.take_while(|line| !line.starts_with("-----END")).collect();
    signature::Encoding::Base64.decode(inner.as_bytes()).ok_or(NotAPublicKey::Encoding)
}

fn encoded(text: &str) -> Result<Vec<u8>, NotAPublicKey> {
    let text = text.trim().as_bytes();
    let encodings = [signature::Encoding::Hex, signature::Encoding::Base64, signature::Encoding::Base64Url];
    encodings.into_iter().find_map(|encoding| encoding.decode(text)).ok_or(NotAPublicKey::Encoding)
}

#[cfg(test)]
mod tests;
