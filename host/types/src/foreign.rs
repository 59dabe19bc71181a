//! Text that others wrote (events, answers, plugins, tools, other hosts' logs) as it may stand in a log or on a screen.
//!
//! A terminal obeys what it reads, and a log is read line by line: a text that is written as it came can forge lines, colours
//! and titles, turn others around, or hide what follows it. [`Foreign`] is the one way to write such a text. What a reader
//! cannot see stands as `\n` or `\u{202e}`.

use std::borrow::Cow;
use std::fmt::{self, Display, Write as _};
use std::str::Chars;

/// The most characters of a text, unless somebody says otherwise: more than anybody reads, and less than a log's line may have.
const MOST: usize = 16 * 1024;

/// So many marks may stand on one character: no language needs more, and hundreds cover the lines around.
const MARKS: usize = 4;

/// A text of others. Written twice it is the same as written once.
#[derive(Clone, Copy, Debug)]
pub struct Foreign<'a> {
    text: &'a str,
    most: usize,
    /// What stands before each line, if line ends stay.
    indent: Option<&'a str>,
}

impl<'a> Foreign<'a> {
    /// As one line, of 16,384 characters at most.
    pub const fn line(text: &'a str) -> Foreign<'a> {
        Foreign { text, most: MOST, indent: None }
    }

    /// As lines that each begin with `indent`, whole: its own line ends and tabs stay. No line of it can be taken for one that
    /// stands further left.
    pub const fn block(text: &'a str, indent: &'a str) -> Foreign<'a> {
        Foreign { text, most: usize::MAX, indent: Some(indent) }
    }

    /// So many characters at most, indents and escapes included; `…` at the end says that there was more. No escape is cut.
    #[must_use]
    pub const fn at_most(self, characters: usize) -> Foreign<'a> {
        Foreign { most: characters, ..self }
    }

    /// How many characters a piece takes.
    fn width(self, piece: Piece) -> usize {
        match piece {
            Piece::Kept('\n') => 1 + self.indent.map_or(0, |indent| indent.chars().count()),
            Piece::Kept(_) => 1,
            Piece::Escaped(c) => c.escape_default().len(),
        }
    }
}

impl Display for Foreign<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let indent = self.indent.unwrap_or_default();
        if indent.is_empty()
            && self.text.len() <= self.most
            && self.text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        {
            return f.write_str(self.text);
        }
        let begin = indent.chars().count();
        let pieces = || Pieces { chars: self.text.chars(), marks: MARKS, keeps_lines: self.indent.is_some() };
        let mut whole = begin;
        let fits = pieces().all(|piece| {
            whole = whole.saturating_add(self.width(piece));
            whole <= self.most
        });
        // One character is for the `…`.
        let room = if fits { self.most } else { self.most.saturating_sub(1) };
        if begin <= room {
            f.write_str(indent)?;
        }
        let mut used = begin;
        for piece in pieces() {
            used = used.saturating_add(self.width(piece));
            if used > room {
                break;
            }
            match piece {
                Piece::Kept(c) => f.write_char(c)?,
                Piece::Escaped(c) => c.escape_default().try_for_each(|c| f.write_char(c))?,
            }
            if piece == Piece::Kept('\n') {
                f.write_str(indent)?;
            }
        }
        if fits || self.most == 0 { Ok(()) } else { f.write_char('…') }
    }
}

/// JSON in which what [`Foreign`] would escape is escaped as JSON does it: whoever parses it gets what was there, and a terminal
/// that shows it does nothing. Line ends stay: beside them such characters stand only in strings.
pub fn json(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n')) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 64);
    for piece in (Pieces { chars: text.chars(), marks: MARKS, keeps_lines: true }) {
        match piece {
            Piece::Kept(c) => safe.push(c),
            Piece::Escaped(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // A string takes whatever is written to it.
                    let _ = write!(safe, "\\u{unit:04x}");
                }
            }
        }
    }
    Cow::Owned(safe)
}

/// A character and what becomes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Piece {
    Kept(char),
    Escaped(char),
}

struct Pieces<'a> {
    chars: Chars<'a>,
    /// How many marks stand on the last character. At the beginning there is none for them to stand on.
    marks: usize,
    keeps_lines: bool,
}

impl Iterator for Pieces<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let c = self.chars.next()?;
        let kind = Kind::of(c);
        self.marks = if kind == Kind::Mark { self.marks.saturating_add(1) } else { 0 };
        let kept = match kind {
            Kind::Visible => true,
            Kind::Mark => self.marks <= MARKS,
            Kind::Invisible => self.keeps_lines && matches!(c, '\n' | '\t'),
        };
        if c == '\n' && kept {
            self.marks = MARKS;
        }
        Some(if kept { Piece::Kept(c) } else { Piece::Escaped(c) })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Visible,
    /// It stands on the character before it.
    Mark,
    Invisible,
}

impl Kind {
    fn of(c: char) -> Kind {
        match c {
            ' '..='~' => Kind::Visible,
            // Spaces that are as wide as they look.
            '\u{a0}' | '\u{202f}' | '\u{3000}' => Kind::Visible,
            // Letters and marks that Unicode wants to be invisible (Default_Ignorable_Code_Point) and that the standard
            // library takes for any others.
            '\u{34f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{3164}'
            | '\u{ffa0}' => Kind::Invisible,
            '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}' => Kind::Invisible,
            c => Kind::by_category(c),
        }
    }

    /// What the standard library knows of Unicode: controls, formats (bidirectional ones, zero widths, tags), separators, private
    /// use and what is not assigned are escaped by [`char::escape_debug`]; marks only where nothing stands before them.
    fn by_category(c: char) -> Kind {
        if c.escape_debug().len() == 1 {
            return Kind::Visible;
        }
        let behind: String = ['a', c].into_iter().collect();
        if behind.escape_debug().count() == 2 { Kind::Mark } else { Kind::Invisible }
    }
}

#[cfg(test)]
#[path = "foreign/tests.rs"]
mod tests;
