//! JSON pointers ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)).

use std::fmt;
use std::str::FromStr;

/// A parsed pointer: `/customer/id`, or the empty one, which names the whole document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pointer {
    text: String,
    tokens: Vec<String>,
}

/// Why a text is not a JSON pointer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PointerError {
    #[error("{0:?} is not a JSON pointer: it must begin with /")]
    Slash(String),
    #[error("{0:?} is not a JSON pointer: write ~0 for ~ and ~1 for /")]
    Tilde(String),
}

impl Pointer {
    /// The names and positions on the path to the value, unescaped.
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// The pointer to the object or array that contains the value, and the value's name in it. `None` for the whole
    /// document.
    pub fn parent(&self) -> Option<(Pointer, &str)> {
        let (name, tokens) = self.tokens.split_last()?;
        let text = self.text.rsplit_once('/').map_or("", |(parent, _)| parent);
        Some((Pointer { text: text.to_owned(), tokens: tokens.to_vec() }, name))
    }
}

impl FromStr for Pointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Pointer, PointerError> {
        let tokens = match text.strip_prefix('/') {
            Some(rest) => rest.split('/').map(unescape).collect::<Option<Vec<String>>>(),
            None if text.is_empty() => Some(Vec::new()),
            None => return Err(PointerError::Slash(text.to_owned())),
        };
        let tokens = tokens.ok_or_else(|| PointerError::Tilde(text.to_owned()))?;
        Ok(Pointer { text: text.to_owned(), tokens })
    }
}

fn unescape(token: &str) -> Option<String> {
    let mut parts = token.split('~');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        let (escaped, rest) =
            part.strip_prefix('0').map(|rest| ('~', rest)).or_else(|| Some(('/', part.strip_prefix('1')?)))?;
        plain.push(escaped);
        plain.push_str(rest);
    }
    Some(plain)
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
