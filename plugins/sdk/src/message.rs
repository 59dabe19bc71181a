//! Reading a message.

use serde::de::DeserializeOwned;

use crate::{Message, Stop, reject, surrogates};

impl Message {
    /// The body as JSON of this shape. What is not JSON, or of another shape, is rejected as `malformed`; the reason says what
    /// was expected where, and nothing of the body itself, for reasons are logged.
    ///
    /// A byte order mark before the body is skipped. A lone surrogate such as `\ud83d`, which no Rust string holds, is read
    /// as U+FFFD.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Stop> {
        let json = self.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.body);
        let read = serde_json::from_slice(json).or_else(|error| match surrogates::replaced(json) {
            Some(mended) => serde_json::from_slice(&mended),
            None => Err(error),
        });
        read.map_err(|error| reject("malformed", without_value(error.to_string())))
    }

    /// The body as text. What is not UTF-8 is rejected as `malformed`.
    pub fn text(&self) -> Result<&str, Stop> {
        std::str::from_utf8(&self.body).map_err(|error| reject("malformed", error.to_string()))
    }

    /// The first header of this name, in any case, if its value is UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers_named(name).next()
    }

    /// The headers of this name, in any case, in their order; those whose values are not UTF-8 are left out.
    pub fn headers_named(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.headers.iter().filter(move |(found, _)| found.eq_ignore_ascii_case(name));
        named.filter_map(|(_, value)| std::str::from_utf8(value).ok())
    }
}

/// What serde says of a value, without the value: ``invalid type: string "ada", expected u32``.
///
/// By bytes: the searches of `str` would add 3 KiB to every plugin.
fn without_value(mut said: String) -> String {
    const EXPECTED: &[u8] = b", expected";
    let bytes = said.as_bytes();
    let value = bytes.iter().position(|byte| matches!(byte, b'"' | b'`'));
    let is_expected = |rest: &[u8]| rest.first() == Some(&b',') && rest.starts_with(EXPECTED);
    let expected = (0..bytes.len()).rfind(|at| bytes.get(*at..).is_some_and(is_expected));
    if let (Some(value), Some(expected)) = (value, expected)
        && value < expected
    {
        // With the space before it.
        said.drain(value.saturating_sub(1)..expected);
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &[u8]) -> Message {
        let headers = [("x-a", "1"), ("x-b", "2"), ("x-a", "3")];
        Message {
            id: "m-1".to_owned(),
            group: "g".to_owned(),
            dedup_id: None,
            sequence: None,
            receive_count: 1,
            sent_at_ms: 0,
            source: "test".to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).into(),
            body: body.to_vec(),
            ext: Vec::new(),
        }
    }

    #[test]
    fn headers_are_found_in_any_case_and_in_order() {
        let message = message(b"");
        assert_eq!(message.header("X-B"), Some("2"));
        assert_eq!(message.headers_named("x-A").collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!(message.header("x-c"), None);
    }

    #[test]
    fn what_is_not_json_is_rejected() {
        assert_eq!(message(b"[1]").json::<Vec<u8>>().ok(), Some(vec![1]));
        for body in [&b"["[..], b"", b"{}", b"\xff"] {
            let refused = message(body).json::<Vec<u8>>();
            assert!(matches!(refused, Err(Stop::Reject(reason)) if reason.code == "malformed"));
        }
        assert!(message(b"\xff").text().is_err());
    }

    #[test]
    fn a_byte_order_mark_and_lone_surrogates_are_read() {
        let read = |body: &str| message(body.as_bytes()).json::<Vec<String>>().ok();
        assert_eq!(read("\u{feff}[\"a\"]"), Some(vec!["a".to_owned()]));
        assert_eq!(
            read(r#"["cut \ud83d", "\ud83d\udef6"]"#),
            Some(vec!["cut \u{fffd}".to_owned(), "\u{1f6f6}".to_owned()])
        );
        assert_eq!(read(r#"["\ud83d", 1]"#), None, "what is wrong otherwise stays wrong");
        let refused = message(br#"["\ud83d", 1]"#).json::<Vec<String>>();
        let Err(Stop::Reject(reason)) = refused else { panic!("{refused:?}") };
        assert_eq!(reason.message, "invalid type: integer, expected a string at line 1 column 12");
    }

    #[test]
    fn a_reason_tells_what_was_expected_and_nothing_of_the_body() {
        #[derive(Debug, serde::Deserialize)]
        #[allow(dead_code, reason = "never read: it is what the body is not")]
        enum Kind {
            Won(u32),
        }
        let said = |body: &str| match message(body.as_bytes()).json::<Vec<Kind>>() {
            Err(Stop::Reject(reason)) => reason.message,
            other => panic!("{body}: {other:?}"),
        };
        assert_eq!(said(r#"[{"Won": "ada, expected"}]"#), "invalid type: string, expected u32 at line 1 column 24");
        assert_eq!(said(r#"[{"Won": 4915112345678}]"#), "invalid value: integer, expected u32 at line 1 column 22");
        assert_eq!(said(r#"[{"ada": 1}]"#), "unknown variant, expected `Won` at line 1 column 7");
    }
}
