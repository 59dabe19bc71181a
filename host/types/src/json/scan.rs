//! The scanner: moves from one value of a document to the next.

use std::borrow::Cow;
use std::ops::Range;

/// Some editors and libraries put it before UTF-8. Source: RFC 8259 section 8.1, which lets parsers skip it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Where a document stops being JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the body is not JSON from byte {at} on")]
pub struct Broken {
    /// The byte offset in the document.
    pub at: usize,
}

/// The name of a value in the object or array that contains it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Name<'a> {
    /// The name of a member, unescaped; `None` if its escapes cannot be read.
    Member(Option<Cow<'a, [u8]>>),
    /// The position of an element, from 0.
    Element(usize),
}

impl Name<'_> {
    /// Whether a token of a pointer means this name. A position has no leading zeros, and `-` is the position after the
    /// last element.
    pub fn is(&self, token: &str) -> bool {
        match self {
            Name::Member(name) => name.as_deref() == Some(token.as_bytes()),
            Name::Element(at) => {
                let canonical = token == "0" || !token.starts_with(['0', '+']);
                canonical && token.parse() == Ok(*at)
            }
        }
    }
}

/// The members of an object, or the elements of an array, in order: each name with the span of its value. Other values
/// have none. Where the document breaks off, the last item is an error.
pub fn children(document: &[u8]) -> Children<'_> {
    let mut scanner = Scanner::new(document);
    let container = scanner.open();
    Children { scanner, container }
}

/// See [`children`].
#[derive(Debug)]
pub struct Children<'a> {
    scanner: Scanner<'a>,
    container: Option<Container>,
}

impl<'a> Iterator for Children<'a> {
    type Item = Result<(Name<'a>, Range<usize>), Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        let name = self.scanner.next(self.container.as_mut()?);
        let child = name.and_then(|name| name.map(|name| Ok((name, self.scanner.value()?))).transpose()).transpose();
        if !matches!(child, Some(Ok(_))) {
            self.container = None;
        }
        child
    }
}

/// An object or array that the scanner is inside of.
#[derive(Debug)]
pub(super) struct Container {
    close: u8,
    /// Children passed so far.
    passed: usize,
}

/// Every step advances the scanner past what it read.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    document: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(document: &'a [u8]) -> Scanner<'a> {
        let at = if document.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        Scanner { document, at }
    }

    /// Enters the object or array that begins here. Any other value is left in place.
    pub(super) fn open(&mut self) -> Option<Container> {
        self.skip_space();
        let close = self.peek().ok().and_then(closing)?;
        self.at += 1;
        Some(Container { close, passed: 0 })
    }

    /// Advances to the next child of a container and stops before its value. `None` at the container's end.
    pub(super) fn next(&mut self, container: &mut Container) -> Result<Option<Name<'a>>, Broken> {
        self.skip_space();
        if self.peek()? == container.close {
            self.at += 1;
            return Ok(None);
        }
        if container.passed > 0 {
            self.expect(b',')?;
        }
        let position = container.passed;
        container.passed += 1;
        if container.close == b']' {
            return Ok(Some(Name::Element(position)));
        }
        self.skip_space();
        let name = self.string()?;
        self.skip_space();
        self.expect(b':')?;
        Ok(Some(Name::Member(super::text(self.slice(&name)))))
    }

    /// Skips one value, whatever is in it.
    pub(super) fn value(&mut self) -> Result<Range<usize>, Broken> {
        self.skip_space();
        let start = self.at;
        let mut open = Vec::new();
        loop {
            let byte = self.peek()?;
            match (byte, closing(byte)) {
                (_, Some(close)) => {
                    open.push(close);
                    self.at += 1;
                }
                (b'"', _) => {
                    self.string()?;
                }
                (b'}' | b']', _) if open.pop() == Some(byte) => self.at += 1,
                (b',' | b':', _) if !open.is_empty() => self.at += 1,
                (b'}' | b']' | b',' | b':', _) => return Err(Broken { at: self.at }),
                _ => self.skip_literal(),
            }
            if open.is_empty() {
                return Ok(start..self.at);
            }
            self.skip_space();
        }
    }

    /// Nothing may follow the document's value.
    pub(super) fn end(&mut self) -> Result<(), Broken> {
        self.skip_space();
        if self.is_at_end() { Ok(()) } else { Err(Broken { at: self.at }) }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.document.len()
    }

    pub(super) fn slice(&self, span: &Range<usize>) -> &'a [u8] {
        self.document.get(span.clone()).unwrap_or_default()
    }

    fn string(&mut self) -> Result<Range<usize>, Broken> {
        let start = self.at;
        self.expect(b'"')?;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Ok(start..self.at)
    }

    /// A number, `true`, or what some libraries write instead, such as `NaN`.
    fn skip_literal(&mut self) {
        let ends = |byte: &u8| is_space(*byte) || b"\"{}[],:".contains(byte);
        let rest = self.document.get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(ends).unwrap_or(rest.len());
    }

    fn skip_space(&mut self) {
        while self.peek().is_ok_and(is_space) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Result<u8, Broken> {
        self.document.get(self.at).copied().ok_or(Broken { at: self.document.len() })
    }

    fn expect(&mut self, byte: u8) -> Result<(), Broken> {
        if self.peek()? != byte {
            return Err(Broken { at: self.at });
        }
        self.at += 1;
        Ok(())
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn closing(byte: u8) -> Option<u8> {
    match byte {
        b'{' => Some(b'}'),
        b'[' => Some(b']'),
        _ => None,
    }
}
