//! Filters: what is made of a value.

use std::fmt;

/// A hash function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Digest {
    Md5,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

/// One step, applied to the bytes that the step before it returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Filter {
    /// The digest, as bytes.
    Hash(Digest),
    /// In lower case.
    Hex,
    Base64,
    /// Without padding.
    Base64Url,
    /// ASCII letters only.
    Lower,
    Upper,
    /// Without ASCII white space at both ends.
    Trim,
}

const FILTERS: [(&str, Filter); 11] = [
    ("md5", Filter::Hash(Digest::Md5)),
    ("sha1", Filter::Hash(Digest::Sha1)),
    ("sha256", Filter::Hash(Digest::Sha256)),
    ("sha384", Filter::Hash(Digest::Sha384)),
    ("sha512", Filter::Hash(Digest::Sha512)),
    ("hex", Filter::Hex),
    ("base64", Filter::Base64),
    ("base64url", Filter::Base64Url),
    ("lower", Filter::Lower),
    ("upper", Filter::Upper),
    ("trim", Filter::Trim),
];

impl Filter {
    pub(super) fn named(text: &str) -> Option<Filter> {
        FILTERS.into_iter().find(|(name, _)| *name == text).map(|(_, filter)| filter)
    }
}

/// The names of all filters, for people.
pub(super) fn known() -> String {
    FILTERS.map(|(name, _)| name).join(", ")
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FILTERS.into_iter().find(|(_, filter)| filter == self).map_or("", |(name, _)| name))
    }
}
