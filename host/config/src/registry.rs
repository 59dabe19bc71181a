//! `[registry]`, its public key, and references into it: `crm`, `crm@candidate`, `crm@1.2.0-3f2a9c1b7d04`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::s3::S3Url;

/// The channel that a plain name means.
pub const CURRENT: &str = "current";

/// The channel that canaries use.
pub const CANDIDATE: &str = "candidate";

/// A plugin in a registry: its name, and a channel or a version.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Reference {
    /// The plugin's name in the registry.
    pub name: String,
    /// A channel such as `current`, or a version.
    pub tag: String,
}

impl Reference {
    pub fn new(name: impl Into<String>, tag: impl Into<String>) -> Reference {
        Reference { name: name.into(), tag: tag.into() }
    }
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Reference, String> {
        let (name, tag) = text.split_once('@').unwrap_or((text, CURRENT));
        if is_name(name) && is_name(tag) {
            Ok(Reference::new(name, tag))
        } else {
            Err(format!("{text:?} is not a plugin reference such as \"crm\" or \"crm@candidate\""))
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.tag)
    }
}

/// Whether a text is a valid name of a plugin, channel or version: 1–100 letters, digits, `-`, `_`, `.` and `+`, not
/// beginning with a dot. It becomes part of object keys and paths.
pub fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte);
    (1..=100).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(plain)
}

/// `[registry]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegistryConfig {
    pub url: RegistryUrl,
    /// The key that must have signed every release.
    pub public_key: Option<PublicKey>,
}

/// `s3://bucket/prefix`, or a folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RegistryUrl {
    /// A prefix in a bucket; the key does not end with a slash.
    S3(S3Url),
    Folder(PathBuf),
}

impl std::str::FromStr for RegistryUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<RegistryUrl, String> {
        if text.starts_with("s3://") {
            let parsed = text.trim_end_matches('/').parse();
            return parsed
                .map(RegistryUrl::S3)
                .map_err(|_| format!("{text:?} is not a registry such as \"s3://bucket/plugins\""));
        }
        if text.contains("://") || text.is_empty() {
            Err(format!("{text:?} is neither a folder nor a URL such as \"s3://bucket/plugins\""))
        } else {
            Ok(RegistryUrl::Folder(text.into()))
        }
    }
}

impl fmt::Display for RegistryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegistryUrl::S3(url) => url.fmt(f),
            RegistryUrl::Folder(folder) => folder.display().fmt(f),
        }
    }
}

/// The length of a public key, in bytes.
const LENGTH: usize = 32;

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not an Ed25519 public key: 32 bytes in base64, as `towpath plugin keygen` prints it")]
pub struct NotAPublicKey;

/// The key that verifies releases and pointers, written in base64.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey([u8; LENGTH]);

impl PublicKey {
    pub fn of(bytes: [u8; LENGTH]) -> PublicKey {
        PublicKey(bytes)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for PublicKey {
    type Err = NotAPublicKey;

    fn from_str(text: &str) -> Result<PublicKey, NotAPublicKey> {
        let bytes = BASE64.decode(text.trim()).map_err(|_| NotAPublicKey)?;
        bytes.try_into().map(PublicKey).map_err(|_| NotAPublicKey)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_never_leaves_its_registry() {
        assert_eq!("crm".parse(), Ok(Reference::new("crm", CURRENT)));
        assert_eq!("crm@1.2.0-3f2a".parse(), Ok(Reference::new("crm", "1.2.0-3f2a")));
        for wrong in ["", "@", "crm@", "../crm", "crm@..", "a/b", "crm@a@b", "crm@a/b", &"x".repeat(101)] {
            assert!(wrong.parse::<Reference>().is_err(), "{wrong:?}");
        }
    }
}
