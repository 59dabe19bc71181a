//! How a signature with a shared key is described: the hash, how the digest is written, and what is signed.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;

/// The hash that an HMAC is made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// SHA-1: still unbroken inside an HMAC, for senders that have nothing else.
    Sha1,
    /// SHA-256, what nearly everybody uses.
    #[default]
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// How a digest is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Hexadecimal; both cases are read, lower case is written.
    #[default]
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

impl Part {
    fn literal(text: &str) -> Part {
        Part::Literal(text.to_owned())
    }
}

impl Signed {
    /// The body and nothing else.
    pub fn body() -> Signed {
        Signed(vec![Part::Body])
    }

    /// `{timestamp}.{body}`.
    pub(crate) fn timestamp_and_body() -> Signed {
        Signed(vec![Part::Timestamp, Part::literal("."), Part::Body])
    }

    /// `v0:{timestamp}:{body}`.
    pub(crate) fn v0_timestamp_and_body() -> Signed {
        Signed(vec![Part::literal("v0:"), Part::Timestamp, Part::literal(":"), Part::Body])
    }

    /// `{header:webhook-id}.{timestamp}.{body}`.
    pub(crate) fn id_timestamp_and_body() -> Signed {
        let id = Part::Header("webhook-id".to_owned());
        Signed(vec![id, Part::literal("."), Part::Timestamp, Part::literal("."), Part::Body])
    }

    /// A literal, the body and the timestamp.
    pub(crate) fn literal_body_timestamp(literal: &str) -> Signed {
        Signed(vec![Part::literal(literal), Part::Body, Part::Timestamp])
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
