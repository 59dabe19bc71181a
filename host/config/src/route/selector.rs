//! Selectors: the location of a value in a webhook.

use std::fmt;
use std::str::FromStr;

use towpath_types::json::{Pointer, PointerError};

/// The location of a key in a webhook: `json:/pointer` or `header:name`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Selector {
    /// A JSON pointer into the body.
    Json(Pointer),
    /// A header, by its name in lower case.
    Header(String),
}

impl FromStr for Selector {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Selector, TemplateError> {
        match text.split_once(':') {
            Some(("json", pointer)) if pointer.starts_with('/') => Ok(Selector::Json(pointer.parse()?)),
            Some(("header", name)) if http::HeaderName::try_from(name).is_ok() => {
                Ok(Selector::Header(name.to_ascii_lowercase()))
            }
            _ => Err(TemplateError::Selector(text.to_owned())),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::Json(pointer) => write!(f, "json:{pointer}"),
            Selector::Header(name) => write!(f, "header:{name}"),
        }
    }
}

/// Why a template is invalid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A `{` without its `}`, or the other way round.
    #[error("unbalanced braces in {0:?}")]
    Braces(String),
    /// The text between braces is not a selector.
    #[error("{0:?} is neither \"json:/pointer\" nor \"header:name\"")]
    Selector(String),
    /// A pointer that is not valid by RFC 6901.
    #[error(transparent)]
    Pointer(#[from] PointerError),
    /// A literal has characters that are not allowed in a group id.
    #[error("{0:?} is not allowed in a group id: use letters, digits and punctuation, without spaces")]
    Literal(String),
    #[error("a group template must not be empty")]
    Empty,
    /// Two placeholders with nothing between them.
    #[error("two placeholders need a literal between them, such as \"/\"")]
    Adjacent,
    /// Even with the shortest values the id could be longer than SQS allows.
    #[error("the template can expand to more than 128 characters: shorten its literals")]
    TooLong,
}
