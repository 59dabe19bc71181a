//! JUnit reports, which CI systems read.

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;

/// How one case ended.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) plugin: String,
    pub(crate) case: String,
    pub(crate) result: &'static str,
    pub(crate) fuel: u64,
    pub(crate) time_ms: f64,
    /// Expected and actual, as text, if they differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) difference: Option<(String, String)>,
    /// How and where the plugin failed and what it printed, unless that was expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fault: Option<String>,
}

/// A test suite for each plugin, a test case for each case.
pub(crate) fn report(rows: &[Row]) -> Result<String, SerializeError> {
    let mut report = Report::unnamed();
    for rows in rows.chunk_by(|one, next| one.plugin == next.plugin) {
        let Some(first) = rows.first() else { continue };
        let mut suite = TestSuite::new(text(&first.plugin));
        suite.extra.insert("time".into(), seconds(rows.iter().map(|row| row.time_ms).sum()).into());
        suite.add_test_cases(rows.iter().map(case));
        report.add_test_suite(suite);
    }
    report.to_string()
}

fn case(row: &Row) -> TestCase {
    let status = match &row.difference {
        None => TestCaseStatus::success(),
        Some((expected, found)) => {
            let fault = row.fault.as_deref().unwrap_or_default();
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message("the verdict differs");
            status.set_description(text(&format!("expected:\n{expected}\nfound:\n{found}\n{fault}")));
            status
        }
    };
    let mut case = TestCase::new(text(&row.case), status);
    case.set_classname(text(&row.plugin));
    case.extra.insert("time".into(), seconds(row.time_ms).into());
    case
}

/// The library would write milliseconds, and most cases take less than one.
fn seconds(milliseconds: f64) -> String {
    format!("{:.6}", milliseconds / 1_000.0)
}

/// The library drops control characters, but not these two, which XML cannot hold either.
fn text(text: &str) -> String {
    text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_hold_is_escaped_replaced_or_left_out() {
        let row = |case: &str, difference| Row {
            plugin: "<crm>".to_owned(),
            case: case.to_owned(),
            result: "",
            fuel: 1,
            time_ms: 0.25,
            difference,
            fault: None,
        };
        let differs = Some(("<a b=\"1\">".to_owned(), "&\u{0}\u{ffff}".to_owned()));
        let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="2" skipped="0" failures="1" errors="0">
    <testsuite name="&lt;crm&gt;" tests="2" skipped="0" errors="0" failures="1" time="0.000500">
        <testcase name="one" classname="&lt;crm&gt;" time="0.000250"/>
        <testcase name="two" classname="&lt;crm&gt;" time="0.000250">
            <failure message="the verdict differs">expected:
&lt;a b=&quot;1&quot;&gt;
found:
&amp;REPLACED
</failure>
        </testcase>
    </testsuite>
</testsuites>
"#;
        let report = report(&[row("one", None), row("two", differs)]).expect("XML");
        assert_eq!(report, expected.replace("REPLACED", "\u{fffd}"));
    }
}
