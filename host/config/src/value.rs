//! Values of a webhook: where one is (a source), and what is made of it (filters); and templates with values in braces.

mod filter;
mod source;
mod template;

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

pub use filter::{Digest, Filter, FilterError};
pub use source::{Besides, Source, SourceError};
pub use template::{Part, Template, TemplateError};

/// Base64 of either alphabet, with or without padding.
pub fn unbase64(text: &[u8]) -> Option<Vec<u8>> {
    let is_url_safe = text.contains(&b'-') || text.contains(&b'_');
    if is_url_safe { URL_SAFE.decode(text).ok() } else { STANDARD.decode(text).ok() }
}

const INDIFFERENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, INDIFFERENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, INDIFFERENT);

/// A value and what is made of it: `json:/id`, `form:From|lower`, `body|sha256|hex`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Value {
    pub source: Source,
    /// Applied from left to right.
    pub filters: Vec<Filter>,
}

/// Why a text is not a value.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ValueError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Filter(#[from] FilterError),
}

impl Value {
    /// A header's value as it came.
    pub fn header(name: &str) -> Value {
        Value { source: Source::Header(name.to_ascii_lowercase()), filters: Vec::new() }
    }

    /// What it reads besides the webhook.
    pub fn besides(&self) -> impl Iterator<Item = Besides> {
        let has_mac = self.filters.iter().any(|filter| matches!(filter, Filter::Mac(_)));
        self.source.besides().into_iter().chain(has_mac.then_some(Besides::Secret))
    }

    /// Whether it may be missing.
    pub fn is_optional(&self) -> bool {
        self.filters.contains(&Filter::Optional)
    }

    /// Whether all of the body decides its value.
    pub fn covers_body(&self) -> bool {
        let is_whole = matches!(self.source, Source::Body | Source::SortedForm { or_empty: false });
        let is_part = |filter: &Filter| matches!(filter, Filter::Json(_) | Filter::Headers | Filter::Crc32);
        is_whole && !self.filters.iter().any(is_part)
    }
}

impl FromStr for Value {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Value, ValueError> {
        let mut parts = text.split('|');
        let source = parts.next().unwrap_or_default().parse()?;
        Ok(Value { source, filters: parts.map(str::parse).collect::<Result<_, _>>()? })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)?;
        self.filters.iter().try_for_each(|filter| write!(f, "|{filter}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_printed_as_it_was_written() {
        let values = [
            "body|sha256|hex",
            "header:x-id|lower",
            "json:/a/0",
            "raw:/data",
            "form:To|trim|upper",
            "xml:/order/id",
            "xml:/a/@id|md5|base64url",
            "query:hub.mode",
            "path:tenant",
            "form*?",
            "item:/id",
            "header:authorization|unbase64|json:/kid|optional",
            "text:a b",
            "timestamp",
        ];
        for text in values {
            assert_eq!(text.parse::<Value>().map(|value| value.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("header:X-Id".parse::<Value>().map(|value| value.to_string()), Ok("header:x-id".to_owned()));
    }

    #[test]
    fn what_is_not_a_value_says_why() {
        let cases = [
            ("", "\"\" is not a source"),
            ("id", "\"id\" is not a source: use json:/POINTER"),
            ("cookie:a", "is not a source"),
            ("form:", "is not a source"),
            ("header:a b", "is not a header name"),
            ("json:id", "must begin with /"),
            ("json:", "must begin with /"),
            ("json:/a~2", "~0 for ~"),
            ("xml:id", "not the path of an XML element"),
            ("xml:/a//b", "not the path of an XML element"),
            ("xml:/@id", "not the path of an XML element"),
            ("body|rot13", "\"rot13\" is not a filter: use json:/POINTER, md5, sha1"),
            ("body|", "\"\" is not a filter"),
            ("body|json:x", "must begin with /"),
            ("query:", "is not a source"),
        ];
        for (text, says) in cases {
            let error = text.parse::<Value>().expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
