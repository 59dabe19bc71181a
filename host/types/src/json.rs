//! Byte-level JSON: finds the value that a pointer names without parsing the rest of the document.
//!
//! It returns the bytes that were sent: `1.10` stays `1.10`. The rest of the document does not matter: numbers that no
//! `f64` holds, lone surrogates, bytes that are not UTF-8, a million brackets. Only the objects and arrays on the
//! pointer's path are read strictly; elsewhere the scanner follows strings and brackets to find the end. It never
//! recurses, and takes linear time.

mod pointer;
mod scan;

use std::borrow::Cow;
use std::ops::Range;

use serde::de::{Deserializer as _, IgnoredAny, Visitor};

pub use pointer::{Pointer, PointerError};
pub use scan::{Broken, Children, Name, children};

use scan::{Container, Scanner};

/// A value that a pointer names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Located {
    /// Where it is in the document.
    pub span: Range<usize>,
    /// Where the document stops being JSON, if it does.
    pub broken: Option<Broken>,
}

/// Why a pointer names no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Missing {
    /// The document is complete and has no value there.
    #[error("the body has no such value")]
    Absent,
    /// The document stops being JSON before a value was found.
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// Finds the value that a pointer names. Among members with the same name the last one wins, as in the JSON parsers of
/// Rust, JavaScript and Python. A byte order mark before the document is skipped.
pub fn find(document: &[u8], pointer: &Pointer) -> Result<Located, Missing> {
    let mut span = None;
    let end = walk(&mut Scanner::new(document), pointer.tokens(), &mut span);
    match (span, end) {
        (Some(span), end) => Ok(Located { span, broken: end.err() }),
        (None, Ok(())) => Err(Missing::Absent),
        (None, Err(broken)) => Err(Missing::Broken(broken)),
    }
}

/// Scans the document to its end; `span` is what was found so far.
fn walk(scanner: &mut Scanner<'_>, tokens: &[String], span: &mut Option<Range<usize>>) -> Result<(), Broken> {
    let mut path: Vec<Container> = Vec::new();
    loop {
        // The value that the first tokens name begins here; each container on the path has taken one token.
        *span = None;
        let named = path.len() == tokens.len();
        match if named { None } else { scanner.open() } {
            Some(container) => path.push(container),
            None => {
                let value = scanner.value()?;
                if path.is_empty() && text(scanner.slice(&value)).is_none() {
                    return Err(Broken { at: value.start });
                }
                // A number at the very end may have lost digits if the document was cut.
                *span = Some(value).filter(|_| named && (path.is_empty() || !scanner.is_at_end()));
            }
        }
        // Advance to the next value that the tokens name.
        loop {
            let depth = path.len();
            let Some(container) = path.last_mut() else { return scanner.end() };
            match scanner.next(container)? {
                None => {
                    path.pop();
                }
                Some(name) if tokens.get(depth - 1).is_some_and(|token| name.is(token)) => break,
                Some(_) => {
                    scanner.value()?;
                }
            }
        }
    }
}

/// The content of a value: a string without quotes and escapes, anything else as written. `None` if it is not a JSON
/// value: `NaN`, `007`, a string with an unknown escape.
///
/// A string that is not UTF-8 keeps its bytes, and a lone surrogate becomes
/// [WTF-8](https://simonsapin.github.io/wtf-8/), so different strings stay different.
pub fn text(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    match value.first()? {
        b'"' => serde_json::Deserializer::from_slice(value).deserialize_bytes(Unescaped).ok(),
        b'{' | b'[' => Some(Cow::Borrowed(value)),
        _ => serde_json::from_slice::<IgnoredAny>(value).ok().map(|_| Cow::Borrowed(value)),
    }
}

/// Whether the value that a pointer names has this content, as [`text`] gives it.
pub fn has_value(document: &[u8], pointer: &Pointer, wanted: &[u8]) -> bool {
    let Ok(found) = find(document, pointer) else { return false };
    document.get(found.span).and_then(text).is_some_and(|value| *value == *wanted)
}

struct Unescaped;

impl<'de> Visitor<'de> for Unescaped {
    type Value = Cow<'de, [u8]>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Cow<'de, [u8]>, E> {
        Ok(Cow::Borrowed(bytes))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Cow<'de, [u8]>, E> {
        Ok(Cow::Owned(bytes.to_vec()))
    }
}

#[cfg(test)]
mod tests;
