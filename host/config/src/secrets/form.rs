//! Which values suit which use of a secret.

use std::collections::BTreeSet;

use super::stored::MARKER;
use super::webhook_key::{WebhookKey, symmetric_key};
use crate::algorithm::Algorithm;
use crate::pem::is_identity;
use crate::public_key::PublicKey;
use crate::value::unbase64;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Used verbatim in a header that the host sends or checks.
    Header,
    /// A password, or the secret of an OAuth2 client: encoded before it is sent.
    Password,
    /// The key of an HMAC, byte for byte.
    Key,
    /// The key of an HMAC, in base64.
    Base64Key,
    /// The key of an HMAC, in hexadecimal.
    HexKey,
    /// A public key, as PEM or encoded.
    PublicKey(Algorithm),
    /// `whsec_…`, for signing by Standard Webhooks.
    SigningKey,
    /// `whsec_…` or `whpk_…`, for verifying by Standard Webhooks.
    VerifyingKey,
    /// A certificate chain and its private key, as PEM.
    Identity,
}

impl Form {
    /// Why this value never suits this use, without revealing it.
    pub(super) fn problem(self, value: &str) -> Option<&'static str> {
        if value.trim().is_empty() {
            return Some(if value.is_empty() { "it is empty" } else { "it is blank" });
        }
        if value.starts_with(MARKER) {
            return Some("it is the text that arms a secret for a handshake");
        }
        let control = value.chars().any(char::is_control).then_some("it has a control character, such as a line break");
        let spaced = (value.trim() != value).then_some("it begins or ends with a space, which is lost in a header");
        match self {
            Form::Header => control.or(spaced),
            Form::Password => control,
            Form::Key => None,
            Form::Base64Key => unbase64(value.trim().as_bytes()).is_none().then_some("it is not base64"),
            Form::HexKey => hex::decode(value.trim()).is_err().then_some("it is not hexadecimal"),
            Form::PublicKey(algorithm) => {
                PublicKey::read(value, algorithm).is_err().then_some("it is not a public key of the scheme's algorithm")
            }
            Form::SigningKey => symmetric_key(value).is_none().then_some("it is not base64 after whsec_"),
            Form::VerifyingKey => WebhookKey::read(value).err(),
            Form::Identity => {
                (!is_identity(value)).then_some("it is not a certificate chain with its private key, both as PEM")
            }
        }
    }

    /// Whether an attacker can guess it: less than 128 bits of entropy, judging by its length and characters.
    pub(super) fn is_weak(self, value: &str) -> bool {
        match self {
            Form::Identity | Form::PublicKey(_) => false,
            Form::VerifyingKey if value.trim().starts_with("whpk_") => false,
            Form::SigningKey | Form::VerifyingKey => {
                symmetric_key(value).is_some_and(|key| key.len() * 8 < STRONG_BITS)
            }
            Form::Base64Key => unbase64(value.trim().as_bytes()).is_some_and(|key| key.len() * 8 < STRONG_BITS),
            Form::Header | Form::Password | Form::Key | Form::HexKey => bits(value) < STRONG_BITS as f64,
        }
    }
}

const STRONG_BITS: usize = 128;

/// An upper bound on the entropy of a text in bits: its length in characters of its apparent alphabet. Repetitions
/// count once; text that hardly varies, or counts up or down, is not random.
fn bits(value: &str) -> f64 {
    let characters: Vec<char> = value.chars().collect();
    let is = |class: fn(&char) -> bool| characters.iter().all(class);
    let alphabet: f64 = match () {
        () if is(char::is_ascii_digit) => 10.0,
        () if is(|c| matches!(c, '0'..='9' | 'a'..='f' | '-')) || is(|c| matches!(c, '0'..='9' | 'A'..='F' | '-')) => {
            16.0
        }
        () if is(|c| !c.is_ascii_uppercase() && c.is_ascii_alphanumeric()) => 36.0,
        () if is(|c| !c.is_ascii_lowercase() && c.is_ascii_alphanumeric()) => 36.0,
        () if is(|c| c.is_ascii_alphanumeric() || "+/-_=".contains(*c)) => 64.0,
        () => 96.0,
    };
    let length = period(&characters) as f64;
    let distinct = characters.iter().collect::<BTreeSet<_>>().len() as f64;
    let expected = alphabet * (1.0 - (1.0 - 1.0 / alphabet).powf(length));
    let counts = |pair: &&[char]| matches!(pair, [a, b] if u32::from(*a).abs_diff(u32::from(*b)) <= 1);
    let counted = characters.windows(2).filter(counts).count();
    if distinct < expected / 2.0 || 2 * counted > characters.len() { 0.0 } else { length * alphabet.log2() }
}

