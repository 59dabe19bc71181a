//! Sources: where a value is in a webhook, or in what is known besides it.

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
    /// The text of a JSON value in one element of an array.
    Item(Pointer),
    /// A field of a form, decoded. Of several with one name, the first.
    Form(String),
    /// All fields of a form, sorted, each as name and value without anything between.
    SortedForm {
        /// Whether a body that is no form has an empty text instead of none.
        or_empty: bool,
    },
    /// The text of an XML element, or of an attribute: `/order/id`, `/order/@id`.
    Xml(Vec<String>),
    /// A parameter of the query, decoded. Of several with one name, the first.
    Query(String),
    /// The whole query as it came, without the question mark.
    WholeQuery,
    Method,
    /// What follows the route's path.
    Rest,
    /// A named segment of the route's path, decoded.
    Segment(String),
    /// The public URL of the request.
    Url,
    /// The signed time as written.
    Timestamp,
    /// The secret.
    Secret,
    /// Another pair of the value that contains the signature.
    Pair(String),
    /// The time of the answer, in milliseconds since 1970.
    Now,
    /// This text.
    Text(String),
}

/// What a source reads besides the webhook. Each is known in some places of the config only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Besides {
    Item,
    Url,
    Timestamp,
    Secret,
    Pair,
    Now,
}

/// Why a text is not a source.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SourceError {
    #[error(
        "{0:?} is not a source: use json:/POINTER, header:NAME, query:NAME, form:NAME, xml:/PATH, raw:/POINTER, body, \
         or another of docs/configure.md#values"
    )]
    Unknown(String),
    #[error("{0:?} is not a header name")]
    Header(String),
    #[error("{0:?} is not the path of an XML element: write /order/id, or /order/@id for an attribute")]
    Xml(String),
    #[error(transparent)]
    Pointer(#[from] PointerError),
}

/// The sources without a name.
const PLAIN: [(&str, Source); 10] = [
    ("body", Source::Body),
    ("form*", Source::SortedForm { or_empty: false }),
    ("form*?", Source::SortedForm { or_empty: true }),
    ("query", Source::WholeQuery),
    ("method", Source::Method),
    ("path", Source::Rest),
    ("url", Source::Url),
    ("timestamp", Source::Timestamp),
    ("secret", Source::Secret),
    ("now", Source::Now),
];

impl Source {
    /// The header that it reads, in lower case.
    pub fn header(&self) -> Option<&str> {
        match self {
            Source::Header(name) => Some(name),
            _ => None,
        }
    }

    /// Whether its value depends on this header.
    pub fn needs_header(&self, name: &str) -> bool {
        match self {
            Source::Header(own) => own.eq_ignore_ascii_case(name),
            // It says whether the body is a form.
            Source::Form(_) | Source::SortedForm { .. } => name.eq_ignore_ascii_case("content-type"),
            _ => false,
        }
    }

    /// Whether it reads the body, or a part of it.
    pub fn reads_body(&self) -> bool {
        match self {
            Source::Body
            | Source::Json(_)
            | Source::Raw(_)
            | Source::Item(_)
            | Source::Form(_)
            | Source::SortedForm { .. }
            | Source::Xml(_) => true,
            Source::Header(_)
            | Source::Query(_)
            | Source::WholeQuery
            | Source::Method
            | Source::Rest
            | Source::Segment(_)
            | Source::Url
            | Source::Timestamp
            | Source::Secret
            | Source::Pair(_)
            | Source::Now
            | Source::Text(_) => false,
        }
    }

    /// What it reads besides the webhook.
    pub fn besides(&self) -> Option<Besides> {
        match self {
            Source::Item(_) => Some(Besides::Item),
            Source::Url => Some(Besides::Url),
            Source::Timestamp => Some(Besides::Timestamp),
            Source::Secret => Some(Besides::Secret),
            Source::Pair(_) => Some(Besides::Pair),
            Source::Now => Some(Besides::Now),
            _ => None,
        }
    }
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Source, SourceError> {
        if let Some((_, source)) = PLAIN.into_iter().find(|(name, _)| *name == text) {
            return Ok(source);
        }
        let unknown = || SourceError::Unknown(text.to_owned());
        let (kind, name) = text.split_once(':').ok_or_else(unknown)?;
        match kind {
            "header" if http::HeaderName::try_from(name).is_ok() => Ok(Source::Header(name.to_ascii_lowercase())),
            "header" => Err(SourceError::Header(name.to_owned())),
            "json" => Ok(Source::Json(pointer(name)?)),
            "raw" => Ok(Source::Raw(pointer(name)?)),
            "item" => Ok(Source::Item(name.parse()?)),
            "form" if !name.is_empty() => Ok(Source::Form(name.to_owned())),
            "query" if !name.is_empty() => Ok(Source::Query(name.to_owned())),
            "path" if !name.is_empty() => Ok(Source::Segment(name.to_owned())),
            "pair" if !name.is_empty() => Ok(Source::Pair(name.to_owned())),
            "text" => Ok(Source::Text(name.to_owned())),
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
            Source::Header(name) => write!(f, "header:{name}"),
            Source::Json(pointer) => write!(f, "json:{pointer}"),
            Source::Raw(pointer) => write!(f, "raw:{pointer}"),
            Source::Item(pointer) => write!(f, "item:{pointer}"),
            Source::Form(name) => write!(f, "form:{name}"),
            Source::Query(name) => write!(f, "query:{name}"),
            Source::Segment(name) => write!(f, "path:{name}"),
            Source::Pair(name) => write!(f, "pair:{name}"),
            Source::Text(text) => write!(f, "text:{text}"),
            Source::Xml(steps) => write!(f, "xml:/{}", steps.join("/")),
            plain => f.write_str(PLAIN.into_iter().find(|(_, source)| source == plain).map_or("", |(name, _)| name)),
        }
    }
}
