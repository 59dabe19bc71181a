//! A text with its escapes undone, and the position of each byte in the original.

use std::ops::Range;

/// HTML's names for ASCII punctuation, in lower case. Source: the named character references of the HTML standard.
const ENTITIES: [(&[u8], u8); 40] = [
    (b"amp", b'&'),
    (b"apos", b'\''),
    (b"ast", b'*'),
    (b"bsol", b'\\'),
    (b"colon", b':'),
    (b"commat", b'@'),
    (b"comma", b','),
    (b"dollar", b'$'),
    (b"equals", b'='),
    (b"excl", b'!'),
    (b"grave", b'`'),
    (b"gt", b'>'),
    (b"hat", b'^'),
    (b"lbrace", b'{'),
    (b"lbrack", b'['),
    (b"lcub", b'{'),
    (b"lowbar", b'_'),
    (b"lpar", b'('),
    (b"lsqb", b'['),
    (b"lt", b'<'),
    (b"midast", b'*'),
    (b"nbsp", b' '),
    (b"num", b'#'),
    (b"percnt", b'%'),
    (b"period", b'.'),
    (b"plus", b'+'),
    (b"quest", b'?'),
    (b"quot", b'"'),
    (b"rbrace", b'}'),
    (b"rbrack", b']'),
    (b"rcub", b'}'),
    (b"rpar", b')'),
    (b"rsqb", b']'),
    (b"semi", b';'),
    (b"sol", b'/'),
    (b"tab", b'\t'),
    (b"newline", b'\n'),
    (b"underbar", b'_'),
    (b"verbar", b'|'),
    (b"vert", b'|'),
];

/// A text in lower case.
pub(super) struct View {
    bytes: Vec<u8>,
    /// The position of each byte in the original text.
    places: Vec<Range<usize>>,
}

impl View {
    pub(super) fn of(text: &str) -> View {
        let places = (0..text.len()).map(|at| at..at + 1).collect();
        View { bytes: text.as_bytes().to_ascii_lowercase(), places }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Marks the bytes of the original text from the first to the last that this range stands for.
    pub(super) fn mark(&self, range: Range<usize>, marks: &mut [bool]) {
        marks.get_mut(self.place(range)).into_iter().flatten().for_each(|mark| *mark = true);
    }

    /// Without separators: line ends in base64, colons in hex, the zeros of UTF-16.
    pub(super) fn squeezed(&self) -> View {
        let separates = |byte: u8| byte.is_ascii_whitespace() || byte.is_ascii_control() || byte == b':';
        let kept = self.bytes.iter().zip(&self.places).filter(|(byte, _)| !separates(**byte));
        let (bytes, places) = kept.map(|(byte, place)| (*byte, place.clone())).unzip();
        View { bytes, places }
    }

    /// With one level of escapes undone; `None` if there are none.
    pub(super) fn unescaped(&self) -> Option<View> {
        let mut view =
            View { bytes: Vec::with_capacity(self.bytes.len()), places: Vec::with_capacity(self.bytes.len()) };
        let mut at = 0;
        let mut any = false;
        while let Some(rest) = self.bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let escape = percent(rest).or_else(|| backslash(rest)).or_else(|| entity(rest));
            any |= escape.is_some();
            let (c, length) = escape.unwrap_or((Escaped::Byte(rest.first().copied().unwrap_or_default()), 1));
            let place = self.place(at..at + length);
            let mut push = |byte: u8| {
                view.bytes.push(byte.to_ascii_lowercase());
                view.places.push(place.clone());
            };
            match c {
                Escaped::Byte(byte) => push(byte),
                Escaped::Char(c) => c.encode_utf8(&mut [0; 4]).bytes().for_each(push),
            }
            at += length;
        }
        any.then_some(view)
    }

    /// The range in the original text that these bytes stand for.
    fn place(&self, range: Range<usize>) -> Range<usize> {
        let places = self.places.get(range).unwrap_or_default();
        let from = places.first().map_or(0, |first| first.start);
        let to = places.last().map_or(0, |last| last.end);
        from..to
    }
}

/// What an escape stands for.
enum Escaped {
    Byte(u8),
    Char(char),
}

/// `%2f`, as in URLs and forms.
fn percent(rest: &[u8]) -> Option<(Escaped, usize)> {
    let digits = rest.strip_prefix(b"%")?.get(..2)?;
    Some((Escaped::Byte(u8::try_from(number(digits, 16)?).ok()?), 3))
}

/// `\/`, `\n`, `\x2f`, `\u002f` and `\u{2f}`, as in JSON and programming languages.
fn backslash(rest: &[u8]) -> Option<(Escaped, usize)> {
    let rest = rest.strip_prefix(b"\\")?;
    let space = |length| Some((Escaped::Byte(b'\n'), length));
    match rest.first()? {
        b'u' if rest.get(1) == Some(&b'{') => {
            let digits = rest.get(2..)?.iter().position(|byte| *byte == b'}').filter(|digits| *digits <= 6)?;
            Some((character(number(rest.get(2..2 + digits)?, 16)?)?, digits + 4))
        }
        b'u' => Some((character(number(rest.get(1..5)?, 16)?)?, 6)),
        b'x' => Some((Escaped::Byte(u8::try_from(number(rest.get(1..3)?, 16)?).ok()?), 4)),
        b'n' | b'r' | b't' => space(2),
        other if other.is_ascii_punctuation() => Some((Escaped::Byte(*other), 2)),
        _ => None,
    }
}

/// `&amp;`, `&#47;` and `&#x2f;`, with or without the semicolon, as browsers take them.
fn entity(rest: &[u8]) -> Option<(Escaped, usize)> {
    let rest = rest.strip_prefix(b"&")?;
    let semicolon = |length: usize| usize::from(rest.get(length) == Some(&b';'));
    if let Some(number_of) = rest.strip_prefix(b"#") {
        let (digits, radix, begin) = match number_of.strip_prefix(b"x") {
            Some(digits) => (digits, 16, 2),
            None => (number_of, 10, 1),
        };
        let length = digits.iter().take(8).take_while(|byte| char::from(**byte).is_digit(radix)).count();
        let end = begin + length;
        return Some((character(number(digits.get(..length)?, radix)?)?, 1 + end + semicolon(end)));
    }
    let (name, byte) = ENTITIES.iter().find(|(name, _)| rest.starts_with(name))?;
    Some((Escaped::Byte(*byte), 1 + name.len() + semicolon(name.len())))
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let all = digits.iter().all(|byte| char::from(*byte).is_digit(radix));
    u32::from_str_radix(std::str::from_utf8(digits).ok().filter(|_| all)?, radix).ok()
}

fn character(number: u32) -> Option<Escaped> {
    char::from_u32(number).map(Escaped::Char)
}
