//! Labels whose values are not ours: the code that a plugin gives, the status that a target answers. A metric has 2,000 sets of
//! labels at most; who invents values must not push those of others into the overflow.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

/// What stands for every value beyond the first ones.
pub(super) const OTHER: &str = "other";

/// The first values of each owner stay as they are.
#[derive(Debug)]
pub(super) struct Capped {
    most: usize,
    known: Mutex<HashMap<String, HashSet<String>>>,
}

impl Capped {
    /// So many values for each owner.
    pub(super) fn at(most: usize) -> Capped {
        Capped { most, known: Mutex::default() }
    }

    /// A value as it is counted. Owners are named by the config, so they are few.
    pub(super) fn value(&self, owner: &str, value: &str) -> String {
        // What says nothing is not a value.
        if value.is_empty() {
            return String::new();
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let values = match known.get_mut(owner) {
            Some(values) => values,
            None => known.entry(owner.to_owned()).or_default(),
        };
        if values.contains(value) {
            return value.to_owned();
        }
        if values.len() >= self.most {
            return OTHER.to_owned();
        }
        values.insert(value.to_owned());
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_who_invents_values_changes_nothing_for_others() {
        let capped = Capped::at(3);
        let of =
            |owner: &str, values: &[&str]| values.iter().map(|value| capped.value(owner, value)).collect::<Vec<_>>();
        assert_eq!(
            of("loud", &["a", "b", "", "c", "d", "e", "a", "c"]),
            ["a", "b", "", "c", "other", "other", "a", "c"]
        );
        assert_eq!(of("quiet", &["x", "a"]), ["x", "a"]);
        for n in 0..10_000 {
            capped.value("loud", &n.to_string());
        }
        let kept: usize = capped.known.lock().expect("a lock").values().map(HashSet::len).sum();
        assert_eq!(kept, 5, "what is not counted is not kept");
    }
}
