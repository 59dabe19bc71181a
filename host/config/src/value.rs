//! Values of a webhook: where one is (a source), and what is made of it (filters).

mod filter;
mod source;

use std::fmt;
use std::str::FromStr;

pub use filter::{Digest, Filter};
pub use source::{Source, SourceError};

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
    #[error("{0:?} is not a filter: use {known}", known = filter::known())]
    Filter(String),
}

impl FromStr for Value {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Value, ValueError> {
        let mut parts = text.split('|');
        let source = parts.next().unwrap_or_default().parse()?;
        let filter = |text: &str| Filter::named(text).ok_or_else(|| ValueError::Filter(text.to_owned()));
        Ok(Value { source, filters: parts.map(filter).collect::<Result<_, _>>()? })
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
            ("body|rot13", "\"rot13\" is not a filter: use md5, sha1"),
            ("body|", "\"\" is not a filter"),
        ];
        for (text, says) in cases {
            let error = text.parse::<Value>().expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
