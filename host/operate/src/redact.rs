//! Redacts recorded events: personal and secret values are replaced by values of the same kind. Equal values get equal replacements, so that
//! a mapping can still be tested. Without the key they cannot be turned back.

use std::borrow::Cow;
use std::path::Path;

use anyhow::{Context as _, bail};
use regex_lite::{Captures, Regex};
use towpath_files::private;
use towpath_plugin::digest;
use towpath_types::envelope::Webhook;
use towpath_types::json::{children, text};
use url::form_urlencoded;

use crate::secret_headers::SecretHeaders;
use crate::token;

/// Values nested deeper than this are replaced as a whole.
const DEEPEST: usize = 100;

/// Replaces what its pointers name and what its patterns find.
pub struct Redactor {
    key: String,
    pointers: Vec<Vec<String>>,
    patterns: Vec<(Regex, Kind)>,
    keep_proofs: bool,
    /// The headers that hold secrets, which are always replaced.
    pub secrets: SecretHeaders,
}

#[derive(Clone, Copy)]
enum Kind {
    Token,
    Mail,
    Card,
    Phone,
}

impl Redactor {
    /// A redactor with this key. In `pointers`, `*` stands for every item or key.
    pub fn new(key: String, pointers: &[String], keep_patterns: bool) -> anyhow::Result<Redactor> {
        let pointers = pointers.iter().map(|pointer| segments(pointer)).collect::<anyhow::Result<_>>()?;
        let patterns = if keep_patterns { Vec::new() } else { patterns().context("preparing the patterns")? };
        Ok(Redactor { key, pointers, patterns, keep_proofs: keep_patterns, secrets: SecretHeaders::default() })
    }

    /// A body with its personal values replaced and every other byte kept. If it looks like JSON and a pointer cannot be followed to the end,
    /// the whole body is replaced, because the value may be anywhere.
    pub fn body(&self, body: &[u8]) -> Vec<u8> {
        let mut redacted = body.to_vec();
        for pointer in &self.pointers {
            match self.at(&redacted, pointer, 0) {
                Some(done) => redacted = done,
                None => return format!("redacted-{}", self.hash(body, 8)).into_bytes(),
            }
        }
        self.bytes(&redacted)
    }

    /// A webhook, redacted. Its query and its path may name people, and hold tokens.
    pub fn webhook(&self, webhook: &Webhook) -> Webhook {
        let segment = |(name, value): &(String, String)| (name.clone(), self.text(value));
        let header = |(name, value): &(String, Vec<u8>)| (name.clone(), self.header(name, value));
        let pair = |(name, value): (Cow<'_, str>, Cow<'_, str>)| {
            let value = self.header(&name, value.as_bytes());
            (name.into_owned(), String::from_utf8_lossy(&value).into_owned())
        };
        let query = form_urlencoded::parse(webhook.query.as_bytes()).map(pair);
        Webhook {
            method: webhook.method.clone(),
            path: webhook.path.iter().map(segment).collect(),
            query: form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish(),
            headers: webhook.headers.iter().map(header).collect(),
            body: self.body(&webhook.body),
        }
    }

    /// The value of a header, redacted.
    pub fn header(&self, name: &str, value: &[u8]) -> Vec<u8> {
        if self.secrets.has(name) || (!self.keep_proofs && self.secrets.has_proof(name)) {
            format!("redacted-{}", self.hash(value, 8)).into_bytes()
        } else {
            self.bytes(value)
        }
    }

