//! Reports in JUnit's format, which CI systems read.

use std::fmt::Write as _;

use serde::Serialize;

/// How one case ended.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) plugin: String,
    pub(crate) case: String,
    pub(crate) result: &'static str,
    pub(crate) fuel: u64,
    pub(crate) time_ms: f64,
    /// Expected and found, as text, if they differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) difference: Option<(String, String)>,
    /// How the plugin failed, where, and what it printed, if that is not what was expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fault: Option<String>,
}

/// A test suite for each plugin, a test case for each case.
pub(crate) fn report(rows: &[Row]) -> String {
    let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n".to_owned();
    for suite in rows.chunk_by(|one, next| one.plugin == next.plugin) {
        let Some(first) = suite.first() else { continue };
        let failures = suite.iter().filter(|row| row.difference.is_some()).count();
        let time: f64 = suite.iter().map(|row| row.time_ms / 1_000.0).sum();
        let name = escaped(&first.plugin);
        // Writing to a string cannot fail.
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{failures}\" time=\"{time:.6}\">",
            suite.len()
        );
        for row in suite {
            let case = escaped(&row.case);
            let time = row.time_ms / 1_000.0;
            let _ = write!(xml, "    <testcase classname=\"{name}\" name=\"{case}\" time=\"{time:.6}\"");
            let _ = match &row.difference {
                None => writeln!(xml, "/>"),
                Some((expected, found)) => writeln!(
                    xml,
                    ">\n      <failure message=\"the verdict differs\">expected:\n{}\nfound:\n{}\n{}</failure>\n    </testcase>",
                    escaped(expected),
                    escaped(found),
                    escaped(row.fault.as_deref().unwrap_or_default())
                ),
            };
        }
        xml += "  </testsuite>\n";
    }
    xml + "</testsuites>\n"
}

/// Text in XML: marks escaped, what XML cannot hold replaced.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '&' => escaped += "&amp;",
            '"' => escaped += "&quot;",
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_hold_is_escaped_or_replaced() {
        assert_eq!(escaped("<a b=\"1\">&\u{0}\n"), "&lt;a b=&quot;1&quot;&gt;&amp;\u{fffd}\n");
    }
}
