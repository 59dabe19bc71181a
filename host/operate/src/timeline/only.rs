//! Chooses the one event that ids, or their beginnings, name.

use towpath_types::queue::MessageId;

/// The most events that an error names.
const MOST: usize = 10;

/// Several events have an id that begins so.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("more than one event has an id that begins with {asked}: {}; give a longer one", names.join(", "))]
pub(super) struct Several {
    pub(super) asked: String,
    pub(super) names: Vec<String>,
}

/// What fits. An event that has one of the ids exactly is meant, whatever else begins with it.
pub(super) struct Only<'a, T> {
    ids: &'a [String],
    exact: Vec<(MessageId, T)>,
    beginning: Vec<(MessageId, T)>,
}

impl<'a, T> Only<'a, T> {
    pub(super) fn new(ids: &'a [String]) -> Only<'a, T> {
        Only { ids, exact: Vec::new(), beginning: Vec::new() }
    }

    /// Adds something with these ids, if it fits. `first` is the id under which the event was first stored; what is added last of an event stays.
    pub(super) fn add(&mut self, names: &[String], first: MessageId, it: T) {
        let is_exact = names.iter().any(|name| self.ids.contains(name));
        let begins = |name: &String| self.ids.iter().any(|id| name.starts_with(id.as_str()));
        if !is_exact && !names.iter().any(begins) {
            return;
        }
        let fits = if is_exact { &mut self.exact } else { &mut self.beginning };
        if let Some((_, known)) = fits.iter_mut().find(|(known, _)| *known == first) {
            *known = it;
        } else if fits.len() < MOST {
            fits.push((first, it));
        }
    }

    /// The one that is meant, if any fits.
    pub(super) fn one(mut self) -> Result<Option<T>, Several> {
        if !self.exact.is_empty() {
            return Ok(self.exact.pop().map(|(_, it)| it));
        }
        if self.beginning.len() > 1 {
            let mut names: Vec<String> = self.beginning.iter().map(|(first, _)| first.to_string()).collect();
            names.sort();
            return Err(Several { asked: self.ids.join(" or "), names });
        }
        Ok(self.beginning.pop().map(|(_, it)| it))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(asked: &str) -> Result<Option<u8>, Several> {
        let ids = [asked.to_owned()];
        let mut only = Only::new(&ids);
        let events = [("deadbeef-1", 1), ("deadbeef-2", 2), ("deadbeef-1", 3), ("deadbeef", 4), ("cafe", 5)];
        for (id, it) in events {
            only.add(&[id.to_owned(), "an-attribute".to_owned()], id.into(), it);
        }
        only.one()
    }

    #[test]
    fn an_id_is_one_event_and_a_beginning_of_several_is_an_error_that_names_them() {
        for (asked, expected) in [("deadbeef", Some(4)), ("deadbeef-1", Some(3)), ("caf", Some(5)), ("none", None)] {
            assert_eq!(chosen(asked), Ok(expected), "{asked}");
        }
        let error = chosen("deadb").expect_err("several").to_string();
        assert!(error.contains("deadb: deadbeef, deadbeef-1, deadbeef-2;"), "{error}");
    }
}
