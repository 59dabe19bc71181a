//! Which lines are wanted.

use super::Entry;
use crate::args::StoryFilter;

/// Lines that fit all that is asked for.
pub(crate) struct Filter {
    args: StoryFilter,
}

impl Filter {
    pub(crate) fn new(args: StoryFilter) -> Filter {
        Filter { args }
    }

    /// Whether a line is wanted.
    pub(crate) fn wants(&self, entry: &Entry) -> bool {
        let StoryFilter { group, route, plugin, target, outcome, failed, id } = &self.args;
        let is = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        let in_group = group.as_deref().is_none_or(|group| match group.strip_suffix('*') {
            Some(beginning) => entry.field("group").starts_with(beginning),
            None => entry.field("group") == group,
        });
        let at_target = target.as_deref().is_none_or(|target| {
            let called = entry.attempts().iter().any(|attempt| attempt.split(' ').next() == Some(target));
            called || entry.field("detail").starts_with(&format!("target {target}:"))
        });
        in_group
            && at_target
            && is(route, entry.field("route"))
            && is(plugin, entry.field("plugin"))
            && is(outcome, &entry.what())
            && (!failed || entry.is_failure())
            && id.as_deref().is_none_or(|id| entry.is_about(id))
    }
}
