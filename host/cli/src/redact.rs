//! Redaction of recorded events: what is personal or secret is replaced by something of the same kind. Equal values get
//! equal replacements, so that a mapping can still be tested; without the key nobody finds out what they were.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use regex_lite::{Captures, Regex};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use towpath_core::plugin::digest;

/// Headers whose values let others in, by parts of their names.
const KEYS: [&str; 7] = ["authorization", "cookie", "token", "secret", "api-key", "apikey", "password"];

/// Headers whose values prove who sent a message.
const PROOFS: [&str; 2] = ["signature", "hmac"];

/// Whether a header's value may let others in. Nobody needs to see it to find out why a message died.
pub(crate) fn is_key(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    KEYS.iter().any(|part| name.contains(part))
}

fn is_proof(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    PROOFS.iter().any(|part| name.contains(part))
}

/// Replaces what it knows.
pub(crate) struct Redactor {
    key: String,
    pointers: Vec<Vec<String>>,
    patterns: Vec<(Regex, Kind)>,
    keep_headers: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    Token,
    Mail,
    Card,
    Phone,
}

impl Redactor {
    /// A redactor with this key. `pointers` are JSON pointers in which `*` is every item or key.
    pub(crate) fn new(key: String, pointers: &[String], keep_patterns: bool) -> anyhow::Result<Redactor> {
        let pointers = pointers.iter().map(|pointer| segments(pointer)).collect::<anyhow::Result<_>>()?;
        let patterns = match keep_patterns {
            true => Vec::new(),
            false => patterns().context("preparing the patterns")?,
        };
        Ok(Redactor { key, pointers, patterns, keep_headers: keep_patterns })
    }

    /// A body without what is personal in it, as it stands otherwise: not a space is moved.
    pub(crate) fn body(&self, body: &[u8]) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(body) else { return body.to_vec() };
        let mut text = text.to_owned();
        for pointer in &self.pointers {
            text = self.at(&text, pointer);
        }
        self.text(&text).into_bytes()
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str, value: &str) -> String {
        match !self.keep_headers && (is_key(name) || is_proof(name)) {
            true => format!("redacted-{}", self.hash(value, 8)),
            false => self.text(value),
        }
    }

    /// A text by the patterns.
    pub(crate) fn text(&self, text: &str) -> String {
        let replace = |text: String, (pattern, kind): &(Regex, Kind)| {
            pattern.replace_all(&text, |found: &Captures<'_>| self.replaced(&found[0], *kind)).into_owned()
        };
        self.patterns.iter().fold(text.to_owned(), replace)
    }

    fn replaced(&self, found: &str, kind: Kind) -> String {
        match kind {
            Kind::Token => format!("token-{}", self.hash(found, 16)),
            Kind::Mail => format!("user-{}@example.com", self.hash(found, 8)),
            Kind::Card if !is_card(found) => found.to_owned(),
            Kind::Card | Kind::Phone => self.digits(found),
        }
    }

    /// What a pointer finds in a JSON text, replaced where it stands.
    fn at(&self, json: &str, pointer: &[String]) -> String {
        let Some((segment, rest)) = pointer.split_first() else { return self.value(json) };
        let Ok(children) = serde_json::from_str::<Children<'_>>(json) else { return json.to_owned() };
        let mut result = String::with_capacity(json.len());
        let mut done = 0;
        for (_, child) in children.0.iter().filter(|(name, _)| segment == "*" || segment == name) {
            let child = child.get();
            // A child is a part of the text that it was read from.
            let start = (child.as_ptr() as usize).saturating_sub(json.as_ptr() as usize);
            result += json.get(done..start).unwrap_or_default();
            result += &self.at(child, rest);
            done = start + child.len();
        }
        result + json.get(done..).unwrap_or_default()
    }

    /// A JSON value with all texts and numbers in it replaced; true, false and null say nothing of anybody.
    fn value(&self, json: &str) -> String {
        match serde_json::from_str::<Value>(json) {
            Ok(Value::String(text)) => Value::String(format!("redacted-{}", self.hash(&text, 8))).to_string(),
            Ok(Value::Number(number)) => self.digits(&number.to_string()),
            Ok(Value::Array(_) | Value::Object(_)) => self.at(json, &["*".to_owned()]),
            _ => json.to_owned(),
        }
    }

    /// Other digits in the same places; the first is none that a JSON number cannot begin with.
    fn digits(&self, text: &str) -> String {
        let hash = self.hash(&text.chars().filter(char::is_ascii_digit).collect::<String>(), 64);
        let mut digits = hash.bytes().map(|byte| char::from(b'1' + byte % 9)).cycle();
        text.chars().map(|c| if c.is_ascii_digit() { digits.next().unwrap_or('1') } else { c }).collect()
    }

    fn hash(&self, value: &str, length: usize) -> String {
        let hash = digest(format!("{}\0{value}", self.key).as_bytes());
        hash.get(..length).unwrap_or(&hash).to_owned()
    }
}

