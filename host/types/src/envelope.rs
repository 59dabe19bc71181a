//! The envelope: how a webhook travels losslessly in a queue's text body.
//!
//! `{"v":1,"headers":[["content-type","application/json"],…],"body":"<base64>"}`. A header value that is not UTF-8 is
//! written as `["name","<base64>","base64"]`. Version 2 adds `"method"`, `"path"` and `"query"` between headers and body; it
//! is written only for webhooks that need one of them, so that hosts of earlier releases can read all others. A queue body
//! that does not begin like this is a direct one: the webhook's body itself, as API Gateway's SQS integration stores it.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::Method;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// The latest version: with method, path and query.
pub const VERSION: u32 = 2;

/// The version that suffices for a POST without path names and query.
const PLAIN: u32 = 1;

/// A webhook as received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Webhook {
    pub method: Method,
    /// The named segments of the route's path, percent-encoded as they came; what follows the route is named
    /// [`REST`].
    pub path: Vec<(String, String)>,
    /// As it came, without the question mark.
    pub query: String,
    /// In order of arrival, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Byte for byte.
    pub body: Vec<u8>,
}

/// The name of what follows the route's path.
pub const REST: &str = "*";

impl Default for Webhook {
    fn default() -> Webhook {
        Webhook { method: Method::POST, path: Vec::new(), query: String::new(), headers: Vec::new(), body: Vec::new() }
    }
}

impl Webhook {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    }

    /// What follows the route's path, percent-encoded; empty if nothing does.
    pub fn rest(&self) -> &str {
        self.path_segment(REST).unwrap_or_default()
    }

    /// A named segment of the route's path, percent-encoded.
    pub fn path_segment(&self, name: &str) -> Option<&str> {
        self.path.iter().find(|(own, _)| own == name).map(|(_, segment)| segment.as_str())
    }

    /// Method, path names and query, for people: `GET tenant=acme *=a/b ?x=1`.
    pub fn request_line(&self) -> String {
        let path: String = self.path.iter().map(|(name, segment)| format!(" {name}={segment}")).collect();
        let query = if self.query.is_empty() { String::new() } else { format!(" ?{}", self.query) };
        format!("{}{path}{query}", self.method)
    }

    /// Whether it is a POST without a query, to a path without names.
    pub fn is_plain(&self) -> bool {
        self.method == Method::POST && self.path.is_empty() && self.query.is_empty()
    }
}

/// Why a queue body that begins like an envelope cannot be read as one.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    #[error("the envelope is not valid JSON of the expected shape: {0}")]
    Json(serde_json::Error),
    #[error("the envelope has version {0}, this host reads versions up to {VERSION}: upgrade the host")]
    Version(u32),
    /// The body, or a header, is not base64.
    #[error("the {0} in the envelope is not base64")]
    Base64(&'static str),
    /// The third element of a header is unknown.
    #[error("a header in the envelope has the unknown encoding {0:?}")]
    Encoding(String),
    #[error("the envelope has {0:?} for a method")]
    Method(String),
}

#[derive(Serialize)]
struct Written<'a> {
    v: u32,
    headers: WrittenHeaders<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    path: &'a [(String, String)],
    #[serde(skip_serializing_if = "str::is_empty")]
    query: &'a str,
}

impl<'a> Written<'a> {
    /// All of a webhook but its body.
    fn of(webhook: &'a Webhook) -> Written<'a> {
        Written {
            v: if webhook.is_plain() { PLAIN } else { VERSION },
            headers: WrittenHeaders(&webhook.headers),
            method: (webhook.method != Method::POST).then(|| webhook.method.as_str()),
            path: &webhook.path,
            query: &webhook.query,
        }
    }
}

struct WrittenHeaders<'a>(&'a [(String, Vec<u8>)]);

impl Serialize for WrittenHeaders<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|(name, value)| written_header(name, value)))
    }
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
    method: Option<String>,
    #[serde(default)]
    path: Vec<(String, String)>,
    #[serde(default)]
    query: String,
    body: String,
}

