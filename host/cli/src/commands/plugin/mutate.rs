//! Mutations of recorded events: plausible changes of a sender, and hostile input.

use fastrand::Rng;
use serde_json::{Map, Value, json};

/// The depth of a nested value: deeper than JSON readers accept.
const DEEP: usize = 200;

/// The largest text that a mutation makes.
const LONG: usize = 100_000;

/// The body after one to four mutations.
pub(super) fn body(rng: &mut Rng, body: &[u8]) -> Vec<u8> {
    let mut bytes = body.to_vec();
    for _ in 0..rng.usize(1..=4) {
        bytes = match serde_json::from_slice::<Value>(&bytes) {
            // Bytes that are not JSON only test the plugin's JSON parser.
            Ok(mut json) if rng.u8(0..10) > 0 => {
                value(rng, &mut json);
                json.to_string().into_bytes()
            }
            _ => raw(rng, bytes),
        };
    }
    bytes
}

/// Removes or duplicates a header, or changes its value.
pub(super) fn headers(rng: &mut Rng, headers: &mut Vec<(String, Vec<u8>)>) {
    if headers.is_empty() || rng.bool() {
        return;
    }
    let at = rng.usize(0..headers.len());
    match rng.u8(0..3) {
        0 => drop(headers.remove(at)),
        1 => headers.extend(headers.get(at).cloned()),
        _ => {
            if let Some((_, value)) = headers.get_mut(at) {
                *value = raw(rng, std::mem::take(value));
            }
        }
    }
}

fn value(rng: &mut Rng, at: &mut Value) {
    // Sometimes this value, mostly one inside it.
    let here = rng.u8(0..4) == 0;
    match at {
        Value::Object(fields) if !here && !fields.is_empty() => field(rng, fields),
        Value::Array(items) if !here && !items.is_empty() => {
            let index = rng.usize(0..items.len());
            match rng.u8(0..6) {
                0 => drop(items.remove(index)),
                1 => {
                    let copies = rng.usize(1..500);
                    let copy = items.get(index).cloned().unwrap_or_default();
                    items.extend(std::iter::repeat_n(copy, copies));
                }
                _ => items.get_mut(index).into_iter().for_each(|item| value(rng, item)),
            }
        }
        Value::String(text) if rng.bool() => *text = string(rng, text),
        _ => *at = other(rng, at),
    }
}

fn field(rng: &mut Rng, fields: &mut Map<String, Value>) {
    let names: Vec<String> = fields.keys().cloned().collect();
    let Some(name) = rng.choice(names) else { return };
    match rng.u8(0..6) {
        0 => drop(fields.remove(&name)),
        1 => {
            let moved = fields.remove(&name).unwrap_or_default();
            fields.insert(string(rng, &name), moved);
        }
        _ => fields.get_mut(&name).into_iter().for_each(|field| value(rng, field)),
    }
}

/// A value of another type, or an extreme one.
fn other(rng: &mut Rng, was: &Value) -> Value {
    match rng.u8(0..12) {
        0 => Value::Null,
        1 => json!(rng.bool()),
        2 => json!(0),
        3 => json!(-1),
        4 => json!(i64::MIN),
        5 => json!(u64::MAX),
        6 => json!(1e308),
        7 => json!(""),
        8 => json!([]),
        9 => json!({}),
        10 => (0..DEEP).fold(was.clone(), |inner, _| json!([inner])),
        _ => json!(string(rng, &was.to_string())),
    }
}

fn string(rng: &mut Rng, text: &str) -> String {
    match rng.u8(0..10) {
        0 => String::new(),
        1 => text.repeat((LONG / text.len().max(1)).min(5_000)),
        2 => format!("../../{text}"),
        3 => format!("{text}\u{0}"),
        4 => format!("{text}/?#&%00"),
        5 => "\u{202e}\u{feff}é😀".to_owned(),
        6 => text.chars().rev().collect(),
        7 => text.to_uppercase(),
        8 => "-1e999".to_owned(),
        _ => text.chars().skip(1).collect(),
    }
}

fn raw(rng: &mut Rng, mut bytes: Vec<u8>) -> Vec<u8> {
    let at = rng.usize(0..=bytes.len());
    match rng.u8(0..4) {
        0 => bytes.truncate(at),
        1 => bytes.get_mut(at).into_iter().for_each(|byte| *byte = rng.u8(..)),
        2 => bytes.splice(at..at, std::iter::repeat_with(|| rng.u8(..)).take(8)).for_each(drop),
        _ => bytes.extend_from_within(at..),
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_mutations_and_they_stay_bounded() {
        let event = json!({ "id": 7, "items": [{ "name": "a" }, { "name": "b" }], "note": "text" }).to_string();
        let made = |seed| {
            let mut rng = Rng::with_seed(seed);
            (0..500).map(|_| body(&mut rng, event.as_bytes())).collect::<Vec<_>>()
        };
        assert_eq!(made(7), made(7));
        assert_ne!(made(7), made(8));
        let made = made(7);
        assert!(made.iter().filter(|body| body.as_slice() != event.as_bytes()).count() > 450);
        assert!(made.iter().any(|body| serde_json::from_slice::<Value>(body).is_err()), "some are not JSON");
        assert!(made.iter().filter(|body| serde_json::from_slice::<Value>(body).is_ok()).count() > 200);
    }
}
