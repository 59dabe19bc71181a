//! What differs between two texts.

use std::time::Duration;

use maud::{Markup, html};
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

/// A diff that takes longer is coarser.
const LONGEST: Duration = Duration::from_millis(500);

/// JSON in lines.
pub(crate) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// Two texts with what differs marked, and three lines around it.
pub(crate) fn diff(before: &str, after: &str) -> Markup {
    let diff = TextDiff::configure().timeout(LONGEST).diff_lines(before, after);
    html! {
        pre tabindex="0" {
            @for group in diff.grouped_ops(3) {
                @for change in group.iter().flat_map(|operation| diff.iter_changes(operation)) {
                    @match change.tag() {
                        ChangeTag::Delete => del { "- " (line(change.value())) },
                        ChangeTag::Insert => ins { "+ " (line(change.value())) },
                        ChangeTag::Equal => { "  " (line(change.value())) }
                    }
                    "\n"
                }
            }
        }
    }
}

fn line(text: &str) -> &str {
    text.strip_suffix('\n').unwrap_or(text)
}
