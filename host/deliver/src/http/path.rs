//! Joins the path of a plugin's request to the URL of its target.

use percent_encoding::percent_decode_str;
use url::Url;

/// Appends path and query to a base URL, which an empty path leaves as it is; `None` if the result might leave the base, however often the target or a proxy
/// in front of it decodes the path. The base has neither query nor fragment.
pub(super) fn join(base: &Url, path: &str) -> Option<Url> {
    let (only_path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let is_below =
        only_path.is_empty() || only_path.starts_with('/') && !only_path.starts_with("//") && !climbs(only_path);
    if !is_below || !path.bytes().all(is_plain) {
        return None;
    }
    // Only path and query are parsed: the host was when the config was read.
    let mut joined = base.clone();
    if !only_path.is_empty() {
        joined.set_path(&format!("{}{only_path}", base.path().trim_end_matches('/')));
    }
    joined.set_query(query);
    joined.path().starts_with(base.path().trim_end_matches('/')).then_some(joined)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'\\' && byte != b'#'
}

/// Whether a path has a segment that leads upwards, or a control character, at any level of encoding. Some servers
/// treat `\` as a slash and full-width characters as plain ones. They ignore whatever follows a `;` in a segment, and
/// blanks at its end. They end the path at a decoded `?` or `#`. Some decode `%u002e`, which is not percent-encoding.
fn climbs(path: &str) -> bool {
    let upwards = |segment: &str| matches!(segment.split(';').next().map(str::trim_end), Some("." | ".."));
    let mut text = path.to_owned();
    loop {
        text = text.chars().map(plain).collect();
        if text.split(['/', '\\', '?', '#']).any(upwards) || text.chars().any(char::is_control) || has_percent_u(&text)
        {
            return true;
        }
        // Terminates: each round makes the text shorter, or changes nothing.
        let Ok(decoded) = percent_decode_str(&text).decode_utf8() else { return true };
        if decoded == text {
            return false;
        }
        text = decoded.into_owned();
    }
}

/// Whether a text contains `%u` and four hexadecimal digits.
fn has_percent_u(text: &str) -> bool {
    let digits =
        |at: usize| text.get(at + 2..).into_iter().flat_map(str::chars).take_while(char::is_ascii_hexdigit).take(4);
    text.match_indices(['%'])
        .any(|(at, _)| matches!(text.get(at + 1..at + 2), Some("u" | "U")) && digits(at).count() == 4)
}

/// The character that some servers treat this one as. Source: the compatibility decompositions of Unicode.
fn plain(character: char) -> char {
    match character {
        '\u{ff0e}' | '\u{2024}' | '\u{fe52}' => '.',
        '\u{ff0f}' | '\u{2044}' | '\u{2215}' => '/',
        '\u{ff3c}' | '\u{fe68}' => '\\',
        '\u{ff1b}' => ';',
        '\u{ff1f}' | '\u{fe56}' => '?',
        '\u{ff03}' | '\u{fe5f}' => '#',
        '\u{ff05}' | '\u{fe6a}' => '%',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_stays_below_its_base() {
        let cases = [
            ("https://sss.test/api", "/t?x=1&y=%20", Some("https://sss.test/api/t?x=1&y=%20")),
            ("https://sss.test/api/", "/t", Some("https://sss.test/api/t")),
            ("https://sss.test", "/", Some("https://sss.test/")),
            ("https://sss.test", "/a?to=../b", Some("https://sss.test/a?to=../b")),
            ("https://sss.test", "/projects/a%2Fb/c%20d", Some("https://sss.test/projects/a%2Fb/c%20d")),
            ("https://sss.test", "/100%25", Some("https://sss.test/100%25")),
            ("https://sss.test", "/a...b/..c/@me", Some("https://sss.test/a...b/..c/@me")),
            ("https://sss.test", "t", None),
            ("https://sss.test/api", "", Some("https://sss.test/api")),
            ("https://sss.test/api/", "?a=1", Some("https://sss.test/api/?a=1")),
            ("https://sss.test/api", "?a=1#b", None),
            ("https://sss.test/api", "? ", None),
            ("https://sss.test", "//evil.test/", None),
            ("https://sss.test", "@evil.test/", None),
            ("https://sss.test", ".evil.test/", None),
            ("https://sss.test", ":8080/", None),
            ("https://sss.test/api", "/../admin", None),
            ("https://sss.test/api", "/./admin", None),
            ("https://sss.test/api", "/a/..", None),
            ("https://sss.test/api", "/%2E%2e/admin", None),
            ("https://sss.test/api", "/.%2e/admin", None),
            ("https://sss.test/api", "/%252e%252e/admin", None),
            ("https://sss.test/api", "/a%2f..%2fadmin", None),
            ("https://sss.test/api", "/a%2f%2e%2e%2fadmin", None),
            ("https://sss.test/api", "/a%5c..%5cadmin", None),
            ("https://sss.test/api", "/..;/admin", None),
            ("https://sss.test/api", "/..;x=1/admin", None),
            ("https://sss.test/api", "/a\\..\\b", None),
            ("https://sss.test/api", "/a b", None),
            ("https://sss.test/api", "/a\r\nx: y", None),
            ("https://sss.test/api", "/a%0d%0ax", None),
            ("https://sss.test/api", "/a%00", None),
            ("https://sss.test/api", "/%ff", None),
            ("https://sss.test/api", "/a#b", None),
            ("https://sss.test/api", "/..%3f/x", None),
            ("https://sss.test/api", "/..%23/", None),
            ("https://sss.test/api", "/%2e%2e%3f/y", None),
            ("https://sss.test/api", "/%2e%2e%253fy", None),
            ("https://sss.test/api", "/a/.%23b", None),
            ("https://sss.test/api", "/..%3b%3f", None),
            ("https://sss.test/api", "/%ef%bc%8e%ef%bc%8e/admin", None),
            ("https://sss.test/api", "/%e2%80%a4./admin", None),
            ("https://sss.test/api", "/%u002e%u002e/admin", None),
            ("https://sss.test/api", "/a%25u002e", None),
            ("https://sss.test/api", "/..%20/admin", None),
            ("https://sss.test/api", "/100%25up", Some("https://sss.test/api/100%25up")),
            ("https://sss.test", "/caf%c3%a9/100%20%ef%bc%81", Some("https://sss.test/caf%c3%a9/100%20%ef%bc%81")),
            ("https://sss.test", "/what%3f/c%23", Some("https://sss.test/what%3f/c%23")),
            ("https://sss.test/api", "/\u{ff0e}\u{ff0e}/admin", None),
            ("https://sss.test/api", "/\u{2025}/admin", None),
        ];
        for (base, path, expected) in cases {
            let joined = join(&base.parse().expect(base), path);
            assert_eq!(joined.as_ref().map(Url::as_str), expected, "{base} + {path:?}");
        }
    }

    proptest! {
        #[test]
        fn no_path_leaves_the_host_or_the_base(path in "[/.%25eEfFcC@:;?#a\\\\ \u{ff0e}-]{0,24}") {
            let base: Url = "https://sss.test/api/v1".parse().expect("base");
            if let Some(joined) = join(&base, &path) {
                prop_assert_eq!(joined.origin(), base.origin());
                prop_assert!(joined.username().is_empty() && joined.password().is_none() && joined.fragment().is_none());
                let mut path = joined.path().to_owned();
                for _ in 0..4 {
                    path = percent_decode_str(&path).decode_utf8_lossy().into_owned();
                    let resolved: Url = format!("https://sss.test{}", path.replace('\\', "/")).parse().expect("url");
                    prop_assert!(resolved.path().starts_with("/api/v1"), "{} leads to {}", joined, resolved);
                }
            }
        }
    }
}
