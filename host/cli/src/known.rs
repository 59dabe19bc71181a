//! Names that a command was given. One that nothing has is an error, exit code 2, that lists what there is: a typo must not
//! read as "nothing found".

use std::collections::BTreeSet;

use anyhow::bail;

/// Names of one kind, such as routes, that are known.
pub(crate) struct Known {
    what: &'static str,
    names: BTreeSet<String>,
}

impl Known {
    pub(crate) fn new(what: &'static str, names: impl IntoIterator<Item = impl Into<String>>) -> Known {
        Known { what, names: names.into_iter().map(Into::into).collect() }
    }

    /// Fails if the name is none of them.
    pub(crate) fn check(&self, name: &str) -> anyhow::Result<()> {
        match self.names.contains(name) {
            true => Ok(()),
            false => bail!("there is no {} {name:?}; known are: {}", self.what, self.listed()),
        }
    }

    fn listed(&self) -> String {
        match self.names.is_empty() {
            true => "none".to_owned(),
            false => self.names.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
        }
    }
}
