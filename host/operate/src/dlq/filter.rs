//! Selects letters, and checks that what the operator names exists.

use std::collections::BTreeSet;

use towpath_types::clock::Timestamp;
use towpath_types::dead_letter::REASONS;
use towpath_types::message::webhook;

use crate::known::{Groups, Known, Unknown, UnknownWithoutConfig};
use crate::letters::Letter;
use crate::place::Found;
use anyhow::bail;

/// Selects letters that have one of the ids, if there are any, and meet every condition.
pub struct Filter {
    /// The ids, each with whether a letter has it.
    ids: Vec<(String, bool)>,
    conditions: Conditions,
    met: Met,
}

/// What a letter must have. A condition that is `None` is always met.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Conditions {
    /// Its route, which may have left the config.
    pub route: Option<String>,
    /// Its group; a star at the end matches anything.
    pub group: Option<String>,
    /// Its reason.
    pub reason: Option<String>,
    /// The status of the last answer.
    pub status: Option<u16>,
    /// It was dead-lettered at this time or later.
    pub since: Option<Timestamp>,
    /// It was dead-lettered at this time or earlier.
    pub until: Option<Timestamp>,
    /// A text in its body.
    pub text: Option<String>,
}

/// What exists, according to the letters that were read.
#[derive(Default)]
struct Met {
    routes: BTreeSet<String>,
    reasons: BTreeSet<String>,
    /// Whether a letter is in a group that was asked for.
    group: bool,
}

impl Filter {
    /// A filter for these ids, or for all if there are none, and these conditions.
    pub fn new(conditions: Conditions, ids: Vec<String>) -> Filter {
        Filter { ids: ids.into_iter().map(|id| (id, false)).collect(), conditions, met: Met::default() }
    }

    /// Whether it selects every letter.
    pub fn is_everything(&self) -> bool {
        self.ids.is_empty() && self.conditions == Conditions::default()
    }

    /// Whether it selects this letter. Call this once for every letter that is read: [`Filter::check`] relies on it.
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

    /// Fails if no letter has an id, or if the route, group or reason is neither in the config nor in a letter: a typo must not read as
    /// "no letters". Call this after all letters were read.
    pub fn check(&self, found: &Found) -> anyhow::Result<()> {
        if let Some((id, _)) = self.ids.iter().find(|(_, met)| !met) {
            bail!("there is no dead letter {id}: `towpath dlq list` shows those that are there");
        }
        if let Some(route) = &self.conditions.route {
            let configured = found.config.iter().flat_map(|config| config.routes.iter());
            let routes = configured.map(|route| route.path.clone()).chain(self.met.routes.clone());
            Known::new("route", routes).check(route).map_err(|error| without_config(error, found))?;
        }
        // Groups come and go: only the templates of the config's routes tell which can exist.
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

/// Says so where no config was read, which might have named more.
pub(super) fn without_config(error: Unknown, found: &Found) -> anyhow::Error {
    match found.config {
        Some(_) => error.into(),
        None => UnknownWithoutConfig(error).into(),
    }
}

/// The webhook's body, as text.
fn body(letter: &Letter) -> String {
    let webhook = webhook(&letter.body, &letter.attributes).unwrap_or_default();
    String::from_utf8_lossy(&webhook.body).into_owned()
}
