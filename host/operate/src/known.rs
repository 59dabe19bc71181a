//! Names that a command was given. One that nothing has is an error, exit code 2, that lists what there is: a typo must not
//! read as "nothing found".

use std::collections::BTreeSet;

use anyhow::bail;
use towpath_config::Config;
use towpath_config::route::Template;

/// Names of one kind, such as routes, that are known.
pub struct Known {
    what: &'static str,
    names: BTreeSet<String>,
}

impl Known {
    /// These names; `what` one of them is called in errors.
    pub fn new(what: &'static str, names: impl IntoIterator<Item = impl Into<String>>) -> Known {
        Known { what, names: names.into_iter().map(Into::into).collect() }
    }

    /// Fails if the name is none of them.
    pub fn check(&self, name: &str) -> anyhow::Result<()> {
        if self.names.contains(name) {
            Ok(())
        } else {
            bail!("there is no {} {name:?}; known are: {}", self.what, self.listed())
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

/// Groups that a command was asked for: one, or all that begin so, with a star at the end.
pub struct Groups<'a>(pub &'a str);

impl Groups<'_> {
    /// Whether this group is one of them.
    pub fn has(&self, group: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => group.starts_with(beginning),
            None => group == self.0,
        }
    }

    /// Fails if no route of the config can make any of them.
    pub fn check(&self, config: &Config) -> anyhow::Result<()> {
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
    fn groups_that_no_route_can_make_are_told_from_those_that_have_nothing_now() {
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