/// The length of the shortest prefix whose repetition is the whole text; else the full length.
fn period(characters: &[char]) -> usize {
    let repeats = |length: &usize| characters.iter().zip(characters.iter().skip(*length)).all(|(a, b)| a == b);
    (1..=characters.len() / 2).find(repeats).unwrap_or(characters.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessable_values_are_weak_and_values_that_providers_issue_are_not() {
        let weak = [
            (Form::Key, "hunter2"),
            (Form::Key, "correct horse"),
            (Form::Header, "changeme-changeme"),
            (Form::Password, "0123456789abcdef"),
            (Form::Key, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
            (Form::Key, "abababababababababababababababababababab"),
            (Form::Key, "0123456789abcdef0123456789abcdef"),
            (Form::Key, "abcdefghijklmnopqrstuvwxyz0123456789"),
            (Form::Header, "passwordpasswordpasswordpassword"),
            (Form::SigningKey, "whsec_c2hvcnQ="),
            (Form::VerifyingKey, "whsec_c2hvcnQgYW5kIHdlYWs="),
        ];
        for (form, value) in weak {
            assert!(form.is_weak(value), "{value}");
        }
        let strong = [
            (Form::Key, "5257a869e7ecebeda32affa62cdca3fa"),
            (Form::Key, "8f742231b10e8888abcd99yyyzzz85a5"),
            (Form::Key, "f47ac10b-58cc-4372-a567-0e02b2c3d479"),
            (Form::Header, "8Jq2-7wLxB0dGrpcyZpvyBh_"),
            (Form::Header, "q7RkXw2LmVt9ZsYb4NcHgA"),
            (Form::Key, "k3v9q2m8x7c1z6b4n5t0w3r8y"),
            (Form::Key, "MFRGG43FMZQW4ZBAORSXG5BBNN"),
            (Form::VerifyingKey, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            (Form::VerifyingKey, "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="),
            (Form::Identity, "-----BEGIN CERTIFICATE-----"),
        ];
        for (form, value) in strong {
            assert!(!form.is_weak(value), "{value}");
        }
    }

    #[test]
    fn only_a_value_that_can_never_be_used_is_a_problem() {
        let every = [Form::Header, Form::Password, Form::Key, Form::SigningKey, Form::VerifyingKey];
        let cases: [(&str, &[Form]); 14] = [
            ("", &every),
            (" ", &every),
            ("\t \u{a0}", &every),
            ("dG9rZW4", &[]),
            ("to\nken", &[Form::Header, Form::Password, Form::SigningKey, Form::VerifyingKey]),
            ("to\u{7f}ken", &[Form::Header, Form::Password, Form::SigningKey, Form::VerifyingKey]),
            ("pass word", &[Form::SigningKey, Form::VerifyingKey]),
            ("päßword", &[Form::SigningKey, Form::VerifyingKey]),
            ("dG9rZW4 ", &[Form::Header]),
            ("whsec_dG9rZW4=", &[]),
            ("whsec_", &[Form::SigningKey, Form::VerifyingKey]),
            ("whsec_dG9r!", &[Form::SigningKey, Form::VerifyingKey]),
            ("whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=", &[Form::SigningKey]),
            ("whpk_AAAA", &[Form::SigningKey, Form::VerifyingKey]),
        ];
        for (value, wrong) in cases {
            for form in every {
                assert_eq!(form.problem(value).is_some(), wrong.contains(&form), "{value:?} as {form:?}");
            }
        }
        assert!(Form::Identity.problem("-----BEGIN CERTIFICATE-----\n").is_some());
    }
}
