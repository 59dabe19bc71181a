//! Bytes of other people as text that can be read: indented, as they are, and in hex. And the difference of two texts.

use std::time::Duration;

use maud::{Markup, html};
use similar::{ChangeTag, TextDiff};

/// How much of a body a page shows; the rest is in the download.
const MOST_SHOWN: usize = 256 * 1024;

/// How much of it in hex.
const MOST_HEX: usize = 16 * 1024;

/// The largest text that is compared, and for how long.
const MOST_COMPARED: usize = 512 * 1024;
const PATIENCE: Duration = Duration::from_millis(200);

/// A body in three forms, one below the other: the first is open.
pub(crate) fn body(bytes: &[u8]) -> Markup {
    let text = std::str::from_utf8(bytes).ok();
    let pretty = text.and_then(indented);
    html! {
        @if bytes.is_empty() { p { "Empty." } }
        @if let Some(pretty) = &pretty { details open { summary { "Pretty" } (shown(pretty)) } }
        @match text {
            Some(text) => { details open[pretty.is_none()] { summary { "Raw" } (shown(text)) } }
            None => { p { "Not UTF-8: shown in hex." } }
        }
        details open[text.is_none()] {
            summary { "Hex" }
            pre { (hex(bytes.get(..MOST_HEX).unwrap_or(bytes))) }
            @if bytes.len() > MOST_HEX { p { "The first 16 KiB of " (bytes.len()) " bytes." } }
        }
    }
}

/// A text, or its beginning.
pub(crate) fn shown(text: &str) -> Markup {
    let end = text.floor_char_boundary(MOST_SHOWN.min(text.len()));
    html! {
        pre { (text.get(..end).unwrap_or_default()) }
        @if end < text.len() { p { "The first 256 KiB of " (text.len()) " bytes." } }
    }
}

/// JSON with line breaks and indents. Only spaces between its tokens change: no number, order or duplicate key. `None` if it is not JSON.
pub(crate) fn indented(text: &str) -> Option<String> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    let mut chars = text.chars().filter(|c| !c.is_ascii_control() || *c == '\n').peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(c) = chars.next() {
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            ' ' | '\n' => {}
            '"' => {
                in_string = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                while chars.next_if(|next| matches!(next, ' ' | '\n')).is_some() {}
                match chars.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => out.push(end),
                    None => {
                        depth += 1;
                        line(&mut out, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => out.push(c),
        }
    }
    Some(out)
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 5);
    for (at, row) in bytes.chunks(16).enumerate() {
        let digits = row.iter().map(|byte| format!("{byte:02x} ")).collect::<String>();
        let text: String =
            row.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' }).collect();
        out += &format!("{:08x}  {digits:<48} {text}\n", at * 16);
    }
    out
}

/// What changed from one text to another, line by line.
pub(crate) fn difference(before: &str, after: &str) -> Markup {
    if before.len() > MOST_COMPARED || after.len() > MOST_COMPARED {
        return html! { p { "Too large to compare." } };
    }
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(before, after);
    html! {
        pre {
            @for change in diff.iter_all_changes() {
                @match change.tag() {
                    ChangeTag::Delete => { del { "- " (change.value()) } }
                    ChangeTag::Insert => { ins { "+ " (change.value()) } }
                    ChangeTag::Equal => { "  " (change.value()) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indented_json_says_what_it_said_before() {
        let text = r#"{"b":1.10,"a":[100000000000000000001, {} , []],"a":"x:{,}\"\\","n":null}"#;
        let expected = "{\n  \"b\": 1.10,\n  \"a\": [\n    100000000000000000001,\n    {},\n    []\n  ],\n  \"a\": \"x:{,}\\\"\\\\\",\n  \"n\": null\n}";
        assert_eq!(indented(text).as_deref(), Some(expected));
        assert_eq!(indented(expected).as_deref(), Some(expected));
        for other in ["", "{", "x", "{} {}"] {
            assert_eq!(indented(other), None, "{other}");
        }
    }

    #[test]
    fn what_others_wrote_is_escaped_in_every_form() {
        let hostile = "<script>alert(1)</script>";
        for shown in [
            body(hostile.as_bytes()),
            shown(hostile),
            difference("a\n", hostile),
            body(format!("[\"{hostile}\"]").as_bytes()),
        ] {
            let text = shown.into_string();
            assert!(!text.contains("<script") && text.contains("&lt;script&gt;"), "{text}");
        }
        let binary = body(b"\xff<b>").into_string();
        assert!(binary.contains("ff 3c 62 3e") && binary.contains(".&lt;b&gt;"), "{binary}");
    }

    #[test]
    fn a_large_body_is_cut() {
        let text = body("é".repeat(1 << 20).as_bytes()).into_string();
        assert!(text.len() < 1 << 20 && text.contains("The first 256 KiB of 2097152 bytes"));
    }
}