    /// Applies the patterns to bytes. Bytes that are not UTF-8 stay.
    fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let chunk = |chunk: std::str::Utf8Chunk<'_>| [self.text(chunk.valid()).as_bytes(), chunk.invalid()].concat();
        bytes.utf8_chunks().flat_map(chunk).collect()
    }

    /// Applies the patterns to a text.
    pub fn text(&self, text: &str) -> String {
        let replace = |text: String, (pattern, kind): &(Regex, Kind)| {
            pattern.replace_all(&text, |found: &Captures<'_>| self.replaced(&found[0], *kind)).into_owned()
        };
        self.patterns.iter().fold(text.to_owned(), replace)
    }

    fn replaced(&self, found: &str, kind: Kind) -> String {
        match kind {
            Kind::Token => format!("token-{}", self.hash(found.as_bytes(), 16)),
            Kind::Mail => format!("user-{}@example.com", self.hash(found.as_bytes(), 8)),
            Kind::Card if !is_card(found) => found.to_owned(),
            Kind::Card | Kind::Phone => self.digits(found),
        }
    }

    /// JSON with the value at a pointer replaced in place. `None` if the JSON is broken before that.
    fn at(&self, json: &[u8], pointer: &[String], depth: usize) -> Option<Vec<u8>> {
        let Some((segment, rest)) = pointer.split_first() else { return self.value(json, depth) };
        let mut result = Vec::with_capacity(json.len());
        let mut done = 0;
        for child in children(json) {
            let (name, span) = child.ok()?;
            if segment == "*" || name.is(segment) {
                result.extend_from_slice(json.get(done..span.start)?);
                result.extend(self.at(json.get(span.clone())?, rest, depth + 1)?);
                done = span.end;
            }
        }
        result.extend_from_slice(json.get(done..)?);
        Some(result)
    }

    /// A JSON value with all its strings and numbers replaced; `true`, `false` and `null` reveal nothing. Decides by the first byte, because a
    /// number may be too large to parse and a string may be invalid.
    fn value(&self, json: &[u8], depth: usize) -> Option<Vec<u8>> {
        let replaced = |text: &[u8]| format!("\"redacted-{}\"", self.hash(text, 8)).into_bytes();
        match (json.first(), std::str::from_utf8(json)) {
            (Some(b'[' | b'{'), _) if depth < DEEPEST => self.at(json, &["*".to_owned()], depth),
            (_, Ok("true" | "false" | "null")) => Some(json.to_vec()),
            (Some(b'-' | b'0'..=b'9'), Ok(number)) => Some(self.digits(number).into_bytes()),
            _ => Some(replaced(&text(json).unwrap_or(Cow::Borrowed(json)))),
        }
    }

    /// Replaces digits by others from 1 to 9, so that a JSON number stays valid.
    fn digits(&self, text: &str) -> String {
        let hash = self.hash(text.chars().filter(char::is_ascii_digit).collect::<String>().as_bytes(), 64);
        let mut digits = hash.bytes().map(|byte| char::from(b'1' + byte % 9)).cycle();
        text.chars().map(|c| if c.is_ascii_digit() { digits.next().unwrap_or('1') } else { c }).collect()
    }

    fn hash(&self, value: &[u8], length: usize) -> String {
        let hash = digest(&[self.key.as_bytes(), b"\0", value].concat());
        hash.get(..length).unwrap_or(&hash).to_owned()
    }
}

