//! Checks the names that an operator gives. An unknown name is an error that lists the known ones: a typo must not read as
//! "nothing found".

use std::collections::BTreeSet;

use towpath_config::Config;
use towpath_config::route::Template;

/// A name that is not known.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no {what} {name:?}; known are: {known}")]
pub struct Unknown {
    what: &'static str,
    name: String,
    known: String,
}

/// A name that is not known where no config was read, which might have it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0} (no config was read, which may name more)")]
pub struct UnknownWithoutConfig(pub Unknown);

/// The known names of one kind, such as routes.
pub struct Known {
    what: &'static str,
    names: BTreeSet<String>,
}

impl Known {
    /// These names; errors call one of them `what`.
    pub fn new(what: &'static str, names: impl IntoIterator<Item = impl Into<String>>) -> Known {
        Known { what, names: names.into_iter().map(Into::into).collect() }
    }

    /// Fails unless the name is one of them.
    pub fn check(&self, name: &str) -> Result<(), Unknown> {
        if self.names.contains(name) {
            Ok(())
        } else {
            Err(Unknown { what: self.what, name: name.to_owned(), known: self.listed() })
        }
    }

    fn listed(&self) -> String {
        if self.names.is_empty() {
            "none".to_owned()
        } else {
            self.names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
        }
    }
}

/// The groups that an operator asks for: one, or with a star at the end, all with that prefix.
pub struct Groups<'a>(pub &'a str);

impl Groups<'_> {
    /// Whether this group is one of them.
    pub fn has(&self, group: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => group.starts_with(beginning),
            None => group == self.0,
        }
    }

    /// Fails unless a route of the config can produce one of them.
    pub fn check(&self, config: &Config) -> Result<(), Unknown> {
        let can_be = |template: &Template| match self.0.strip_suffix('*') {
            Some(beginning) => {
                let literal = template.as_str().split('{').next().unwrap_or_default();
                beginning.starts_with(literal) || literal.starts_with(beginning)
            }
            None => template.matches(self.0),
        };
        if config.routes.iter().any(|route| can_be(&route.group)) {
            Ok(())
        } else {
            let templates = config.routes.iter().map(|route| route.group.as_str());
            Known::new("route with a group", templates).check(self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use towpath_config::Secrets;

    use super::*;

    #[test]
    fn a_group_that_no_route_can_produce_is_an_error_and_an_empty_one_is_not() {
        let text = "[[route]]\npath = 'crm'\ngroup = 'crm/{json:/id}'\nplugin = 'p'\n[plugin.p]\npath = 'p'\n";
        let config = Config::parse(text, Path::new("towpath.toml"), &Secrets::placeholders()).expect("config");
        for group in ["crm/1", "crm/*", "cr*", "crm/1*", "*"] {
            Groups(group).check(&config).expect(group);
        }
        for group in ["crm", "crn/1", "crn*", "crm/"] {
            let error = Groups(group).check(&config).expect_err(group).to_string();
            assert!(error.ends_with("known are: crm/{json:/id}"), "{error}");
        }
        assert!(Groups("crm/*").has("crm/1") && !Groups("crm/*").has("crm") && Groups("crm").has("crm"));
    }
}