/// The key in this file, made when it is first needed, for its owner only. Who has it can find out what short values were.
pub(crate) fn key(file: &Path) -> anyhow::Result<String> {
    if let Ok(key) = std::fs::read_to_string(file) {
        return Ok(key.trim().to_owned());
    }
    let key = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut made = options.open(file).with_context(|| format!("making {}", file.display()))?;
    writeln!(made, "{key}").with_context(|| format!("writing {}", file.display()))?;
    Ok(key)
}

/// In this order: a token may hold an address, a phone number may look like a part of a card's.
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

/// Whether digits have the check digit of a card number (Luhn).
fn is_card(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).rev().map(|digit| u32::from(digit - b'0'));
    let sum: u32 =
        digits.enumerate().map(|(at, digit)| if at % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }).sum();
    sum.is_multiple_of(10)
}

fn segments(pointer: &str) -> anyhow::Result<Vec<String>> {
    let Some(rest) = pointer.strip_prefix('/') else {
        bail!("{pointer:?} is no JSON pointer: write /customer/name, with * for every item");
    };
    Ok(rest.split('/').map(|segment| segment.replace("~1", "/").replace("~0", "~")).collect())
}

/// The fields of an object or the items of an array as they stand in the text, in order.
struct Children<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Children<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Both;
        impl<'de> Visitor<'de> for Both {
            type Value = Children<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object or an array")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Children<'de>, A::Error> {
                let mut children = Vec::new();
                while let Some(child) = map.next_entry::<String, &RawValue>()? {
                    children.push(child);
                }
                Ok(Children(children))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<Children<'de>, A::Error> {
                let mut children = Vec::new();
                while let Some(item) = items.next_element::<&RawValue>()? {
                    children.push((children.len().to_string(), item));
                }
                Ok(Children(children))
            }
        }
        deserializer.deserialize_any(Both)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(pointers: &[&str]) -> Redactor {
        let pointers: Vec<String> = pointers.iter().map(|pointer| (*pointer).to_owned()).collect();
        Redactor::new("key".to_owned(), &pointers, false).expect("a redactor")
    }

    #[test]
    fn what_is_personal_is_replaced_by_its_kind_and_the_rest_stays() {
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
    fn a_pointer_finds_what_it_names_and_not_a_space_is_moved() {
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
    fn a_pointer_to_an_object_replaces_all_that_is_in_it() {
        let redacted = redactor(&["/who"]).body(br#"{"who":{"name":"Ada","tags":["x1"],"n":1.5},"id":7}"#);
        let json: Value = serde_json::from_slice(&redacted).expect("JSON");
        assert!(!String::from_utf8_lossy(&redacted).contains("Ada"));
        assert!(json["who"]["tags"][0].as_str().is_some_and(|tag| tag.starts_with("redacted-")));
        assert!(json["who"]["n"].is_f64() && json["id"] == 7);
    }

    #[test]
    fn headers_that_let_others_in_are_replaced_whole() {
        for name in ["Authorization", "stripe-signature", "x-hub-signature-256", "x-shopify-hmac-sha256", "cookie"] {
            assert!(redactor(&[]).header(name, "t=1,v1=abc").starts_with("redacted-"), "{name}");
        }
        assert_eq!(redactor(&[]).header("content-type", "application/json"), "application/json");
    }

    #[test]
    fn another_key_makes_other_replacements() {
        let other = Redactor::new("other".to_owned(), &[], false).expect("a redactor");
        assert_ne!(other.text("a@b.example"), redactor(&[]).text("a@b.example"));
        assert!(Redactor::new(String::new(), &["name".to_owned()], false).is_err());
    }
}
