//! Lone surrogates: what is left of a character when somebody cuts a string between its two halves.

/// An escape such as `\ud83d`, in bytes.
const ESCAPE: usize = 6;

/// What takes the place of a lone surrogate: as long as an escape, so that positions stay.
const REPLACEMENT: &[u8; ESCAPE] = b"\\ufffd";

/// A JSON text with U+FFFD for every lone surrogate; `None` if it has none.
pub(crate) fn replaced(json: &[u8]) -> Option<Vec<u8>> {
    let mut mended: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(rest) = json.get(at..).filter(|rest| !rest.is_empty()) {
        let (length, is_lone) = match unit(rest) {
            // A backslash, and what it makes of the next byte.
            None => (if rest.starts_with(b"\\") { 2 } else { 1 }, false),
            Some(0xD800..=0xDBFF) if rest.get(ESCAPE..).and_then(unit).is_some_and(|low| low & 0xFC00 == 0xDC00) => {
                (2 * ESCAPE, false)
            }
            Some(unit) => (ESCAPE, unit & 0xF800 == 0xD800),
        };
        if is_lone {
            let mended = mended.get_or_insert_with(|| json.to_vec());
            mended.get_mut(at..at + ESCAPE)?.copy_from_slice(REPLACEMENT);
        }
        at += length;
    }
    mended
}

/// The UTF-16 code unit that is escaped here.
fn unit(json: &[u8]) -> Option<u16> {
    let digits = json.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | u16::try_from(char::from(*digit).to_digit(16)?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lone_surrogates_are_replaced() {
        let cases = [
            (r#""\ud83d""#, Some(r#""\ufffd""#)),
            (r#""\uDEF6 \ud83d\ud83d\udef6 \uD83Dx""#, Some(r#""\ufffd \ufffd\ud83d\udef6 \ufffdx""#)),
            (r#""\ud83d\n""#, Some(r#""\ufffd\n""#)),
            (r#""\\ud83d \u0041 \ud83d\udef6 \ud83""#, None),
            (r#""\\\ud83d""#, Some(r#""\\\ufffd""#)),
            (r"\", None),
            ("", None),
        ];
        for (json, expected) in cases {
            let mended = replaced(json.as_bytes()).map(|mended| String::from_utf8(mended).expect("text"));
            assert_eq!(mended.as_deref(), expected, "{json}");
        }
    }
}
