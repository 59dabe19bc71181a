//! References: `crm`, `crm@candidate`, `crm@1.2.0-3f2a9c1b7d04`.

use std::fmt;
use std::str::FromStr;

/// The channel that a plain name means.
pub const CURRENT: &str = "current";

/// The channel that a canary takes.
pub const CANDIDATE: &str = "candidate";

/// A plugin of a registry: its name, and a channel or a version.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Reference {
    /// The plugin's name in the registry.
    pub name: String,
    /// A channel such as `current`, or a version.
    pub tag: String,
}

impl Reference {
    /// A channel or version of a plugin.
    pub fn new(name: impl Into<String>, tag: impl Into<String>) -> Reference {
        Reference { name: name.into(), tag: tag.into() }
    }
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Reference, String> {
        let (name, tag) = text.split_once('@').unwrap_or((text, CURRENT));
        match is_name(name) && is_name(tag) {
            true => Ok(Reference::new(name, tag)),
            false => Err(format!("{text:?} is no plugin of a registry such as \"crm\" or \"crm@candidate\"")),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.tag)
    }
}

/// Whether a text can be the name of a plugin, channel or version: 1–100 letters, digits, `-`, `_`, `.` and `+`, not
/// beginning with a dot. It becomes a part of keys and paths.
pub fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte);
    (1..=100).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(plain)
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
