//! Where the keys of an expanded route were written: the file does not contain them as they are checked.

use std::collections::BTreeMap;

use crate::Mistake;

/// Origins by the key that is checked.
#[derive(Debug, Default)]
pub(crate) struct Origins(BTreeMap<String, Origin>);

#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// The user wrote the value, or what it follows from, at this key.
    Written(String),
    /// The provider that is named at this key has a key of this name.
    Provided { at: String, key: String },
}

impl Origins {
    pub(crate) fn note(&mut self, checked: String, origin: Origin) {
        self.0.insert(checked, origin);
    }

    pub(crate) fn get(&self, checked: &str) -> Option<&Origin> {
        self.0.get(checked)
    }

    /// Moves a mistake to a key that is in the file.
    pub(crate) fn relocate(&self, mistake: &mut Mistake) {
        let mut known = mistake.at.as_str();
        let origin = loop {
            if let Some(origin) = self.0.get(known) {
                break origin;
            }
            let Some(above) = known.rfind(['.', '[']).and_then(|end| known.get(..end)) else { return };
            known = above;
        };
        let rest = mistake.at.get(known.len()..).unwrap_or_default();
        match origin {
            Origin::Written(at) => mistake.at = format!("{at}{rest}"),
            Origin::Provided { at, key } => {
                mistake.problem = format!("{key}{rest}: {}", mistake.problem);
                mistake.at.clone_from(at);
            }
        }
    }
}
