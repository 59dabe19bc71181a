//! Which events are looked for.

use towpath_types::archive::{Archived, Ending};
use towpath_types::body::Body;
use towpath_types::clock::Timestamp;
use towpath_types::json::{self, Pointer};
use towpath_types::message::origin_of;

/// Which events are looked for: those that meet every condition. The default is all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Of one of these routes; of any if empty.
    pub routes: Vec<String>,
    /// Of one of these groups; of any if empty. A star at the end matches anything.
    pub groups: Vec<String>,
    /// First stored at this time or later.
    pub since: Option<Timestamp>,
    /// First stored before this time.
    pub until: Option<Timestamp>,
    /// With one of these ids: the message's, the one under which it was first stored, or what its targets received as `webhook-id`; any if
    /// empty.
    pub ids: Vec<String>,
    /// With an id, of any kind, that begins like this.
    pub id_begins: Option<String>,
    pub ending: Option<Ending>,
    /// With these bytes in the webhook's body.
    pub contains: Option<Vec<u8>>,
    /// With these values in the webhook's body: a string without its quotes and escapes, anything else as written.
    pub values: Vec<(Pointer, Vec<u8>)>,
    pub limit: Limit,
}

/// How many events are returned, of those that are found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Limit {
    #[default]
    All,
    /// The oldest ones.
    First(usize),
    /// The newest ones.
    Last(usize),
}

impl Filter {
    /// Whether an event meets every condition but that on its ending, which a repeat may change. `body` is called only if a
    /// condition needs it.
    pub(crate) fn matches(&self, event: &Archived, body: impl FnOnce() -> Body) -> bool {
        let one_of = |wanted: &[String], value: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == value);
        let ids = || {
            let origin = origin_of(&event.attributes).map(|origin| origin.id);
            [Some(event.id.clone()), Some(event.webhook_id.clone()), origin].into_iter().flatten()
        };
        let named = |is: &dyn Fn(&str) -> bool| ids().any(|id| is(id.as_str()));
        one_of(&self.routes, &event.route)
            && (self.groups.is_empty() || self.groups.iter().any(|wanted| group_matches(wanted, event.group.as_str())))
            && self.since.is_none_or(|since| event.sent_at >= since)
            && self.until.is_none_or(|until| event.sent_at < until)
            && (self.ids.is_empty() || named(&|id| self.ids.iter().any(|wanted| wanted == id)))
            && self.id_begins.as_deref().is_none_or(|begin| named(&|id| id.starts_with(begin)))
            && self.matches_body(body)
    }

    fn matches_body(&self, body: impl FnOnce() -> Body) -> bool {
        if self.contains.is_none() && self.values.is_empty() {
            return true;
        }
        // A body that cannot be unpacked contains nothing.
        let Ok(webhook) = body().webhook() else { return false };
        let contains = |bytes: &Vec<u8>| memchr::memmem::find(&webhook.body, bytes).is_some();
        self.contains.as_ref().is_none_or(contains)
            && self.values.iter().all(|(pointer, wanted)| json::has_value(&webhook.body, pointer, wanted))
    }

    /// Whether events that were first stored in this time can match.
    pub(crate) fn overlaps(&self, [from, to]: [Timestamp; 2]) -> bool {
        self.since.is_none_or(|since| to >= since) && self.until.is_none_or(|until| from < until)
    }
}

fn group_matches(wanted: &str, group: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(begin) => group.starts_with(begin),
        None => group == wanted,
    }
}
