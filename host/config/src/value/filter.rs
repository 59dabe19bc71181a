//! Filters: what is made of a value.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use towpath_types::json::{Pointer, PointerError};

/// A hash function.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Digest {
    /// Broken as a hash; for senders that have nothing else.
    Md5,
    /// Broken as a hash, still secure inside an HMAC.
    Sha1,
    /// The usual choice.
    #[default]
    Sha256,
    Sha384,
    Sha512,
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Filter::Hash(*self).fmt(f)
    }
}

/// One step, applied to the bytes that the step before it returned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Filter {
    /// The digest, as bytes.
    Hash(Digest),
    /// The HMAC with the secret, as bytes.
    Mac(Digest),
    /// The checksum of zip and Ethernet, as four bytes.
    Crc32,
    /// At most eight bytes as a decimal number, the first byte being the most significant.
    Decimal,
    /// In lower case.
    Hex,
    Base64,
    /// Without padding.
    Base64Url,
    /// Hexadecimal of either case, decoded.
    Unhex,
    /// Base64 of either alphabet, with or without padding, decoded.
    Unbase64,
    /// The payload of a JSON Web Token or a signed object in compact form, RFC 7515. Its signature is not checked here.
    JwtPayload,
    /// ASCII letters only.
    Lower,
    Upper,
    /// Without ASCII white space at both ends.
    Trim,
    /// The values of the headers of these names, which are separated by spaces. Dots are between the values.
    Headers,
    /// The text of a JSON value in the bytes, which are JSON.
    Json(Pointer),
    /// A value that is missing, `null` or empty is an empty text.
    Optional,
}

/// Why a text is not a filter.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FilterError {
    #[error("{0:?} is not a filter: use json:/POINTER, {known}", known = known())]
    Unknown(String),
    #[error(transparent)]
    Pointer(#[from] PointerError),
}

const NAMED: [(&str, Filter); 23] = [
    ("md5", Filter::Hash(Digest::Md5)),
    ("sha1", Filter::Hash(Digest::Sha1)),
    ("sha256", Filter::Hash(Digest::Sha256)),
    ("sha384", Filter::Hash(Digest::Sha384)),
    ("sha512", Filter::Hash(Digest::Sha512)),
    ("hmac-md5", Filter::Mac(Digest::Md5)),
    ("hmac-sha1", Filter::Mac(Digest::Sha1)),
    ("hmac-sha256", Filter::Mac(Digest::Sha256)),
    ("hmac-sha384", Filter::Mac(Digest::Sha384)),
    ("hmac-sha512", Filter::Mac(Digest::Sha512)),
    ("crc32", Filter::Crc32),
    ("decimal", Filter::Decimal),
    ("hex", Filter::Hex),
    ("base64", Filter::Base64),
    ("base64url", Filter::Base64Url),
    ("unhex", Filter::Unhex),
    ("unbase64", Filter::Unbase64),
    ("jwt-payload", Filter::JwtPayload),
    ("lower", Filter::Lower),
    ("upper", Filter::Upper),
    ("trim", Filter::Trim),
    ("headers", Filter::Headers),
    ("optional", Filter::Optional),
];

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Filter, FilterError> {
        if let Some(pointer) = text.strip_prefix("json:") {
            return Ok(Filter::Json(pointer.parse()?));
        }
        let named = NAMED.into_iter().find(|(name, _)| *name == text);
        named.map(|(_, filter)| filter).ok_or_else(|| FilterError::Unknown(text.to_owned()))
    }
}

/// The names of all filters, for people.
fn known() -> String {
    NAMED.map(|(name, _)| name).join(", ")
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Filter::Json(pointer) => write!(f, "json:{pointer}"),
            named => f.write_str(NAMED.into_iter().find(|(_, filter)| filter == named).map_or("", |(name, _)| name)),
        }
    }
}
