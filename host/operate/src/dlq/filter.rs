//! Which letters are meant, and whether what was asked for exists at all.

use std::collections::BTreeSet;

use towpath_types::clock::Timestamp;
use towpath_types::dead_letter::REASONS;
use towpath_types::message::webhook;

use crate::known::{Groups, Known};
use crate::letters::Letter;
use crate::place::Found;
use anyhow::bail;

/// Ids and conditions; a letter must be one of the ids, if there are any, and meet every condition.
pub struct Filter {
    /// Each with whether a letter was met that it names.
    ids: Vec<(String, bool)>,
    conditions: Conditions,
    met: Met,
}

/// What letters must have.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Conditions {
    /// This route; it need not be in the config any more.
    pub route: Option<String>,
    /// This group; a star at the end stands for anything.
    pub group: Option<String>,
    /// This reason.
    pub reason: Option<String>,
    /// This status of the last answer.
    pub status: Option<u16>,
    /// They died since then.
    pub since: Option<Timestamp>,
    /// They died until then.
    pub until: Option<Timestamp>,
    /// Their bodies contain this.
    pub text: Option<String>,
}

/// What the letters that were looked at have.
#[derive(Default)]
struct Met {
    routes: BTreeSet<String>,
    reasons: BTreeSet<String>,
    /// Whether one of them is of a group that was asked for.
    group: bool,
}

impl Filter {
    /// Letters that have one of these ids, if there are any, and meet these conditions.
    pub fn new(conditions: Conditions, ids: Vec<String>) -> Filter {
        Filter { ids: ids.into_iter().map(|id| (id, false)).collect(), conditions, met: Met::default() }
    }

    /// Whether every letter is meant.
    pub fn is_everything(&self) -> bool {
        self.ids.is_empty() && self.conditions == Conditions::default()
    }

    /// Whether this letter is meant. Every letter of a look passes here once, so that [`Filter::check`] knows what there is.
    pub fn wants(&mut self, letter: &Letter) -> bool {
        let death = &letter.death;
        let mut named = self.ids.is_empty();
        for (_, met) in self.ids.iter_mut().filter(|(id, _)| letter.named(id)) {
            *met = true;
            named = true;
        }
        self.met.routes.extend(death.route.clone());
        self.met.reasons.insert(death.reason.clone());
        let in_group = self.conditions.group.as_deref().is_none_or(|group| Groups(group).has(letter.group.as_str()));
        self.met.group |= in_group;
        let is = |wanted: &Option<String>, found: Option<&str>| wanted.is_none() || wanted.as_deref() == found;
        named
            && is(&self.conditions.route, death.route.as_deref())
            && in_group
            && is(&self.conditions.reason, Some(&death.reason))
            && (self.conditions.status.is_none() || self.conditions.status == death.status)
            && self.conditions.since.is_none_or(|since| death.failed_at >= since)
            && self.conditions.until.is_none_or(|until| death.failed_at <= until)
            && self.conditions.text.as_ref().is_none_or(|text| body(letter).contains(text.as_str()))
    }

    /// Fails if an id, the route, the group or the reason is of no letter and not known otherwise either: a typo must not read
    /// as "no letters". To be asked after a whole look. Routes that left the config are known by their letters.
    pub fn check(&self, found: &Found) -> anyhow::Result<()> {
        if let Some((id, _)) = self.ids.iter().find(|(_, met)| !met) {
            bail!("there is no dead letter {id}: `towpath dlq list` shows those that are there");
        }
        if let Some(route) = &self.conditions.route {
            let configured = found.config.iter().flat_map(|config| config.routes.iter());
            let routes = configured.map(|route| route.path.clone()).chain(self.met.routes.clone());
            Known::new("route", routes).check(route).map_err(|error| without_config(error, found))?;
        }
        // Groups come and go: without the templates of routes nobody knows them all.
        if let (Some(group), Some(config), false) = (&self.conditions.group, &found.config, self.met.group) {
            Groups(group).check(config)?;
        }
        if let Some(reason) = &self.conditions.reason {
            let reasons = REASONS.into_iter().map(str::to_owned).chain(self.met.reasons.clone());
            Known::new("reason", reasons).check(reason)?;
        }
        Ok(())
    }
}

/// Says why so little is known where no config was read.
pub(super) fn without_config(error: anyhow::Error, found: &Found) -> anyhow::Error {
    match found.config {
        Some(_) => error,
        None => anyhow::anyhow!("{error} (there is no config here, so only letters were looked at: give --config)"),
    }
}

/// The webhook's body as text.
fn body(letter: &Letter) -> String {
    let body = webhook(&letter.body, &letter.attributes).map(|webhook| webhook.body).unwrap_or_default();
    String::from_utf8_lossy(&body).into_owned()
}
