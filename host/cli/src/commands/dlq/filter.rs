//! Which letters are meant.

use towpath_core::clock::{Clock, Timestamp};
use towpath_core::message::webhook;

use crate::args;
use crate::letters::Letter;

/// Ids and conditions; a letter must be one of the ids, if there are any, and meet every condition.
pub(super) struct Filter {
    ids: Vec<String>,
    route: Option<String>,
    group: Option<String>,
    reason: Option<String>,
    status: Option<u16>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    text: Option<String>,
}

impl Filter {
    pub(super) fn new(args: args::Filter, ids: Vec<String>) -> Filter {
        let now = Clock::wall().now();
        let args::Filter { route, group, reason, status, since, until, text } = args;
        let (since, until) = (since.map(|moment| moment.at(now)), until.map(|moment| moment.at(now)));
        Filter { ids, route, group, reason, status, since, until, text }
    }

    /// Whether every letter is meant.
    pub(super) fn is_everything(&self) -> bool {
        let Filter { ids, route, group, reason, status, since, until, text } = self;
        let conditions = [route, group, reason, text].into_iter().any(Option::is_some);
        ids.is_empty() && !conditions && status.is_none() && since.is_none() && until.is_none()
    }

    pub(super) fn wants(&self, letter: &Letter) -> bool {
        let death = &letter.death;
        let is = |wanted: &Option<String>, found: Option<&str>| wanted.is_none() || wanted.as_deref() == found;
        (self.ids.is_empty() || self.ids.iter().any(|id| letter.named(id)))
            && is(&self.route, death.route.as_deref())
            && self.group.as_ref().is_none_or(|pattern| matches(pattern, letter.group.as_str()))
            && is(&self.reason, Some(&death.reason))
            && (self.status.is_none() || self.status == death.status)
            && self.since.is_none_or(|since| death.failed_at >= since)
            && self.until.is_none_or(|until| death.failed_at <= until)
            && self.text.as_ref().is_none_or(|text| body(letter).contains(text.as_str()))
    }
}

/// The webhook's body as text.
pub(super) fn body(letter: &Letter) -> String {
    let body = webhook(&letter.body, &letter.attributes).map(|webhook| webhook.body).unwrap_or_default();
    String::from_utf8_lossy(&body).into_owned()
}

/// A group, or the beginning of one with a star behind it.
fn matches(pattern: &str, group: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => group.starts_with(beginning),
        None => group == pattern,
    }
}
