//! Text that others wrote (events, answers, plugins, tools, other hosts' logs), made safe for logs and terminals.
//!
//! A terminal obeys what it reads, and a log is read line by line: raw text can forge lines, colours and titles,
//! reorder other text, or hide what follows it. Always write such text through [`Foreign`]. Characters that a reader
//! cannot see are written as `\n` or `\u{202e}`.

use std::borrow::Cow;
use std::fmt::{self, Display, Write as _};
use std::str::Chars;

/// The default limit, in characters: more than anybody reads, and less than a log line may have.
const MOST: usize = 16 * 1024;

/// Combining marks allowed per character: no language needs more, and hundreds cover the neighbouring lines.
const MARKS: usize = 4;

/// Foreign text. Escaping is idempotent.
#[derive(Clone, Copy, Debug)]
pub struct Foreign<'a> {
    text: &'a str,
    most: usize,
    /// Prefix of each line, where line breaks are kept.
    indent: Option<&'a str>,
}

impl<'a> Foreign<'a> {
    /// As one line, of at most 16,384 characters.
    pub const fn line(text: &'a str) -> Foreign<'a> {
        Foreign { text, most: MOST, indent: None }
    }

    /// As lines that each begin with `indent`, without a limit: line breaks and tabs stay. No line of it can pass for a
    /// line with less indentation.
    pub const fn block(text: &'a str, indent: &'a str) -> Foreign<'a> {
        Foreign { text, most: usize::MAX, indent: Some(indent) }
    }

    /// At most this many characters, indents and escapes included; a final `…` marks a cut. Escapes are never cut in
    /// half.
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
        // One character is reserved for the `…`.
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

/// JSON in which everything that [`Foreign`] would escape is written as a JSON escape: parsing gives the original, and
/// showing it does nothing to a terminal. Line breaks stay: outside of strings JSON has no other such characters.
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
                    // Writing to a string cannot fail.
                    let _ = write!(safe, "\\u{unit:04x}");
                }
            }
        }
    }
    Cow::Owned(safe)
}

/// A character and how it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Piece {
    Kept(char),
    Escaped(char),
}

struct Pieces<'a> {
    chars: Chars<'a>,
    /// Marks on the last character. A mark at the very beginning has no character to combine with.
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
    /// Combines with the character before it.
    Mark,
    Invisible,
}

impl Kind {
    fn of(c: char) -> Kind {
        match c {
            ' '..='~' => Kind::Visible,
            // Spaces as wide as they look.
            '\u{a0}' | '\u{202f}' | '\u{3000}' => Kind::Visible,
            // Letters and marks that Unicode makes invisible (Default_Ignorable_Code_Point) and that the standard
            // library does not escape.
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

    /// What the standard library knows of Unicode. [`char::escape_debug`] escapes controls, formats (bidirectional
    /// ones, zero widths, tags), separators, private use and unassigned code points; marks only where no character
    /// precedes them.
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
