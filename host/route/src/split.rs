//! Splits a webhook into the elements of an array, and maps each to the keys that it is stored under.

use std::ops::Range;

use sha2::{Digest as _, Sha256};
use towpath_config::route::Route;
use towpath_config::split::{MOST_ITEMS, Split};
use towpath_config::value::{Source, Value};
use towpath_select::{Scope, Selected, Unreadable, elements};
use towpath_types::envelope::Webhook;

use crate::expand::{Expanded, expand};
use crate::key::written;
use crate::problem::KeyProblem;
use crate::{Dedup, Keys, keys, webhook_id};

/// Why a webhook is not split.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NoItems {
    /// There is no array: the webhook is one event.
    NoArray(KeyProblem),
    /// The array has more elements than are split.
    TooMany,
}

/// A webhook and the elements of its array.
#[derive(Clone, Debug)]
pub struct Division<'a> {
    route: &'a Route,
    split: &'a Split,
    /// What keys read.
    opened: &'a Webhook,
    /// What the plugin sees of the whole.
    shown: &'a Webhook,
    /// The keys that are the same for every element. Reading one takes as long as the whole body is.
    common: Vec<(&'a Value, Selected<'a>)>,
    /// Where the elements are in both.
    spans: Vec<(Range<usize>, Range<usize>)>,
}

/// Where an element stands: in which webhook, and at which position, from 0.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Identifies the webhook where its own key does not: the same if its sender repeats it.
    pub whole: &'a str,
    pub index: usize,
}

impl<'a> Division<'a> {
    pub fn of(
        route: &'a Route,
        split: &'a Split,
        opened: &'a Webhook,
        shown: &'a Webhook,
    ) -> Result<Division<'a>, NoItems> {
        let no_array = |why| NoItems::NoArray(KeyProblem { key: "split", value: array(split), why });
        let spans = |webhook: &Webhook| elements(&webhook.body, &split.at, MOST_ITEMS + 1).map_err(no_array);
        let spans: (Vec<_>, Vec<_>) = (spans(opened)?, spans(shown)?);
        // Hiding a token takes no element away, unless the token is the array.
        if spans.0.len() != spans.1.len() {
            return Err(no_array(Unreadable::NoArray));
        }
        if spans.0.len() > MOST_ITEMS {
            return Err(NoItems::TooMany);
        }
        let common = route.group.values().chain(&route.dedup).filter(|value| !is_of_item(value));
        let common = common.map(|value| (value, towpath_select::key(&Scope::of(opened), value))).collect();
        Ok(Division { route, split, opened, shown, common, spans: spans.0.into_iter().zip(spans.1).collect() })
    }

    pub fn len(&self) -> usize {
        self.spans.len()
    }

    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The keys of an element. One without a key of its own is told apart by its position.
    pub fn keys(&self, place: Place<'_>) -> Keys {
        let item = self.spans.get(place.index).and_then(|(opened, _)| self.opened.body.get(opened.clone()));
        let scope = Scope { item, ..Scope::of(self.opened) };
        let read = |value: &Value| {
            let common = self.common.iter().find(|(own, _)| *own == value);
            common.map_or_else(|| towpath_select::key(&scope, value), |(_, selected)| selected.clone())
        };
        let Expanded { group, former, mut problems } = expand(&self.route.group, read);
        let dedup = self.route.dedup.as_ref().and_then(|value| match read(value) {
            Selected::Sound(key) => Some((key, is_of_item(value))),
            Selected::Doubtful(_, why) | Selected::None(why) => {
                problems.push(KeyProblem { key: "dedup", value: value.clone(), why });
                None
            }
        });
        let dedup = match dedup {
            Some((key, true)) => Dedup { id: written(&key).into(), webhook_id: webhook_id(self.route, &group, &key) },
            Some((key, false)) => self.by_position("key", &key, place.index, &webhook_id(self.route, &group, &key)),
            None => {
                let whole = place.whole.as_bytes();
                let id = webhook_id(self.route, &group, &[b"\0whole\0", whole].concat());
                self.by_position("whole", whole, place.index, &id)
            }
        };
        Keys { group, former_group: former, dedup: Some(dedup), proof_id: None, problems }
    }

    /// The id of an element by its position. Its hash is longer than that of any key, so no key looks like it.
    fn by_position(&self, kind: &str, whole: &[u8], index: usize, webhook_id: &str) -> Dedup {
        let length = whole.len().to_be_bytes();
        let index_bytes = index.to_be_bytes();
        let parts = [self.route.path.as_bytes(), b"\0", kind.as_bytes(), b"\0", &length, whole, &index_bytes];
        let digest = parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize();
        Dedup { id: format!("~{}", hex::encode(digest)).into(), webhook_id: format!("{webhook_id}_{index}") }
    }

    /// An element as a webhook of its own: what the plugin sees.
    pub fn webhook(&self, index: usize) -> Webhook {
        let body = &self.shown.body;
        let part = |span: Range<usize>| body.get(span).unwrap_or_default();
        let item = self.spans.get(index).map(|(_, shown)| shown.clone()).unwrap_or_default();
        let own = match (self.split.rest, self.spans.first(), self.spans.last()) {
            (true, Some((_, first)), Some((_, last))) => {
                [part(0..first.start), part(item), part(last.end..body.len())].concat()
            }
            _ => part(item).to_vec(),
        };
        let Webhook { method, path, query, headers, .. } = self.shown;
        Webhook {
            method: method.clone(),
            path: path.clone(),
            query: query.clone(),
            headers: headers.clone(),
            body: own,
        }
    }
}

/// The keys that a stored webhook gives now. Of an element that is what is stored of it: values of the rest of its webhook
/// are missing, and only a key of its own identifies it.
pub fn keys_of_stored(route: &Route, webhook: &Webhook, is_item: bool) -> Keys {
    if !is_item {
        return keys(route, webhook);
    }
    let rest = route.split.as_ref().filter(|split| split.rest);
    let span = match rest {
        Some(split) => elements(&webhook.body, &split.at, 1).ok().and_then(|spans| spans.into_iter().next()),
        None => Some(0..webhook.body.len()),
    };
    let scope = Scope { item: span.and_then(|span| webhook.body.get(span)), ..Scope::of(webhook) };
    let Expanded { group, former, problems } = expand(&route.group, |value| towpath_select::key(&scope, value));
    let dedup = route.dedup.as_ref().filter(|value| is_of_item(value));
    let dedup = dedup.and_then(|value| match towpath_select::key(&scope, value) {
        Selected::Sound(key) => Some(Dedup { id: written(&key).into(), webhook_id: webhook_id(route, &group, &key) }),
        Selected::Doubtful(..) | Selected::None(_) => None,
    });
    Keys { group, former_group: former, dedup, proof_id: None, problems }
}

fn is_of_item(value: &Value) -> bool {
    matches!(value.source, Source::Item(_))
}

/// The value that is the array.
fn array(split: &Split) -> Value {
    let source = if split.at.tokens().is_empty() { Source::Body } else { Source::Json(split.at.clone()) };
    Value { source, filters: Vec::new() }
}

#[cfg(test)]
#[path = "split/tests.rs"]
mod tests;