/// The same without the body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    v: u32,
    headers: Vec<ReadHeader>,
    method: Option<String>,
    #[serde(default)]
    path: Vec<(String, String)>,
    #[serde(default)]
    query: String,
}

impl Head {
    fn webhook(self) -> Result<Webhook, EnvelopeError> {
        if !is_known(self.v) {
            return Err(EnvelopeError::Version(self.v));
        }
        let method = self.method.as_deref().unwrap_or("POST");
        Ok(Webhook {
            method: method.parse().map_err(|_| EnvelopeError::Method(method.to_owned()))?,
            path: self.path,
            query: self.query,
            headers: self.headers.into_iter().map(read_header).collect::<Result<_, _>>()?,
            body: Vec::new(),
        })
    }
}

/// A name, a value, and the encoding of the value, if it has one.
#[derive(Deserialize)]
struct ReadHeader(String, String, #[serde(default, deserialize_with = "some")] Option<String>);

/// `null` is no encoding, and no encoding is not written as `null`.
fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

pub fn encode(webhook: &Webhook) -> String {
    let mut text = head(webhook);
    text.reserve(tail_len(webhook));
    text.pop();
    text.push_str(BODY);
    BASE64.encode_string(&webhook.body, &mut text);
    text.push_str(END);
    text
}

/// The length of the envelope, in bytes. Makes no text.
pub fn encoded_len(webhook: &Webhook) -> usize {
    let mut head = Length(0);
    // A struct of strings always serialises, and counting cannot fail.
    let _ = serde_json::to_writer(&mut head, &Written::of(webhook));
    head.0 + tail_len(webhook)
}

/// Counts what is written.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a body adds to the length of a head, whose closing brace becomes that of the envelope.
fn tail_len(webhook: &Webhook) -> usize {
    BODY.len() + webhook.body.len().div_ceil(3) * 4 + END.len() - 1
}

/// What stands between the head of an envelope, without its closing brace, and the body; and behind the body.
const BODY: &str = ",\"body\":\"";
const END: &str = "\"}";

/// An envelope without its body: all of a webhook that is no body.
pub fn head(webhook: &Webhook) -> String {
    // A struct of strings always serialises.
    serde_json::to_string(&Written::of(webhook)).unwrap_or_default()
}

/// The webhook of a head and a body that were kept apart. If the head cannot be read, an envelope that cannot be read either.
pub fn joined(head: &str, body: Vec<u8>) -> Result<Webhook, String> {
    match serde_json::from_str(head).ok().and_then(|read: Head| read.webhook().ok()) {
        Some(webhook) => Ok(Webhook { body, ..webhook }),
        None => Err(unreadable(head, &body)),
    }
}

/// An envelope that nobody can read, with what is left of a head and a body.
pub fn unreadable(head: &str, body: &[u8]) -> String {
    format!("{{\"v\":0,\"headers\":{head:?}{BODY}{}{END}", BASE64.encode(body))
}

/// The SHA-256 of the envelope, without making it.
pub fn digest(webhook: &Webhook) -> [u8; 32] {
    let head = head(webhook);
    let mut digest = Sha256::new_with_prefix(head.strip_suffix('}').unwrap_or(&head)).chain_update(BODY);
    let mut text = [0; PIECE / 3 * 4];
    for piece in webhook.body.chunks(PIECE) {
        // The text of a whole piece fits, and only the last one is shorter.
        let length = BASE64.encode_slice(piece, &mut text).unwrap_or_default();
        digest.update(text.get(..length).unwrap_or_default());
    }
    digest.chain_update(END).finalize().into()
}

/// Bytes that are encoded at a time: a multiple of three, so that the pieces make one text.
const PIECE: usize = 3 * 1024;

/// Reads a queue's body: an envelope, or a direct body, which has no headers of its own.
pub fn decode(text: &str) -> Result<Webhook, EnvelopeError> {
    if !is_envelope(text) {
        return Ok(Webhook { body: text.as_bytes().to_vec(), ..Webhook::default() });
    }
    let read: Read =
        serde_json::from_str(text).map_err(|error| other_version(text).unwrap_or(EnvelopeError::Json(error)))?;
    let Read { v, headers, method, path, query, body } = read;
    let webhook = Head { v, headers, method, path, query }.webhook()?;
    Ok(Webhook { body: BASE64.decode(body).map_err(|_| EnvelopeError::Base64("body"))?, ..webhook })
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
    (!is_known(v)).then_some(EnvelopeError::Version(v))
}

fn is_known(version: u32) -> bool {
    (PLAIN..=VERSION).contains(&version)
}

fn written_header<'a>(name: &'a str, value: &'a [u8]) -> WrittenHeader<'a> {
    match std::str::from_utf8(value) {
        // Two code points that are UTF-8 but not XML, so SQS rejects them.
        Ok(text) if text.is_ascii() || !text.contains(['\u{FFFE}', '\u{FFFF}']) => WrittenHeader::Text(name, text),
        _ => WrittenHeader::Encoded(name, BASE64.encode(value), "base64"),
    }
}

fn read_header(header: ReadHeader) -> Result<(String, Vec<u8>), EnvelopeError> {
    let ReadHeader(name, value, encoding) = header;
    match encoding.as_deref() {
        None => Ok((name, value.into_bytes())),
        Some("base64") => {
            let value = BASE64.decode(value).map_err(|_| EnvelopeError::Base64("header"))?;
            Ok((name, value))
        }
        Some(other) => Err(EnvelopeError::Encoding(other.to_owned())),
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
            let webhook = Webhook { headers, body: body.to_vec(), ..Webhook::default() };
            let text = encode(&webhook);
            assert!(is_envelope(&text), "{name}");
            assert_eq!(decode(&text).expect(name), webhook, "{name}");
        }
    }

    #[test]
    fn method_path_and_query_round_trip() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let webhooks = [
            Webhook { method: Method::PUT, ..Webhook::default() },
            Webhook { path: vec![pair("tenant", "a%2Fb"), pair(REST, "c/d")], ..Webhook::default() },
            Webhook { query: "a=%00&b=\"".to_owned(), ..Webhook::default() },
        ];
        for webhook in webhooks {
            let text = encode(&webhook);
            assert!(text.starts_with("{\"v\":2,\"headers\":"), "{text}");
            assert_eq!(decode(&text).expect("an envelope"), webhook);
        }
    }

    #[test]
    fn a_plain_webhook_is_written_as_earlier_hosts_read_it() {
        let webhook = Webhook { headers: vec![("a".to_owned(), b"1".to_vec())], ..Webhook::default() };
        assert_eq!(encode(&webhook), "{\"v\":1,\"headers\":[[\"a\",\"1\"]],\"body\":\"\"}");
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
            ("{\"v\":3,\"headers\":{},\"other\":1}", "version 3"),
            ("{\"v\":0,\"headers\":[],\"body\":\"\"}", "version 0"),
            ("{\"v\":2,\"headers\":[],\"method\":\"G T\",\"body\":\"\"}", "\"G T\" for a method"),
            ("{\"v\":1,\"headers\":[],\"body\":\"*\"}", "body in the envelope is not base64"),
            ("{\"v\":1,\"headers\":[[\"a\",\"b\",\"rot13\"]],\"body\":\"\"}", "unknown encoding \"rot13\""),
            ("{\"v\":1,\"headers\":[[\"a\"]],\"body\":\"\"}", "not valid JSON"),
            ("{\"v\":1,\"headers\":[[\"a\",\"b\",null]],\"body\":\"\"}", "not valid JSON"),
            ("{\"v\":1,\"headers\":[[\"a\",\"b\",\"base64\",\"c\"]],\"body\":\"\"}", "not valid JSON"),
            ("{\"v\":1,\"headers\":[],\"body\":\"\",\"more\":1}", "unknown field"),
        ];
        for (text, says) in cases {
            let error = decode(text).expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
