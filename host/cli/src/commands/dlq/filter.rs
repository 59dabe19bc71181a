//! Which letters are meant, and whether what was asked for exists at all.

use std::collections::BTreeSet;

use anyhow::bail;
use towpath_operate::known::{Groups, Known};
use towpath_operate::letters::Letter;
use towpath_operate::place::Found;
use towpath_types::clock::{Clock, Timestamp};
use towpath_types::dead_letter::REASONS;
use towpath_types::message::webhook;

use crate::args;

/// Ids and conditions; a letter must be one of the ids, if there are any, and meet every condition.
pub(super) struct Filter {
    /// Each with whether a letter was met that it names.
    ids: Vec<(String, bool)>,
    route: Option<String>,
    group: Option<String>,
    reason: Option<String>,
    status: Option<u16>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    text: Option<String>,
    met: Met,
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
    pub(super) fn new(args: args::Filter, ids: Vec<String>) -> Filter {
        let now = Clock::wall().now();
        let args::Filter { route, group, reason, status, since, until, text } = args;
        let (since, until) = (since.map(|moment| moment.at(now)), until.map(|moment| moment.at(now)));
        let ids = ids.into_iter().map(|id| (id, false)).collect();
        Filter { ids, route, group, reason, status, since, until, text, met: Met::default() }
    }

    /// Whether every letter is meant.
    pub(super) fn is_everything(&self) -> bool {
        let Filter { ids, route, group, reason, status, since, until, text, met: _ } = self;
        let conditions = [route, group, reason, text].into_iter().any(Option::is_some);
        ids.is_empty() && !conditions && status.is_none() && since.is_none() && until.is_none()
    }

    /// Whether this letter is meant. Every letter of a look passes here once, so that [`Filter::check`] knows what there is.
    pub(super) fn wants(&mut self, letter: &Letter) -> bool {
        let death = &letter.death;
        let mut named = self.ids.is_empty();
        for (_, met) in self.ids.iter_mut().filter(|(id, _)| letter.named(id)) {
            *met = true;
            named = true;
        }
        self.met.routes.extend(death.route.clone());
        self.met.reasons.insert(death.reason.clone());
        let in_group = self.group.as_deref().is_none_or(|group| Groups(group).has(letter.group.as_str()));
        self.met.group |= in_group;
        let is = |wanted: &Option<String>, found: Option<&str>| wanted.is_none() || wanted.as_deref() == found;
        named
            && is(&self.route, death.route.as_deref())
            && in_group
            && is(&self.reason, Some(&death.reason))
            && (self.status.is_none() || self.status == death.status)
            && self.since.is_none_or(|since| death.failed_at >= since)
            && self.until.is_none_or(|until| death.failed_at <= until)
            && self.text.as_ref().is_none_or(|text| body(letter).contains(text.as_str()))
    }

    /// Fails if an id, the route, the group or the reason is of no letter and not known otherwise either: a typo must not read
    /// as "no letters". To be asked after a whole look. Routes that left the config are known by their letters.
    pub(super) fn check(&self, found: &Found) -> anyhow::Result<()> {
        if let Some((id, _)) = self.ids.iter().find(|(_, met)| !met) {
            bail!("there is no dead letter {id}: `towpath dlq list` shows those that are there");
        }
        if let Some(route) = &self.route {
            let configured = found.config.iter().flat_map(|config| config.routes.iter());
            let routes = configured.map(|route| route.path.clone()).chain(self.met.routes.clone());
            Known::new("route", routes).check(route).map_err(|error| without_config(error, found))?;
        }
        // Groups come and go: without the templates of routes nobody knows them all.
        if let (Some(group), Some(config), false) = (&self.group, &found.config, self.met.group) {
            Groups(group).check(config)?;
        }
        if let Some(reason) = &self.reason {
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
pub(super) fn body(letter: &Letter) -> String {
    let body = webhook(&letter.body, &letter.attributes).map(|webhook| webhook.body).unwrap_or_default();
    String::from_utf8_lossy(&body).into_owned()
}
