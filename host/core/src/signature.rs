//! Signatures with a shared key: an HMAC (RFC 2104) over what a template names. Webhooks that come in are checked
//! with them, requests that go out are signed with them.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{KeyInit, Mac};

/// The hash that an HMAC is made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// SHA-1: still unbroken inside an HMAC, for senders that have nothing else.
    Sha1,
    /// SHA-256, what nearly everybody uses.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// The HMAC of these pieces, one behind the other.
    pub fn mac(self, key: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
        match self {
            Algorithm::Sha1 => mac::<hmac::Hmac<sha1::Sha1>>(key, pieces),
            Algorithm::Sha256 => mac::<hmac::Hmac<sha2::Sha256>>(key, pieces),
            Algorithm::Sha384 => mac::<hmac::Hmac<sha2::Sha384>>(key, pieces),
            Algorithm::Sha512 => mac::<hmac::Hmac<sha2::Sha512>>(key, pieces),
        }
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
    // HMAC takes keys of every length. An empty digest equals no signature.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return Vec::new() };
    pieces.iter().for_each(|piece| mac.update(piece));
    mac.finalize().into_bytes().to_vec()
}

/// How a digest is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// Hexadecimal; both cases are read, lower case is written.
    Hex,
    /// Base64 with the standard alphabet and padding.
    Base64,
}

impl Encoding {
    /// Bytes as text.
    pub fn encode(self, bytes: &[u8]) -> String {
        match self {
            Encoding::Hex => hex::encode(bytes),
            Encoding::Base64 => BASE64.encode(bytes),
        }
    }

    /// Text as bytes; `None` if it is not written so, or empty.
    pub fn decode(self, text: &[u8]) -> Option<Vec<u8>> {
        let bytes = match self {
            Encoding::Hex => hex::decode(text).ok(),
            Encoding::Base64 => BASE64.decode(text).ok(),
        };
        bytes.filter(|bytes| !bytes.is_empty())
    }
}

/// What is signed: literals, `{body}`, `{timestamp}` and `{header:NAME}`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed(Vec<Part>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Literal(String),
    Body,
    Timestamp,
    /// In lower case.
    Header(String),
}

impl Signed {
    /// The body and nothing else.
    pub fn body() -> Signed {
        Signed(vec![Part::Body])
    }

    /// A literal, the body and the timestamp.
    pub(crate) fn literal_body_timestamp(literal: String) -> Signed {
        Signed(vec![Part::Literal(literal), Part::Body, Part::Timestamp])
    }

    /// Whether the timestamp is part of it.
    pub fn has_timestamp(&self) -> bool {
        self.0.contains(&Part::Timestamp)
    }

    /// The headers that it covers, in lower case.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Header(name) => Some(name.as_str()),
            Part::Literal(_) | Part::Body | Part::Timestamp => None,
        })
    }

    /// What the template names, in order; the name of the header that is not there, if one is not.
    pub fn pieces<'a>(
        &'a self,
        body: &'a [u8],
        timestamp: &'a [u8],
        header: impl Fn(&str) -> Option<&'a [u8]>,
    ) -> Result<Vec<&'a [u8]>, &'a str> {
        let piece = |part: &'a Part| match part {
            Part::Literal(text) => Ok(text.as_bytes()),
            Part::Body => Ok(body),
            Part::Timestamp => Ok(timestamp),
            Part::Header(name) => header(name).ok_or(name.as_str()),
        };
        self.0.iter().map(piece).collect()
    }
}

impl FromStr for Signed {
    type Err = String;

    fn from_str(text: &str) -> Result<Signed, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or_else(|| format!("a {{ is not closed in {text:?}"))?;
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            parts.push(match (name, name.strip_prefix("header:")) {
                ("body", _) => Part::Body,
                ("timestamp", _) => Part::Timestamp,
                (_, Some(header)) if http::HeaderName::try_from(header).is_ok() => {
                    Part::Header(header.to_ascii_lowercase())
                }
                _ => return Err(format!("{{{name}}} is none of {{body}}, {{timestamp}} and {{header:NAME}}")),
            });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        match parts.contains(&Part::Body) {
            true => Ok(Signed(parts)),
            false => Err(format!("{text:?} leaves out {{body}}: such a signature proves nothing of what was sent")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_vectors_hold() {
        // RFC 2202 and RFC 4231, test case 2 of each.
        let cases = [
            (Algorithm::Sha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (Algorithm::Sha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (
                Algorithm::Sha384,
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
            ),
            (
                Algorithm::Sha512,
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
        ];
        for (algorithm, digest) in cases {
            let mac = algorithm.mac(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
            assert_eq!(hex::encode(mac), digest, "{algorithm:?}");
        }
    }

    #[test]
    fn a_template_names_what_is_signed() {
        let signed: Signed = "v0:{timestamp}:{body}/{header:X-Id}!".parse().expect("template");
        let header = |name: &str| (name == "x-id").then_some(b"7".as_slice());
        assert_eq!(signed.pieces(b"B", b"1", header).map(|pieces| pieces.concat()), Ok(b"v0:1:B/7!".to_vec()));
        assert_eq!(signed.pieces(b"B", b"1", |_| None), Err("x-id"));
    }

    #[test]
    fn a_template_that_cannot_be_right_says_why() {
        let cases = [
            ("{timestamp}", "leaves out {body}"),
            ("{body}{id}", "{id} is none of"),
            ("{body}{header:a b}", "{header:a b} is none of"),
            ("{body", "not closed"),
        ];
        for (text, says) in cases {
            let error = text.parse::<Signed>().expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
