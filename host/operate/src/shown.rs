//! Shows bodies so that different bodies look different.

/// Bytes as text; bytes that are not UTF-8 are shown as `\xff`.
pub fn readable(bytes: &[u8]) -> String {
    let chunk = |chunk: std::str::Utf8Chunk<'_>| format!("{}{}", chunk.valid(), chunk.invalid().escape_ascii());
    bytes.utf8_chunks().map(chunk).collect()
}

/// Bytes as a hex dump: 16 a line, with their place in front and as characters behind.
pub fn hex(bytes: &[u8]) -> String {
    let line = |(number, line): (usize, &[u8])| {
        let digits: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let is_shown = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
        let text: String = line.iter().map(|byte| if is_shown(byte) { char::from(*byte) } else { '.' }).collect();
        format!("{:08x}  {:<47}  {text}\n", number * 16, digits.join(" "))
    };
    bytes.chunks(16).enumerate().map(line).collect()
}

/// A text in lines, for a diff. A text without line breaks gets some after commas and brackets; nothing else changes, so that the diff shows
/// what is stored.
pub fn lines(text: &str) -> String {
    if text.contains('\n') {
        return text.to_owned();
    }
    let mut lines = String::with_capacity(text.len() * 2);
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    let line_end = |lines: &mut String, depth: usize| {
        lines.push('\n');
        lines.push_str(&"  ".repeat(depth.min(40)));
    };
    for character in text.chars() {
        if in_string {
            lines.push(character);
            in_string = escaped || character != '"';
            escaped = character == '\\' && !escaped;
            continue;
        }
        if matches!(character, '}' | ']') {
            depth = depth.saturating_sub(1);
            line_end(&mut lines, depth);
        }
        lines.push(character);
        match character {
            '"' => in_string = true,
            '{' | '[' => {
                depth += 1;
                line_end(&mut lines, depth);
            }
            ',' => line_end(&mut lines, depth),
            _ => {}
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_broken_where_json_has_commas_and_brackets_and_nothing_else_changes() {
        let text = r#"{"a": [1.10,"x,\"]y"],"b":{}}"#;
        let shown = lines(text);
        assert_eq!(shown, "{\n  \"a\": [\n    1.10,\n    \"x,\\\"]y\"\n  ],\n  \"b\":{\n    \n  }\n}");
        assert_eq!(shown.split('\n').map(str::trim_start).collect::<String>(), text);
        assert_eq!(lines("two\nlines, {}"), "two\nlines, {}");
    }

    #[test]
    fn a_hex_dump_has_places_digits_and_characters() {
        let dump = hex(b"0123456789abcdef\n<");
        let expected = "00000000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  0123456789abcdef\n";
        assert_eq!(dump, format!("{expected}00000010  0a 3c{}  .<\n", " ".repeat(42)));
    }

    #[test]
    fn bytes_that_are_not_utf_8_look_different() {
        assert_eq!(readable(b"caf\xe9 \xff"), "caf\\xe9 \\xff");
        assert_ne!(readable(b"\xe9"), readable(b"\xff"));
    }
}
