//! Secrets: references in the config, values from the environment. Values never print.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The value of a secret. It prints as `Secret(..)`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<Arc<str>>) -> Secret {
        Secret(value.into())
    }

    /// The value, for the one place that sends or checks it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Where the values of secrets come from.
#[derive(Clone, Debug)]
pub struct Secrets(Source);

#[derive(Clone, Debug)]
enum Source {
    Known(BTreeMap<String, Secret>),
    Placeholders,
}

impl Secrets {
    /// From the environment: the secret `sss-token` is `TOWPATH_SECRET_SSS_TOKEN`.
    #[expect(clippy::disallowed_methods, reason = "this is the config's way to the environment")]
    pub fn from_env() -> Secrets {
        let pairs = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.to_str()?.strip_prefix(PREFIX)?.to_owned();
            Some((name, Secret::new(value.to_str()?)))
        });
        Secrets(Source::Known(pairs.collect()))
    }

    /// These values by name.
    pub fn of(values: impl IntoIterator<Item = (String, String)>) -> Secrets {
        let known = values.into_iter().map(|(name, value)| (key(&name), Secret::new(value)));
        Secrets(Source::Known(known.collect()))
    }

    /// A placeholder for every name: to check a config where its secrets are not at hand. Nothing that
    /// was loaded with it may be run.
    pub fn placeholders() -> Secrets {
        Secrets(Source::Placeholders)
    }

    /// The secret of this name.
    pub fn get(&self, name: &str) -> Option<Secret> {
        match &self.0 {
            Source::Known(values) => values.get(&key(name)).cloned(),
            Source::Placeholders => Some(Secret::new("placeholder")),
        }
    }

    /// The environment variable that a secret is read from.
    pub fn variable(name: &str) -> String {
        format!("{PREFIX}{}", key(name))
    }
}

const PREFIX: &str = "TOWPATH_SECRET_";

fn key(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}
