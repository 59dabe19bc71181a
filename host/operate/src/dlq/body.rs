//! Bodies as JSON.

use serde_json::{Map, Value};

/// A body as a field `name`, or as `name_base64` if it is not UTF-8.
pub fn field(name: &str, bytes: &[u8]) -> Map<String, Value> {
    use base64::Engine as _;
    let (name, text) = match std::str::from_utf8(bytes) {
        Ok(text) => (name.to_owned(), text.to_owned()),
        Err(_) => (format!("{name}_base64"), base64::engine::general_purpose::STANDARD.encode(bytes)),
    };
    Map::from_iter([(name, Value::from(text))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_utf_8_are_base64() {
        assert_eq!(field("body", b"x")["body"], "x");
        assert_eq!(field("body", b"\xff")["body_base64"], "/w==");
    }
}
