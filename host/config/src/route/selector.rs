//! Selectors: where in a webhook a value is.

use std::fmt;
use std::str::FromStr;

use towpath_types::json::{Pointer, PointerError};

/// Where in a webhook a key is: `json:/pointer` or `header:name`.
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

/// Why a text is no template.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A `{` without its `}`, or the other way round.
    #[error("unbalanced braces in {0:?}")]
    Braces(String),
    /// What stands between braces is not known.
    #[error("{0:?} is neither \"json:/pointer\" nor \"header:name\"")]
    Selector(String),
    /// A pointer that is not written as RFC 6901 says.
    #[error(transparent)]
    Pointer(#[from] PointerError),
    /// A literal has characters that no group id may have.
    #[error("{0:?} is not allowed in a group id: use letters, digits and punctuation, without spaces")]
    Literal(String),
    /// Nothing at all.
    #[error("a group template must not be empty")]
    Empty,
    /// Two placeholders with nothing between them.
    #[error("two placeholders need a literal between them, such as \"/\"")]
    Adjacent,
    /// With every value at its shortest the id would be longer than SQS takes.
    #[error("the template can expand to more than 128 characters: shorten its literals")]
    TooLong,
}
