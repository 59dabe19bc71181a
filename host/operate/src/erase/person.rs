//! Whose events are erased.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use towpath_types::archive::Archived;
use towpath_types::body::Body;
use towpath_types::dead_letter::DeadLetter;
use towpath_types::json::{self, Pointer};
use towpath_types::message::origin_of;
use towpath_types::queue::{Attributes, MessageId};

/// Whose events: those of one of the groups, if there are any, that have all of the values.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Subject {
    /// Groups, each by its whole name.
    pub groups: Vec<String>,
    /// Values in the JSON body, each with the pointer to it: a string without quotes and escapes, anything else as it was sent.
    #[serde(rename = "match")]
    pub values: Vec<(String, String)>,
}

impl Subject {
    /// Whether every event is meant.
    pub fn is_everything(&self) -> bool {
        self.groups.is_empty() && self.values.is_empty()
    }
}

/// What is known of a subject: its conditions, and the ids of its events.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) subject: Subject,
    pointers: Vec<(Pointer, Vec<u8>)>,
    pub(super) ids: Arc<HashSet<String>>,
}

impl Person {
    pub(super) fn new(subject: Subject, ids: BTreeSet<String>) -> anyhow::Result<Person> {
        let pointer = |(at, value): &(String, String)| Ok((at.parse()?, value.clone().into_bytes()));
        let pointers = subject.values.iter().map(pointer).collect::<anyhow::Result<_>>()?;
        Ok(Person { subject, pointers, ids: Arc::new(ids.into_iter().collect()) })
    }

    /// The groups of which everything is erased.
    pub(super) fn whole_groups(&self) -> Vec<String> {
        if self.pointers.is_empty() { self.subject.groups.clone() } else { Vec::new() }
    }

    /// Whether an event of this group with this body is one.
    pub(super) fn has(&self, group: &str, body: impl FnOnce() -> Body) -> bool {
        let groups = &self.subject.groups;
        let in_group = groups.is_empty() || groups.iter().any(|wanted| wanted == group);
        in_group && (self.pointers.is_empty() || self.has_values(&body()))
    }

    fn has_values(&self, body: &Body) -> bool {
        let Ok(webhook) = body.webhook() else { return false };
        self.pointers.iter().all(|(pointer, value)| json::has_value(&webhook.body, pointer, value))
    }

    /// Whether an event of the archive is one: also one whose values were redacted, if its message was one.
    pub(super) fn has_archived(&self, event: &Archived, body: &dyn Fn() -> Body) -> bool {
        self.knows(event.id.as_str()) || self.has(event.group.as_str(), body)
    }

    /// Whether this is the name of a group of the person, or a pattern with no more than its name.
    pub(super) fn is_group(&self, text: &str) -> bool {
        self.whole_groups().iter().any(|group| text == group || text.strip_suffix('*') == Some(group))
    }

    /// Whether a text has a value of the person.
    pub(super) fn has_value_in(&self, text: &str) -> bool {
        self.subject.values.iter().any(|(_, value)| !value.is_empty() && text.contains(value))
    }

    pub(super) fn knows(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    pub(super) fn learn(&mut self, ids: impl IntoIterator<Item = String>) {
        let new: Vec<String> = ids.into_iter().filter(|id| !self.ids.contains(id)).collect();
        if !new.is_empty() {
            Arc::make_mut(&mut self.ids).extend(new);
        }
    }
}

/// The ids under which an event was stored: now, at first, and before it became a dead letter.
pub(super) fn ids(id: &MessageId, attributes: &Attributes) -> impl Iterator<Item = String> + use<> {
    let first = origin_of(attributes).map(|origin| origin.id.to_string());
    let before = DeadLetter::read(attributes).map(|letter| letter.id);
    [Some(id.to_string()), first, before].into_iter().flatten()
}
