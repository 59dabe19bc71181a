//! Selects lines of a story.

use std::collections::BTreeSet;

use towpath_config::Config;

use super::Entry;
use crate::known::{Groups, Known};

/// Selects the lines that meet every condition.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Its group; a star at the end matches anything.
    pub group: Option<String>,
    /// Its route.
    pub route: Option<String>,
    /// Its plugin.
    pub plugin: Option<String>,
    /// A target that it called or was held for.
    pub target: Option<String>,
    /// Its outcome.
    pub outcome: Option<String>,
    /// Only failures.
    pub failed: bool,
    /// An id of its message, or a prefix of one.
    pub id: Option<String>,
}

impl Filter {
    /// Fails if the route, group, plugin or target is neither in the config nor in the lines so far: it can never match.
    pub fn check(&self, config: &Config, entries: impl Iterator<Item = Entry>) -> anyhow::Result<()> {
        let Filter { group, route, plugin, target, .. } = self;
        if [group, route, plugin, target].into_iter().all(Option::is_none) {
            return Ok(());
        }
        let groups = group.as_deref().map(Groups);
        let mut met = groups.is_none();
        let mut routes: BTreeSet<String> = config.routes.iter().map(|route| route.path.clone()).collect();
        let mut plugins: BTreeSet<String> = config.plugins.keys().cloned().collect();
        let mut targets: BTreeSet<String> = config.targets.keys().cloned().collect();
        for entry in entries {
            met |= groups.as_ref().is_some_and(|groups| groups.has(entry.field("group")));
            routes.insert(entry.field("route").to_owned());
            plugins.insert(entry.field("plugin").to_owned());
            targets.extend(entry.attempts().iter().filter_map(|attempt| attempt.split(' ').next()).map(str::to_owned));
        }
        if let Some(groups) = groups.filter(|_| !met) {
            groups.check(config)?;
        }
        let asked = [("route", route, routes), ("plugin", plugin, plugins), ("target", target, targets)];
        for (what, name, mut known) in asked {
            known.remove("");
            name.as_ref().map_or(Ok(()), |name| Known::new(what, known).check(name))?;
        }
        Ok(())
    }

    /// Whether it selects a line.
    pub fn wants(&self, entry: &Entry) -> bool {
        let Filter { group, route, plugin, target, outcome, failed, id } = self;
        let is = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        let in_group = group.as_deref().is_none_or(|group| Groups(group).has(entry.field("group")));
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
