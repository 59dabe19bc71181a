//! Secrets: references in the config, values from the environment or a store of secrets. Values never print.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::time::Instant;
use tracing::{info, warn};

/// A secret is asked for anew at most so often, however often it is refused.
const REFRESH_EVERY: Duration = Duration::from_secs(30);

/// Where the values of secrets are kept and can change: Secrets Manager.
#[async_trait]
pub trait SecretStore: Send + Sync + 'static {
    /// The value of this secret now, or why it is not to be had.
    async fn fetch(&self, name: &str) -> Result<String, String>;
}

/// The value of a secret. It prints as `Secret(..)`. Clones share the value: a refresh is seen by all.
#[derive(Clone)]
pub struct Secret(Arc<Cell>);

struct Cell {
    value: RwLock<Arc<str>>,
    /// Its name in the store that it came from; `None` if it never changes.
    store: Option<(Arc<dyn SecretStore>, String)>,
    asked: tokio::sync::Mutex<Option<Instant>>,
}

impl Secret {
    /// A value that never changes.
    pub fn new(value: impl Into<Arc<str>>) -> Secret {
        Secret::of(value.into(), None)
    }

    fn of(value: Arc<str>, store: Option<(Arc<dyn SecretStore>, String)>) -> Secret {
        Secret(Arc::new(Cell { value: RwLock::new(value), store, asked: tokio::sync::Mutex::new(None) }))
    }

    /// The value, for the one place that sends or checks it.
    pub fn expose(&self) -> Arc<str> {
        Arc::clone(&self.0.value.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether this is its value, found out in a time that tells nothing of where they differ.
    pub fn is(&self, value: &[u8]) -> bool {
        subtle::ConstantTimeEq::ct_eq(self.expose().as_bytes(), value).into()
    }

    /// Whether the secret has another value than `seen`, which did not do. Asks the store that it came from, at
    /// most every 30 s; a value that does not change is asked for nowhere.
    pub async fn is_renewed(&self, seen: &str) -> bool {
        let Some((store, name)) = &self.0.store else { return false };
        let mut asked = self.0.asked.lock().await;
        // Somebody else may have asked while this waited.
        if *self.expose() != *seen {
            return true;
        }
        if asked.is_some_and(|asked| asked.elapsed() < REFRESH_EVERY) {
            return false;
        }
        *asked = Some(Instant::now());
        match store.fetch(name).await {
            Ok(value) if value == seen || value.is_empty() => false,
            Ok(value) => {
                info!(secret = name, "the secret was rotated, its new value counts");
                *self.0.value.write().unwrap_or_else(PoisonError::into_inner) = value.into();
                true
            }
            Err(problem) => {
                warn!(secret = name, problem, "the secret could not be asked for anew, the old value counts on");
                false
            }
        }
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The values of secrets by name.
#[derive(Clone, Debug)]
pub struct Secrets(Source);

#[derive(Clone, Debug)]
enum Source {
    Environment(BTreeMap<String, Secret>),
    Store { known: BTreeMap<String, Secret>, problems: BTreeMap<String, String>, only_these: bool },
    Placeholders(Arc<Mutex<BTreeSet<String>>>),
}

impl Secrets {
    /// From the environment: the secret `sss-token` is `TOWPATH_SECRET_SSS_TOKEN`.
    #[expect(clippy::disallowed_methods, reason = "this is the config's way to the environment")]
    pub fn from_env() -> Secrets {
        let pairs = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.to_str()?.strip_prefix(PREFIX)?.to_owned();
            Some((name, Secret::new(value.to_str()?)))
        });
        Secrets(Source::Environment(pairs.collect()))
    }

    /// These values by name, as if from the environment.
    pub fn of(values: impl IntoIterator<Item = (String, String)>) -> Secrets {
        let known = values.into_iter().map(|(name, value)| (key(&name), Secret::new(value)));
        Secrets(Source::Environment(known.collect()))
    }

    /// The secrets of these names from a store, asked for side by side. One that is not to be had is a mistake
    /// of the config that names it.
    pub async fn from_store(store: Arc<dyn SecretStore>, names: impl IntoIterator<Item = String>) -> Secrets {
        let fetched = names.into_iter().map(|name| async { (store.fetch(&name).await, name) });
        let (mut known, mut problems) = (BTreeMap::new(), BTreeMap::new());
        for (value, name) in join_all(fetched).await {
            match value {
                Ok(value) => {
                    let secret = Secret::of(value.into(), Some((Arc::clone(&store), name.clone())));
                    known.insert(name, secret);
                }
                Err(problem) => drop(problems.insert(name, problem)),
            }
        }
        Secrets(Source::Store { known, problems, only_these: false })
    }

    /// Placeholders for all that was not asked for: for a host that uses a part of the config, and may read no more.
    #[must_use]
    pub fn and_placeholders(self) -> Secrets {
        match self.0 {
            Source::Store { known, problems, .. } => Secrets(Source::Store { known, problems, only_these: true }),
            other => Secrets(other),
        }
    }

    /// A placeholder for every name: to check a config where its secrets are not at hand, and to find out which
    /// it names. Nothing that uses secrets may be run with it.
    pub fn placeholders() -> Secrets {
        Secrets(Source::Placeholders(Arc::default()))
    }

    /// The names that placeholders were asked for.
    pub fn asked(&self) -> BTreeSet<String> {
        match &self.0 {
            Source::Placeholders(asked) => asked.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Source::Environment(_) | Source::Store { .. } => BTreeSet::new(),
        }
    }

    /// The secret of this name, or what is wrong and what to do about it.
    pub fn get(&self, name: &str) -> Result<Secret, (String, String)> {
        let found = match &self.0 {
            Source::Environment(values) => values.get(&key(name)).cloned(),
            Source::Store { known, problems, only_these } => {
                let unasked = *only_these && !problems.contains_key(name);
                known.get(name).cloned().or_else(|| unasked.then(|| Secret::new("placeholder")))
            }
            Source::Placeholders(asked) => {
                asked.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
                Some(Secret::new("placeholder"))
            }
        };
        found.filter(|secret| !secret.expose().is_empty()).ok_or_else(|| match &self.0 {
            Source::Store { problems, .. } => {
                let problem = problems.get(name).map_or("it is empty", String::as_str);
                let hint = "is it in Secrets Manager under secrets.prefix and its name, and may the role read it?";
                (format!("the secret {name:?} is not available: {problem}"), hint.to_owned())
            }
            _ => {
                let hint = format!("set the environment variable {}", variable(name));
                (format!("the secret {name:?} is not set"), hint)
            }
        })
    }
}

impl fmt::Debug for dyn SecretStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretStore")
    }
}

