//! What tools take. A name that is not here is an error: a typo must not widen what an answer, or a plan, is about.

use anyhow::bail;
use rmcp::schemars::{self, JsonSchema};
use serde::Deserialize;
use towpath_operate::dlq::filter::Conditions;
use towpath_operate::moment::Moment;
use towpath_types::clock::Timestamp;
use towpath_types::foreign::Foreign;

/// The most rows of an answer, and how many it has if nobody says.
const MOST: usize = 100;
const ROWS: usize = 20;

/// The longest note, in bytes.
const LONGEST_NOTE: usize = 500;

/// Which letters. There is no condition on the text of bodies: it would let an assistant guess what is not shown to it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LetterFilter {
    /// The route's path.
    pub(crate) route: Option<String>,
    /// The group; a star at the end matches anything.
    pub(crate) group: Option<String>,
    /// Why they were given up, such as refused or expired; the error for an unknown reason lists all.
    pub(crate) reason: Option<String>,
    /// The status of the target's last answer.
    #[schemars(range(min = 100, max = 599))]
    pub(crate) status: Option<u16>,
    /// Given up at this time or later: an age such as 2h, or a time in RFC 3339.
    pub(crate) since: Option<String>,
    /// Given up at this time or earlier.
    pub(crate) until: Option<String>,
}

impl LetterFilter {
    /// The conditions.
    pub(crate) fn conditions(&self, now: Timestamp) -> anyhow::Result<Conditions> {
        if self.status.is_some_and(|status| !(100..=599).contains(&status)) {
            bail!("status is a number from 100 to 599");
        }
        Ok(Conditions {
            route: self.route.clone(),
            group: self.group.clone(),
            reason: self.reason.clone(),
            status: self.status,
            since: moment("since", self.since.as_deref(), now)?,
            until: moment("until", self.until.as_deref(), now)?,
            text: None,
        })
    }
}

fn moment(name: &str, text: Option<&str>, now: Timestamp) -> anyhow::Result<Option<Timestamp>> {
    let Some(text) = text else { return Ok(None) };
    match text.trim().parse::<Moment>() {
        Ok(moment) => Ok(Some(moment.at(now))),
        Err(problem) => bail!("{name}: {problem}"),
    }
}

/// How many rows an answer has.
pub(crate) fn rows(limit: Option<u16>) -> anyhow::Result<usize> {
    let rows = limit.map_or(ROWS, usize::from);
    if !(1..=MOST).contains(&rows) {
        bail!("limit is a number from 1 to {MOST}");
    }
    Ok(rows)
}

/// A reason that goes into a command and the audit: one line that a person can read.
pub(crate) fn note(text: &str) -> anyhow::Result<&str> {
    let text = text.trim();
    if text.is_empty() {
        bail!("a note is required: say why, for the person who decides and for the audit");
    }
    if text.len() > LONGEST_NOTE || !is_visible(text) {
        bail!("a note is one line of at most {LONGEST_NOTE} bytes, without characters that cannot be seen");
    }
    Ok(text)
}

/// Whether a person sees every character of a text.
pub(crate) fn is_visible(text: &str) -> bool {
    Foreign::line(text).at_most(usize::MAX).to_string() == text
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_819_227_123);

    #[test]
    fn a_filter_has_ages_or_times_and_no_wrong_status() {
        let read = |text: &str| serde_json::from_str::<LetterFilter>(text);
        let filter = read(r#"{"reason":"refused","since":"2h","status":500}"#).expect("a filter");
        let conditions = filter.conditions(NOW).expect("conditions");
        assert_eq!((conditions.since, conditions.status), (Some(Timestamp(NOW.0 - 7_200_000)), Some(500)));
        assert_eq!(LetterFilter::default().conditions(NOW).expect("conditions"), Conditions::default());
        for wrong in [r#"{"status":99}"#, r#"{"since":"soon"}"#, r#"{"until":"101y"}"#] {
            read(wrong).expect("a filter").conditions(NOW).expect_err(wrong);
        }
        for wrong in [r#"{"raeson":"x"}"#, r#"{"text":"secret"}"#, r#"{"status":"500"}"#] {
            read(wrong).expect_err(wrong);
        }
    }

    #[test]
    fn rows_and_notes_have_limits() {
        assert_eq!((rows(None).ok(), rows(Some(100)).ok()), (Some(20), Some(100)));
        for wrong in [0, 101] {
            rows(Some(wrong)).expect_err("a limit");
        }
        assert_eq!(note(" ticket 4711 ").ok(), Some("ticket 4711"));
        for wrong in ["", " ", "a\nb", "a\u{202e}b", &"x".repeat(501)] {
            note(wrong).expect_err(wrong);
        }
    }
}
