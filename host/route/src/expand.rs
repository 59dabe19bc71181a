//! Expands a group template with a webhook's values into a group id.

use std::borrow::Cow;

use towpath_config::route::{Part, Template};
use towpath_config::value::Value;
use towpath_select::Selected;
use towpath_types::queue::GroupId;
use towpath_types::queue::MAX_ID;

use crate::key::{stable_hash, written, written_before};
use crate::problem::KeyProblem;

/// The result of expanding a template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Expanded {
    pub(super) group: GroupId,
    /// The group of earlier versions, if it differs.
    pub(super) former: Option<GroupId>,
    pub(super) problems: Vec<KeyProblem>,
}

/// The group id of a webhook, and the keys that could not be read for it. A value is replaced by a stable hash if it is
/// missing, not allowed in a group id, or ambiguous in its place; all values are if the id would be too long. Never
/// fails: a message that cannot be ordered by its key is still stored, and all messages without the key share one
/// group. Different values have different groups: an id can be parsed in only one way.
pub(super) fn expand<'a>(template: &Template, read: impl Fn(&Value) -> Selected<'a>) -> Expanded {
    let mut problems = Vec::new();
    let mut values = Vec::new();
    for value in template.values() {
        let (bytes, problem) = read(value).into_parts();
        problems.extend(problem.map(|why| KeyProblem { key: "group", value: value.clone(), why }));
        values.push(bytes.unwrap_or_default());
    }
    let group = joined(template, &values, |at, value| {
        let text = written(value);
        if is_ambiguous(template, at, &text) { stable_hash(value) } else { text }
    });
    let former = joined(template, &values, |_, value| written_before(value));
    let former = (former != group).then_some(former);
    Expanded { group, former, problems }
}

fn joined(template: &Template, values: &[Cow<'_, [u8]>], write: impl Fn(usize, &[u8]) -> String) -> GroupId {
    let group = join(template, values.iter().enumerate().map(|(at, value)| write(at, value)));
    if group.len() > MAX_ID {
        GroupId::from(join(template, values.iter().map(|value| stable_hash(value))))
    } else {
        GroupId::from(group)
    }
}

/// Whether the end of this value is ambiguous: the literal after it occurs in it, or begins in it. The last value ends
/// where the id does.
fn is_ambiguous(template: &Template, at: usize, text: &str) -> bool {
    let mut parts = template.parts().iter().skip_while({
        let mut before = 0;
        move |part| {
            let skip = before <= at;
            before += usize::from(matches!(part, Part::Value(_)));
            skip
        }
    });
    let Some(Part::Literal(literal)) = parts.next() else { return false };
    if parts.next().is_none() {
        return false;
    }
    let whole = format!("{text}{literal}");
    // As a group is matched: with at least one character before it.
    whole.get(1..).and_then(|rest| rest.find(literal.as_str())) != Some(text.len() - 1)
}

fn join(template: &Template, mut values: impl Iterator<Item = String>) -> String {
    let parts = template.parts().iter().map(|part| match part {
        Part::Literal(literal) => literal.clone(),
        Part::Value(_) => values.next().unwrap_or_default(),
    });
    parts.collect()
}

#[cfg(test)]
mod tests;
