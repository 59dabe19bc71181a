//! Sources: where a value is in a webhook.

use std::fmt;
use std::str::FromStr;

use towpath_types::json::{Pointer, PointerError};

/// Where a value is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// The body, byte for byte.
    Body,
    /// A header, by its name in lower case. Of several with one name, the first.
    Header(String),
    /// The text of a JSON value: a string without quotes and escapes, anything else as written.
    Json(Pointer),
    /// A JSON value as it was sent: a string with quotes and escapes.
    Raw(Pointer),
    /// A field of a form, decoded. Of several with one name, the first.
    Form(String),
    /// The text of an XML element, or of an attribute: `/order/id`, `/order/@id`.
    Xml(Vec<String>),
}

/// Why a text is not a source.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SourceError {
    #[error("{0:?} is not a source: use json:/POINTER, header:NAME, form:NAME, xml:/PATH, raw:/POINTER or body")]
    Unknown(String),
    #[error("{0:?} is not a header name")]
    Header(String),
    #[error("{0:?} is not the path of an XML element: write /order/id, or /order/@id for an attribute")]
    Xml(String),
    #[error(transparent)]
    Pointer(#[from] PointerError),
}

impl Source {
    /// The header that it reads, in lower case.
    pub fn header(&self) -> Option<&str> {
        match self {
            Source::Header(name) => Some(name),
            Source::Body | Source::Json(_) | Source::Raw(_) | Source::Form(_) | Source::Xml(_) => None,
        }
    }

    /// Whether its value depends on this header.
    pub fn needs_header(&self, name: &str) -> bool {
        match self {
            Source::Header(own) => own.eq_ignore_ascii_case(name),
            // It says whether the body is a form.
            Source::Form(_) => name.eq_ignore_ascii_case("content-type"),
            Source::Body | Source::Json(_) | Source::Raw(_) | Source::Xml(_) => false,
        }
    }
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Source, SourceError> {
        if text == "body" {
            return Ok(Source::Body);
        }
        let unknown = || SourceError::Unknown(text.to_owned());
        let (kind, name) = text.split_once(':').ok_or_else(unknown)?;
        match kind {
            "header" if http::HeaderName::try_from(name).is_ok() => Ok(Source::Header(name.to_ascii_lowercase())),
            "header" => Err(SourceError::Header(name.to_owned())),
            "json" => Ok(Source::Json(pointer(name)?)),
            "raw" => Ok(Source::Raw(pointer(name)?)),
            "form" if !name.is_empty() => Ok(Source::Form(name.to_owned())),
            "xml" => xml_path(name).map(Source::Xml).ok_or_else(|| SourceError::Xml(name.to_owned())),
            _ => Err(unknown()),
        }
    }
}

/// The empty pointer names the whole document, which is `body`.
fn pointer(text: &str) -> Result<Pointer, PointerError> {
    if text.is_empty() { Err(PointerError::Slash(text.to_owned())) } else { text.parse() }
}

fn xml_path(text: &str) -> Option<Vec<String>> {
    let steps: Vec<String> = text.strip_prefix('/')?.split('/').map(str::to_owned).collect();
    let (last, elements) = steps.split_last()?;
    let is_name = |name: &str| !name.is_empty() && !name.contains(['@', '<', '>', '"', ' ', '|', '{', '}']);
    let ends_well = match last.strip_prefix('@') {
        Some(attribute) => !elements.is_empty() && is_name(attribute),
        None => is_name(last),
    };
    (ends_well && elements.iter().all(|name| is_name(name))).then_some(steps)
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Body => f.write_str("body"),
            Source::Header(name) => write!(f, "header:{name}"),
            Source::Json(pointer) => write!(f, "json:{pointer}"),
            Source::Raw(pointer) => write!(f, "raw:{pointer}"),
            Source::Form(name) => write!(f, "form:{name}"),
            Source::Xml(steps) => write!(f, "xml:/{}", steps.join("/")),
        }
    }
}
