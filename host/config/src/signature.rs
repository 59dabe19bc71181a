//! Describes signatures with a shared key: the hash, the encoding of the digest, and what is signed.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;

/// The hash of an HMAC.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// SHA-1 is still secure inside an HMAC; for senders that have nothing else.
    Sha1,
    /// The usual choice.
    #[default]
    Sha256,
    Sha384,
    Sha512,
}

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
    pub fn encode(self, bytes: &[u8]) -> String {
        match self {
            Encoding::Hex => hex::encode(bytes),
            Encoding::Base64 => BASE64.encode(bytes),
        }
    }

    /// `None` if the text is empty or not encoded like this.
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
pub struct Signed(Vec<SignedPart>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum SignedPart {
    Literal(String),
    Body,
    Timestamp,
    /// In lower case.
    Header(String),
}

impl SignedPart {
    fn literal(text: &str) -> SignedPart {
        SignedPart::Literal(text.to_owned())
    }
}

impl Signed {
    /// Only the body.
    pub fn body() -> Signed {
        Signed(vec![SignedPart::Body])
    }

    /// `{timestamp}.{body}`.
    pub(crate) fn timestamp_and_body() -> Signed {
        Signed(vec![SignedPart::Timestamp, SignedPart::literal("."), SignedPart::Body])
    }

    /// `v0:{timestamp}:{body}`.
    pub(crate) fn v0_timestamp_and_body() -> Signed {
        Signed(vec![SignedPart::literal("v0:"), SignedPart::Timestamp, SignedPart::literal(":"), SignedPart::Body])
    }

    /// `{header:webhook-id}.{timestamp}.{body}`.
    pub(crate) fn id_timestamp_and_body() -> Signed {
        let id = SignedPart::Header("webhook-id".to_owned());
        Signed(vec![id, SignedPart::literal("."), SignedPart::Timestamp, SignedPart::literal("."), SignedPart::Body])
    }

    /// A literal, the body and the timestamp.
    pub(crate) fn literal_body_timestamp(literal: &str) -> Signed {
        Signed(vec![SignedPart::literal(literal), SignedPart::Body, SignedPart::Timestamp])
    }

    pub fn has_timestamp(&self) -> bool {
        self.0.contains(&SignedPart::Timestamp)
    }

    /// The headers that it covers, in lower case.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            SignedPart::Header(name) => Some(name.as_str()),
            SignedPart::Literal(_) | SignedPart::Body | SignedPart::Timestamp => None,
        })
    }

    /// The signed bytes in order; or the name of the first header that is missing.
    pub fn pieces<'a>(
        &'a self,
        body: &'a [u8],
        timestamp: &'a [u8],
        header: impl Fn(&str) -> Option<&'a [u8]>,
    ) -> Result<Vec<&'a [u8]>, &'a str> {
        let piece = |part: &'a SignedPart| match part {
            SignedPart::Literal(text) => Ok(text.as_bytes()),
            SignedPart::Body => Ok(body),
            SignedPart::Timestamp => Ok(timestamp),
            SignedPart::Header(name) => header(name).ok_or(name.as_str()),
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
            let (name, after) = after.split_once('}').ok_or_else(|| format!("unclosed {{ in {text:?}"))?;
            if !literal.is_empty() {
                parts.push(SignedPart::Literal(literal.to_owned()));
            }
            parts.push(match (name, name.strip_prefix("header:")) {
                ("body", _) => SignedPart::Body,
                ("timestamp", _) => SignedPart::Timestamp,
                (_, Some(header)) if http::HeaderName::try_from(header).is_ok() => {
                    SignedPart::Header(header.to_ascii_lowercase())
                }
                _ => return Err(format!("{{{name}}} is none of {{body}}, {{timestamp}} and {{header:NAME}}")),
            });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(SignedPart::Literal(rest.to_owned()));
        }
        if parts.contains(&SignedPart::Body) {
            Ok(Signed(parts))
        } else {
            Err(format!("{text:?} leaves out {{body}}: such a signature proves nothing about the content"))
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
    fn an_invalid_template_says_why() {
        let cases = [
            ("{timestamp}", "leaves out {body}"),
            ("{body}{id}", "{id} is none of"),
            ("{body}{header:a b}", "{header:a b} is none of"),
            ("{body", "unclosed {"),
        ];
        for (text, says) in cases {
            let error = text.parse::<Signed>().expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