/// The environment variable that a secret is read from.
pub(super) fn variable(name: &str) -> String {
    format!("{PREFIX}{}", key(name))
}

const PREFIX: &str = "TOWPATH_SECRET_";

fn key(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Answers `1`, `2`, … each time it is asked, and fails for `away`.
    #[derive(Default)]
    struct Counting(AtomicU32);

    #[async_trait]
    impl SecretStore for Counting {
        async fn fetch(&self, name: &str) -> Result<String, String> {
            match name {
                "away" => Err("AccessDeniedException".to_owned()),
                _ => Ok((self.0.fetch_add(1, Ordering::Relaxed) + 1).to_string()),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_that_did_not_do_is_asked_for_anew_but_not_all_the_time() {
        let secrets = Secrets::from_store(Arc::new(Counting::default()), ["token".to_owned()]).await;
        let (secret, other) = (secrets.get("token").expect("token"), secrets.get("token").expect("token"));
        assert_eq!(&*secret.expose(), "1");
        assert!(secret.is_renewed("1").await);
        assert_eq!(&*other.expose(), "2", "clones share the value");
        assert!(other.is_renewed("1").await, "somebody else asked already");
        assert!(!secret.is_renewed("2").await, "it was asked for a moment ago");
        tokio::time::advance(REFRESH_EVERY).await;
        assert!(secret.is_renewed("2").await);
        assert!(!Secret::new("x").is_renewed("x").await, "a value from the environment does not change");
    }

    #[tokio::test]
    async fn what_a_store_does_not_give_is_told_by_name() {
        let secrets = Secrets::from_store(Arc::new(Counting::default()), ["away".to_owned()]).await;
        let (problem, _) = secrets.get("away").expect_err("away");
        assert_eq!(problem, "the secret \"away\" is not available: AccessDeniedException");
    }

    #[test]
    fn placeholders_remember_what_they_were_asked_for() {
        let secrets = Secrets::placeholders();
        assert!(secrets.get("b").is_ok() && secrets.clone().get("a").is_ok());
        assert_eq!(secrets.asked(), ["a".to_owned(), "b".to_owned()].into());
    }

    #[test]
    fn a_secret_is_found_under_the_name_of_its_variable() {
        assert_eq!(variable("sss-token"), "TOWPATH_SECRET_SSS_TOKEN");
        assert!(Secrets::of([("a.b".to_owned(), "x".to_owned())]).get("a-b").is_ok());
    }
}
