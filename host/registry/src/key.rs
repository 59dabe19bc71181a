//! Ed25519 keys (RFC 8032): they decide who may release plugins.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use towpath_config::registry::PublicKey;

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyError {
    /// Not a signing key.
    #[error("not an Ed25519 signing key: PKCS#8 in base64, as `towpath plugin keygen` writes it")]
    Signing,
    #[error("the system's random number generator failed")]
    Random,
    /// The key is not the one in the config.
    #[error("the config requires signatures by {wanted}, but this key is {found}: hosts would reject them")]
    Other {
        /// The key in the config.
        wanted: PublicKey,
        /// The public key of this one.
        found: PublicKey,
    },
}

/// Whether this is the key's signature (in base64) of these bytes.
pub(super) fn verifies(key: &PublicKey, bytes: &[u8], signature: &[u8]) -> bool {
    let signature = BASE64.decode(signature.trim_ascii());
    signature.is_ok_and(|signature| UnparsedPublicKey::new(&ED25519, key.as_bytes()).verify(bytes, &signature).is_ok())
}

/// Signs releases and pointers. Never printed.
#[derive(Clone)]
pub struct SigningKey(Arc<Ed25519KeyPair>);

impl SigningKey {
    /// A new key, and the text of its key file.
    pub fn generate() -> Result<(SigningKey, String), KeyError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyError::Random)?;
        let text = BASE64.encode(document.as_ref());
        Ok((text.parse()?, text))
    }

    /// The key that verifies its signatures.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(self.0.public_key().as_ref()).for_each(|(to, from)| *to = *from);
        PublicKey::of(bytes)
    }

    /// The signature of these bytes, in base64.
    pub fn sign(&self, bytes: &[u8]) -> String {
        BASE64.encode(self.0.sign(bytes))
    }
}

impl FromStr for SigningKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<SigningKey, KeyError> {
        let document = BASE64.decode(text.trim()).map_err(|_| KeyError::Signing)?;
        Ed25519KeyPair::from_pkcs8(&document).map(Arc::new).map(SigningKey).map_err(|_| KeyError::Signing)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use towpath_config::registry::NotAPublicKey;

    use super::*;

    #[test]
    fn only_the_key_that_signed_verifies_and_only_what_it_signed() {
        let (key, text) = SigningKey::generate().expect("a key");
        let (other, _) = SigningKey::generate().expect("a key");
        let signature = key.sign(b"manifest");
        let again: SigningKey = text.parse().expect("the written key");
        assert_eq!(again.public(), key.public());
        let public: PublicKey = key.public().to_string().parse().expect("the printed key");
        assert!(verifies(&public, b"manifest", format!("{signature}\n").as_bytes()));
        assert!(!verifies(&public, b"manifesto", signature.as_bytes()));
        assert!(!verifies(&other.public(), b"manifest", signature.as_bytes()));
        for garbage in ["", "AAAA", "not base64!"] {
            assert!(!verifies(&public, b"manifest", garbage.as_bytes()), "{garbage:?}");
            assert_eq!(garbage.parse::<PublicKey>(), Err(NotAPublicKey), "{garbage:?}");
            assert_eq!(garbage.parse::<SigningKey>().map(|_| ()), Err(KeyError::Signing), "{garbage:?}");
        }
        assert_eq!(format!("{key:?}"), "SigningKey(..)");
    }
}
