//! Replaces one value of a JSON body in place, or inserts one: `/pointer=VALUE`. No other byte changes.

use std::str::FromStr;

use anyhow::{Context as _, bail};
use serde_json::value::RawValue;
use towpath_types::json::{Missing, Pointer, children, find};

/// The body is not JSON, so no value can be set in it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotJson(String);

/// A value to set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Set {
    pointer: Pointer,
    /// The JSON text, as given.
    value: String,
}

impl FromStr for Set {
    type Err = String;

    fn from_str(text: &str) -> Result<Set, String> {
        let (pointer, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not /json/pointer=VALUE"))?;
        let pointer: Pointer = pointer.parse().map_err(|error| format!("{error}; write /json/pointer=VALUE"))?;
        let value = match serde_json::from_str::<&RawValue>(value) {
            Ok(_) => value.to_owned(),
            // Anything else is a string.
            Err(_) => quoted(value),
        };
        Ok(Set { pointer, value })
    }
}

impl Set {
    /// The body with the value set.
    pub fn apply(&self, body: &[u8]) -> anyhow::Result<Vec<u8>> {
        match find(body, &self.pointer) {
            Ok(found) => splice(body, found.span.start, found.span.end, &self.value),
            Err(Missing::Broken(broken)) => Err(NotJson(broken.to_string()).into()),
            Err(Missing::Absent) => self.insert(body),
        }
    }

    fn insert(&self, body: &[u8]) -> anyhow::Result<Vec<u8>> {
        let (parent, name) = self.pointer.parent().context("the body holds no value")?;
        let span = match find(body, &parent) {
            Ok(found) => found.span,
            Err(_) => bail!("there is no {:?} in the body to put {name:?} into", parent.to_string()),
        };
        let holder = body.get(span.clone()).unwrap_or_default();
        let ends: Vec<usize> =
            children(holder).map(|child| child.map(|(_, span)| span.end)).collect::<Result<_, _>>()?;
        let value = match holder.first() {
            Some(b'{') => format!("{}:{}", quoted(name), self.value),
            Some(b'[') if name == "-" || name == ends.len().to_string() => self.value.clone(),
            Some(b'[') => bail!("{:?} has {} elements: /- appends one", parent.to_string(), ends.len()),
            _ => bail!("{:?} is neither an object nor an array: nothing can be put into it", parent.to_string()),
        };
        // After the last child, or after the bracket.
        let (at, comma) = ends.last().map_or((1, ""), |end| (*end, ","));
        splice(body, span.start + at, span.start + at, &format!("{comma}{value}"))
    }
}

fn splice(body: &[u8], start: usize, end: usize, value: &str) -> anyhow::Result<Vec<u8>> {
    let parts = (body.get(..start), body.get(end..));
    let (Some(before), Some(after)) = parts else { bail!("the body has no place {start}..{end}") };
    Ok([before, value.as_bytes(), after].concat())
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(body: &[u8], text: &str) -> Result<Vec<u8>, String> {
        text.parse::<Set>()?.apply(body).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn only_the_named_value_changes() {
        let cases = [
            (
                r#"{"n":3,"id":9007199254740993,"big":123456789012345678901234567890,"f":1.10}"#,
                "/n=99",
                r#"{"n":99,"id":9007199254740993,"big":123456789012345678901234567890,"f":1.10}"#,
            ),
            (
                "\u{FEFF}{ \"z\": 1,\r\n\t\"a\" : [1e400, \"\\ud83d\"] }\n",
                "/a/0=1.50",
                "\u{FEFF}{ \"z\": 1,\r\n\t\"a\" : [1.50, \"\\ud83d\"] }\n",
            ),
            (r#"{"a":1,"b":2,"a":3}"#, "/a=4", r#"{"a":1,"b":2,"a":4}"#),
            (r#"{"a":{"b":[true]}}"#, r#"/a={"x": [1]}"#, r#"{"a":{"x": [1]}}"#),
            (r#"{"a":1}"#, "/a=two words", r#"{"a":"two words"}"#),
            (r#"{"a":1}"#, "/a=007", r#"{"a":"007"}"#),
            (r#"{"a":1}"#, "/a=\"1\"", r#"{"a":"1"}"#),
            (r#"{"a":1}"#, "/a=", r#"{"a":""}"#),
            (r#"{"a":1}"#, "/a=x=y", r#"{"a":"x=y"}"#),
            (r#"{"a/b":1,"c~d":2}"#, "/a~1b=3", r#"{"a/b":3,"c~d":2}"#),
            (r#"{"a\u0062":1}"#, "/ab=3", r#"{"a\u0062":3}"#),
            // New members and elements.
            (r#"{ "a": 1 }"#, "/b\"c=2", r#"{ "a": 1,"b\"c":2 }"#),
            ("{ }", "/b=2", "{\"b\":2 }"),
            (r#"{"a":[ ]}"#, "/a/-=1", r#"{"a":[1 ]}"#),
            (r#"{"a":[1, 2]}"#, "/a/-=[3]", r#"{"a":[1, 2,[3]]}"#),
            (r#"{"a":[1, 2]}"#, "/a/2=3", r#"{"a":[1, 2,3]}"#),
        ];
        for (body, text, expected) in cases {
            let changed = set(body.as_bytes(), text).expect(text);
            assert_eq!(String::from_utf8(changed).expect("text"), expected, "{text} in {body}");
        }
        let odd = b"{\"a\":1,\"x\":\"\xff\"}";
        assert_eq!(set(odd, "/a=2").expect("set"), b"{\"a\":2,\"x\":\"\xff\"}", "bytes that are not UTF-8 stay");
    }

    #[test]
    fn what_cannot_be_set_says_why() {
        let cases = [
            ("A1", "/a=1", "the body is not JSON"),
            (r#"{"a":1}"#, "/b/c=1", "there is no \"/b\" in the body"),
            (r#"{"a":1}"#, "/a/b=1", "is neither an object nor an array"),
            (r#"{"a":[1]}"#, "/a/5=1", "has 1 elements"),
            ("{}", "a=1", "write /json/pointer=VALUE"),
            ("{}", "/a", "is not /json/pointer=VALUE"),
            ("{}", "/~2=1", "write /json/pointer=VALUE"),
        ];
        for (body, text, says) in cases {
            let error = set(body.as_bytes(), text).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