/// The key in this file, which is created on first use and readable by its owner only. With the key, short values can be guessed.
pub fn key(file: &Path) -> anyhow::Result<String> {
    if let Some(key) = private::read(file).with_context(|| format!("reading {}", file.display()))? {
        return Ok(key.trim().to_owned());
    }
    let key = token::made();
    if let Some(folder) = file.parent() {
        private::make_folder(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    private::write(file, format!("{key}\n").as_bytes()).with_context(|| format!("making {}", file.display()))?;
    Ok(key)
}

/// The order matters: a token may contain an address, and a phone number may look like part of a card number.
fn patterns() -> Result<Vec<(Regex, Kind)>, regex_lite::Error> {
    let patterns = [
        // Keys of well-known services, JSON web tokens, bearer values.
        (
            r"\b(?:sk|pk|rk|whsec|xox[abeprs]|gh[opsu]|github_pat|glpat|shpat|AKIA|SG)[-_.]?[A-Za-z0-9_.-]{12,}",
            Kind::Token,
        ),
        (r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?", Kind::Token),
        (r"[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+", Kind::Mail),
        (r"\b\d(?:[ -]?\d){12,18}\b", Kind::Card),
        (r"\+\d(?:[ ().-]{0,2}\d){6,14}\b", Kind::Phone),
    ];
    patterns.into_iter().map(|(pattern, kind)| Ok((Regex::new(pattern)?, kind))).collect()
}

/// Whether the digits pass the check of card numbers (Luhn).
fn is_card(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).rev().map(|digit| u32::from(digit - b'0'));
    let sum: u32 =
        digits.enumerate().map(|(at, digit)| if at % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }).sum();
    sum.is_multiple_of(10)
}

fn segments(pointer: &str) -> anyhow::Result<Vec<String>> {
    let Some(rest) = pointer.strip_prefix('/') else {
        bail!("{pointer:?} is not a JSON pointer: write /customer/name, with * for every item");
    };
    Ok(rest.split('/').map(|segment| segment.replace("~1", "/").replace("~0", "~")).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn redactor(pointers: &[&str]) -> Redactor {
        let pointers: Vec<String> = pointers.iter().map(|pointer| (*pointer).to_owned()).collect();
        Redactor::new("key".to_owned(), &pointers, false).expect("a redactor")
    }

    #[test]
    fn personal_values_are_replaced_by_values_of_their_kind() {
        let cases = [
            ("mail ada.l+x@mail.example.org!", "ada"),
            ("call +44 20 7946 0018 now", "7946"),
            ("card 4242 4242 4242 4242", "4242 4242 4242 4242"),
            ("key sk_live_51Habcdefghijklmnop", "51Habc"),
            ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", "eyJ"),
            ("hook whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ"),
        ];
        for (text, secret) in cases {
            let redacted = redactor(&[]).text(text);
            assert!(!redacted.contains(secret), "{redacted}");
            assert_eq!(redacted, redactor(&[]).text(text), "equal values stay equal");
        }
        let plain = "2026-03-02T09:14:40+01:00 order 820982911946154507 #9999 v1.2.3 wf-2201";
        assert_eq!(redactor(&[]).text(plain), plain);
        assert_eq!(redactor(&[]).text("+44 20 7946 0018").len(), 16, "of the same shape");
    }

    #[test]
    fn a_pointer_replaces_its_value_and_no_other_byte() {
        let body = br#"{ "b": {"name": "Ada",  "age": 36}, "a": [ {"name":"Bob"}, {"name":"Ada"} ], "ok": true }"#;
        let redacted = redactor(&["/b/name", "/a/*/name", "/b/age", "/ok", "/none"]).body(body);
        let redacted = String::from_utf8(redacted).expect("text");
        assert!(!redacted.contains("Ada") && !redacted.contains("Bob"), "{redacted}");
        let json: Value = serde_json::from_str(&redacted).expect("JSON");
        assert_eq!(json["b"]["name"], json["a"][1]["name"]);
        assert_ne!(json["b"]["name"], json["a"][0]["name"]);
        assert!(json["b"]["age"].is_u64() && json["b"]["age"] != 36, "{redacted}");
        assert_eq!(json["ok"], true);
        assert!(redacted.starts_with("{ \"b\": {\"name\": \"redacted-") && redacted.ends_with("} ], \"ok\": true }"));
    }

    #[test]
    fn a_pointer_to_an_object_replaces_every_value_in_it() {
        let redacted = redactor(&["/who"]).body(br#"{"who":{"name":"Ada","tags":["x1"],"n":1.5},"id":7}"#);
        let json: Value = serde_json::from_slice(&redacted).expect("JSON");
        assert!(!String::from_utf8_lossy(&redacted).contains("Ada"));
        assert!(json["who"]["tags"][0].as_str().is_some_and(|tag| tag.starts_with("redacted-")));
        assert!(json["who"]["n"].is_f64() && json["id"] == 7);
    }

    #[test]
    fn an_odd_body_hides_no_value_that_a_pointer_names() {
        let cases: [(&str, &[u8]); 8] = [
            ("a byte order mark", b"\xef\xbb\xbf{\"who\":\"Ada\"}"),
            ("half a surrogate pair", b"{\"who\":\"Ada \\ud83d\",\"x\\ud83d\":1}"),
            ("a number out of range", b"{\"who\":[\"Ada\",1e400],\"n\":1.10}"),
            ("the same key twice", b"{\"who\":\"Ada\",\"who\":\"Ada B\"}"),
            ("not UTF-8", b"{\"who\":\"Ada\",\"x\":\"\xff\"}"),
            ("broken off", b"{\"who\":\"Ada\",\"x\":"),
            ("no JSON at all", b"{\"who\": 'Ada'}"),
            ("no text but a mail address", b"\xff Ada@mail.example \xfe"),
        ];
        for (name, body) in cases {
            let redacted = redactor(&["/who"]).body(body);
            let shown = String::from_utf8_lossy(&redacted);
            assert!(!shown.contains("Ada") && !shown.contains("1e400"), "{name}: {shown}");
            assert_eq!(body.starts_with(b"\xef\xbb\xbf"), redacted.starts_with(b"\xef\xbb\xbf"), "{name}");
        }
        let deep = format!("{{\"who\":{}\"Ada\"{},\"n\":1.10}}", "[".repeat(5000), "]".repeat(5000));
        let redacted = redactor(&["/who"]).body(deep.as_bytes());
        assert!(redacted.ends_with(b"\"n\":1.10}") && redacted.len() < 1000, "what is not named stays");
    }

    #[test]
    fn headers_that_grant_access_are_replaced_whole() {
        for name in ["Authorization", "stripe-signature", "x-hub-signature-256", "x-shopify-hmac-sha256", "cookie"] {
            assert!(redactor(&[]).header(name, b"t=1,v1=abc").starts_with(b"redacted-"), "{name}");
        }
        let kept = Redactor::new("key".to_owned(), &[], true).expect("a redactor");
        assert!(kept.header("x-hook-key", b"s3cret").starts_with(b"redacted-"), "secrets never get into a case");
        assert_eq!(kept.header("stripe-signature", b"t=1"), b"t=1");
        assert_eq!(redactor(&[]).header("content-type", b"application/json"), b"application/json");
        assert_eq!(
            redactor(&[]).header("x", b"caf\xe9 ada@mail.example")[..5],
            *b"caf\xe9 ",
            "bytes that are not UTF-8 stay"
        );
    }

    #[test]
    fn another_key_gives_other_replacements() {
        let other = Redactor::new("other".to_owned(), &[], false).expect("a redactor");
        assert_ne!(other.text("a@b.example"), redactor(&[]).text("a@b.example"));
        assert!(Redactor::new(String::new(), &["name".to_owned()], false).is_err());
    }
}
