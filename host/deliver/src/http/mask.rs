//! Masks the host's secrets in answers. Targets and token endpoints quote what they were sent: whole, in part and
//! encoded. So every part of an answer or an error that is stored, logged or shown goes through a [`Mask`] first.
//!
//! A secret is found by its windows: any six consecutive bytes of it are masked, in upper or lower case, wherever they
//! occur. So a part of a secret is found too, and one that an answer cuts off. In base64, eight consecutive digits are
//! enough, at each of its three alignments; in hex, twelve. Before that, the escapes of JSON, HTML and URLs are undone,
//! up to three levels deep. A secret of fewer than six bytes is masked only where it is a word of its own: as a part of
//! words it would occur everywhere.

mod escapes;

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use escapes::View;

const HIDDEN: &str = "***";

/// The length of a secret's part that is masked.
const TELLING: usize = 6;

/// The same in base64 and in hex, in digits.
const TELLING_IN_BASE64: usize = 8;
const TELLING_IN_HEX: usize = 2 * TELLING;

/// How many levels of escapes are undone, such as JSON in JSON in a URL.
const DEEPEST: usize = 3;

/// A part of a secret, in lower case: its length, and its bytes as a number.
type Window = (usize, u128);

pub(super) struct Mask {
    windows: HashSet<Window>,
    /// The lengths of all windows.
    lengths: Vec<usize>,
    words: Vec<Vec<u8>>,
}

impl Mask {
    pub(super) fn of<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Mask {
        let mut mask = Mask { windows: HashSet::new(), lengths: Vec::new(), words: Vec::new() };
        let secrets: HashSet<&str> = secrets.into_iter().filter(|secret| !secret.is_empty()).collect();
        for secret in secrets {
            mask.add(secret);
        }
        let lengths: HashSet<usize> = mask.windows.iter().map(|(length, _)| *length).collect();
        mask.lengths = lengths.into_iter().collect();
        mask
    }

    fn add(&mut self, secret: &str) {
        let bytes = secret.as_bytes();
        if bytes.len() < TELLING {
            self.words.push(bytes.to_ascii_lowercase());
            return;
        }
        self.windows_of(bytes, TELLING);
        // A form turns `+` into a space.
        self.windows_of(secret.replace('+', " ").as_bytes(), TELLING);
        self.windows_of(hex::encode(bytes).as_bytes(), TELLING_IN_HEX);
        for shift in 0..3 {
            let encoded = STANDARD_NO_PAD.encode([&vec![0; shift], bytes].concat());
            // The first digits also depend on the bytes before the secret, and the last one on those behind it. The
            // last digit is as here if nothing follows.
            let digits = encoded.get((8 * shift).div_ceil(6)..).unwrap_or_default();
            let telling = TELLING_IN_BASE64.min(digits.len() - 1);
            self.windows_of(digits.as_bytes(), telling);
            self.windows_of(digits.replace('+', "-").replace('/', "_").as_bytes(), telling);
            self.windows_of(digits.replace('+', " ").as_bytes(), telling);
        }
    }

    fn windows_of(&mut self, bytes: &[u8], length: usize) {
        self.windows.extend(bytes.windows(length.max(1)).map(window));
    }

    /// The first `most` bytes of a text, with `***` in place of whatever it shares with a secret. Pass a longer text
    /// than `most`, or a secret that the end of the text cuts is shown in part.
    pub(super) fn hide(&self, text: &str, most: usize) -> String {
        let mut hidden = vec![false; text.len()];
        let mut view = Some(View::of(text));
        for _ in 0..=DEEPEST {
            let Some(seen) = view else { break };
            self.words_in(&seen, &mut hidden);
            self.windows_in(&seen, &mut hidden);
            self.windows_in(&seen.squeezed(), &mut hidden);
            view = seen.unescaped();
        }
        let mut shown = String::with_capacity(most.min(text.len()));
        let kept = text.get(..text.floor_char_boundary(most)).unwrap_or_default();
        let mut hides = false;
        for (at, c) in kept.char_indices() {
            let begins = !hides;
            hides = hidden.iter().skip(at).take(c.len_utf8()).any(|hidden| *hidden);
            if !hides {
                shown.push(c);
            } else if begins {
                shown.push_str(HIDDEN);
            }
        }
        shown
    }

    fn windows_in(&self, view: &View, hidden: &mut [bool]) {
        for length in &self.lengths {
            for (at, bytes) in view.bytes().windows(*length).enumerate() {
                if self.windows.contains(&window(bytes)) {
                    view.mark(at..at + length, hidden);
                }
            }
        }
    }

    fn words_in(&self, view: &View, hidden: &mut [bool]) {
        let bytes = view.bytes();
        let is_of_word = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_alphanumeric);
        for word in &self.words {
            for (at, found) in bytes.windows(word.len()).enumerate() {
                let end = at + word.len();
                if found == word && !is_of_word(at.checked_sub(1)) && !is_of_word(Some(end)) {
                    view.mark(at..end, hidden);
                }
            }
        }
    }
}

/// At most 16 bytes, in lower case.
fn window(bytes: &[u8]) -> Window {
    let number = bytes.iter().fold(0_u128, |number, byte| number << 8 | u128::from(byte.to_ascii_lowercase()));
    (bytes.len(), number)
}

#[cfg(test)]
mod tests;
