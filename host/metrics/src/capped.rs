//! Caps for labels whose values others choose: a plugin's reason code, a target's status. A metric has at most 2,000
//! label sets; whoever invents values must not push those of others into the overflow.

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;

/// Replaces every value past the cap.
pub(super) const OTHER: &str = "other";

/// Keeps the first values of each owner.
#[derive(Debug)]
pub(super) struct Capped {
    most: usize,
    known: Mutex<HashMap<String, HashSet<String>>>,
}

impl Capped {
    /// Keeps up to `most` values for each owner.
    pub(super) fn at(most: usize) -> Capped {
        Capped { most, known: Mutex::default() }
    }

    /// The value to use as a label. Owners are named by the config, so there are few.
    pub(super) fn value(&self, owner: &str, value: &str) -> String {
        // An empty value is always kept and takes no slot.
        if value.is_empty() {
            return String::new();
        }
        let mut known = self.known.lock();
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
    fn an_owner_that_invents_values_does_not_affect_others() {
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
        let kept: usize = capped.known.lock().values().map(HashSet::len).sum();
        assert_eq!(kept, 5, "values past the cap are not remembered");
    }
}
