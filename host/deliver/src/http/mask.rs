//! What proved who the host is does not come back in what others answer: whatever of an answer, or of an error, is kept, logged
//! or shown goes through a [`Mask`] first. Targets and token endpoints quote what they were sent, whole, in part and encoded.
//!
//! A value is looked for by its windows: six bytes in a row that are also in a secret are hidden, in upper or lower case,
//! whatever stands around them. So a part of it is found too, and one that an answer cuts off. Of base64, eight digits in a row
//! are enough, at each of its three alignments; of hex, twelve. The escapes of JSON, HTML and URLs are undone before, three deep.
//! A value of fewer than six bytes is hidden where it stands as a word of its own: as a part of others it would be everywhere.

mod escapes;

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use escapes::View;

/// What stands in the place of a secret.
const HIDDEN: &str = "***";

/// So many bytes in a row of a secret are never shown.
const TELLING: usize = 6;

/// The same in base64 and in hex.
const TELLING_IN_BASE64: usize = 8;
const TELLING_IN_HEX: usize = 2 * TELLING;

/// So often escapes are undone: JSON in JSON in a URL.
const DEEPEST: usize = 3;

/// A piece of a secret, in lower case: how long it is, and its bytes, as a number.
type Window = (usize, u128);

/// Values that must not be seen.
pub(super) struct Mask {
    windows: HashSet<Window>,
    /// The lengths of all windows.
    lengths: Vec<usize>,
    words: Vec<Vec<u8>>,
}

impl Mask {
    /// A mask of these values.
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
            // The first digits are made of what stands before the secret too, and the last one of what follows: it is as here
            // where nothing does.
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

    /// The beginning of a text, with `***` in place of whatever it shares with a secret. What is hidden is found in all of the text:
    /// give more than is kept, or what is cut in two is half shown.
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
