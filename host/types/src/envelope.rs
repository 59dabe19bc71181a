//! The envelope: how a webhook's headers and body travel losslessly in a queue's text body.
//!
//! `{"v":1,"headers":[["content-type","application/json"],…],"body":"<base64>"}`. A header value that is not UTF-8 is
//! written as `["name","<base64>","base64"]`. A queue body that does not begin like this is a direct one: the webhook's
//! body itself, as API Gateway's SQS integration stores it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

/// The version that is written, and the only one that is read.
pub const VERSION: u32 = 1;

/// A webhook as received: header names are in lower case.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Webhook {
    /// In order of arrival.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Byte for byte.
    pub body: Vec<u8>,
}

/// Why a queue body that begins like an envelope cannot be read as one.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    #[error("the envelope is not valid JSON of the expected shape: {0}")]
    Json(serde_json::Error),
    #[error("the envelope has version {0}, this host reads version {VERSION}: upgrade the host")]
    Version(u32),
    /// The body, or a header, is not base64.
    #[error("the {0} in the envelope is not base64")]
    Base64(&'static str),
    /// The third element of a header is unknown.
    #[error("a header in the envelope has the unknown encoding {0:?}")]
    Encoding(String),
}

#[derive(Serialize)]
struct Written<'a> {
    v: u32,
    headers: Vec<WrittenHeader<'a>>,
    body: String,
}

#[derive(Serialize)]
#[serde(untagged)]
enum WrittenHeader<'a> {
    Text(&'a str, &'a str),
    Encoded(&'a str, String, &'static str),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    v: u32,
    headers: Vec<ReadHeader>,
    body: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ReadHeader {
    Text(String, String),
    Encoded(String, String, String),
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

pub fn encode(webhook: &Webhook) -> String {
    let headers = webhook.headers.iter().map(|(name, value)| written_header(name, value)).collect();
    let written = Written { v: VERSION, headers, body: BASE64.encode(&webhook.body) };
    // A struct of strings always serialises.
    serde_json::to_string(&written).unwrap_or_default()
}

/// Reads a queue's body: an envelope, or a direct body, which has no headers of its own.
pub fn decode(text: &str) -> Result<Webhook, EnvelopeError> {
    if !is_envelope(text) {
        return Ok(Webhook { headers: Vec::new(), body: text.as_bytes().to_vec() });
    }
    let read: Read =
        serde_json::from_str(text).map_err(|error| other_version(text).unwrap_or(EnvelopeError::Json(error)))?;
    if read.v != VERSION {
        return Err(EnvelopeError::Version(read.v));
    }
    let headers = read.headers.into_iter().map(read_header).collect::<Result<_, _>>()?;
    let body = BASE64.decode(read.body).map_err(|_| EnvelopeError::Base64("body"))?;
    Ok(Webhook { headers, body })
}

/// Whether a text begins as every envelope does: `{"v":<digits>,"headers":`. A webhook's own JSON does not begin like
/// this by chance. A stricter test would let a broken envelope pass for a direct body.
pub fn is_envelope(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("{\"v\":") else { return false };
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    after.len() < rest.len() && after.starts_with(",\"headers\":")
}

/// A later version may have another shape: report the version then, not the shape.
fn other_version(text: &str) -> Option<EnvelopeError> {
    let Version { v } = serde_json::from_str(text).ok()?;
    (v != VERSION).then_some(EnvelopeError::Version(v))
}

fn written_header<'a>(name: &'a str, value: &'a [u8]) -> WrittenHeader<'a> {
    match std::str::from_utf8(value) {
        // Two code points that are UTF-8 but not XML, so SQS rejects them.
        Ok(text) if !text.contains(['\u{FFFE}', '\u{FFFF}']) => WrittenHeader::Text(name, text),
        _ => WrittenHeader::Encoded(name, BASE64.encode(value), "base64"),
    }
}

fn read_header(header: ReadHeader) -> Result<(String, Vec<u8>), EnvelopeError> {
    match header {
        ReadHeader::Text(name, value) => Ok((name, value.into_bytes())),
        ReadHeader::Encoded(name, value, encoding) if encoding == "base64" => {
            let value = BASE64.decode(value).map_err(|_| EnvelopeError::Base64("header"))?;
            Ok((name, value))
        }
        ReadHeader::Encoded(_, _, encoding) => Err(EnvelopeError::Encoding(encoding)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_round_trips_byte_for_byte() {
        type Headers = Vec<(&'static str, &'static [u8])>;
        let cases: [(&str, Headers, &[u8]); 5] = [
            ("nothing", vec![], b""),
            ("json", vec![("content-type", b"application/json")], b"{\"a\": 1}\r\n  "),
            ("emoji and quotes", vec![("x", "\"\u{1F6F6}\", \t".as_bytes())], "\u{1F6F6}".as_bytes()),
            ("not utf-8", vec![("x", b"\xff\xfe"), ("x", b"caf\xe9")], b"\x00\xff\xfe"),
            ("not xml", vec![("x", "\u{FFFF}".as_bytes())], b"\x01\x02"),
        ];
        for (name, headers, body) in cases {
            let headers = headers.into_iter().map(|(k, v)| (k.to_owned(), v.to_vec())).collect();
            let webhook = Webhook { headers, body: body.to_vec() };
            let text = encode(&webhook);
            assert!(is_envelope(&text), "{name}");
            assert_eq!(decode(&text).expect(name), webhook, "{name}");
        }
    }

    #[test]
    fn any_other_body_is_direct() {
        for text in ["", "hello", "{\"v\":1,\"event\":\"x\"}", "{\"v\":,\"headers\":[]}", "[[["] {
            assert_eq!(decode(text).expect(text).body, text.as_bytes());
        }
    }

    #[test]
    fn a_broken_envelope_is_unreadable_and_says_why() {
        let cases = [
            ("{\"v\":1,\"headers\":[", "not valid JSON"),
            ("{\"v\":2,\"headers\":{},\"other\":1}", "version 2"),
            ("{\"v\":1,\"headers\":[],\"body\":\"*\"}", "body in the envelope is not base64"),
            ("{\"v\":1,\"headers\":[[\"a\",\"b\",\"rot13\"]],\"body\":\"\"}", "unknown encoding \"rot13\""),
            ("{\"v\":1,\"headers\":[],\"body\":\"\",\"more\":1}", "unknown field"),
        ];
        for (text, says) in cases {
            let error = decode(text).expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
