//! Secrets: references in the config, values from the environment or a store of secrets. Values never print.

mod form;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::time::Instant;
use tracing::{error, info, warn};

pub use form::Form;

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
    /// What it is for: a new value must do for all of it.
    forms: Mutex<Vec<Form>>,
}

impl Secret {
    /// A value that never changes.
    pub fn new(value: impl Into<Arc<str>>) -> Secret {
        Secret::of(value.into(), None)
    }

    fn of(value: Arc<str>, store: Option<(Arc<dyn SecretStore>, String)>) -> Secret {
        let (value, asked) = (RwLock::new(value), tokio::sync::Mutex::new(None));
        Secret(Arc::new(Cell { value, store, asked, forms: Mutex::default() }))
    }

    /// The value, for the one place that sends or checks it.
    pub fn expose(&self) -> Arc<str> {
        Arc::clone(&self.0.value.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether this is its value, found out in a time that tells nothing of where they differ.
    pub fn is(&self, value: &[u8]) -> bool {
        subtle::ConstantTimeEq::ct_eq(self.expose().as_bytes(), value).into()
    }

    /// Notes what it is for, and why its value can never do for that.
    fn used_as(&self, form: Form) -> Result<(), &'static str> {
        let mut forms = self.0.forms.lock().unwrap_or_else(PoisonError::into_inner);
        if !forms.contains(&form) {
            forms.push(form);
        }
        form.problem(&self.expose()).map_or(Ok(()), Err)
    }

    /// Why a new value cannot be used.
    fn problem(&self, value: &str) -> Option<&'static str> {
        let forms = self.0.forms.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing is done with an empty one, whatever it is for.
        Form::Key.problem(value).or_else(|| forms.iter().find_map(|form| form.problem(value)))
    }

    /// Whether the secret has another value than `seen`, which did not do. Asks the store that it came from, at
    /// most every 30 s; a value that does not change is asked for nowhere. A new value that cannot be used is logged,
    /// and the old one stays.
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
        let value = match store.fetch(name).await {
            Ok(value) => without_line_break(name, &value),
            Err(problem) => {
                warn!(secret = name, problem, "the secret could not be refreshed, keeping its old value");
                return false;
            }
        };
        if *value == *seen {
            return false;
        }
        if let Some(problem) = self.problem(&value) {
            error!(
                secret = name,
                problem, "the secret was rotated to a value that cannot be used, keeping its old value"
            );
            return false;
        }
        info!(secret = name, "secret rotated, using its new value");
        *self.0.value.write().unwrap_or_else(PoisonError::into_inner) = value;
        true
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
    /// `None` is a value that is not text.
    Environment(BTreeMap<String, Option<Secret>>),
    Store {
        known: BTreeMap<String, Secret>,
        problems: BTreeMap<String, String>,
        only_these: bool,
    },
    Placeholders(Arc<Mutex<BTreeSet<String>>>),
}

impl Secrets {
    /// From the environment: the secret `sss-token` is `TOWPATH_SECRET_SSS_TOKEN`.
    #[expect(clippy::disallowed_methods, reason = "this is the config's way to the environment")]
    pub fn from_env() -> Secrets {
        let pairs = std::env::vars_os().filter_map(|(name, value)| {
            let key = name.to_str()?.strip_prefix(PREFIX)?.to_owned();
            let name = key.to_ascii_lowercase().replace('_', "-");
            let secret = value.to_str().map(|value| Secret::new(without_line_break(&name, value)));
            Some((key, secret))
        });
        Secrets(Source::Environment(pairs.collect()))
    }

    /// These values by name, as if from the environment.
    pub fn of(values: impl IntoIterator<Item = (String, String)>) -> Secrets {
        let secret =
            |(name, value): (String, String)| (key(&name), Some(Secret::new(without_line_break(&name, &value))));
        let known = values.into_iter().map(secret);
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
                    let value = without_line_break(&name, &value);
                    let secret = Secret::of(value, Some((Arc::clone(&store), name.clone())));
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

    /// The secret of this name for this use, or what is wrong and what to do about it.
    pub fn get(&self, name: &str, form: Form) -> Result<Secret, (String, String)> {
        let placeholder = || Ok(Secret::new("placeholder"));
        let secret = match &self.0 {
            Source::Placeholders(asked) => {
                asked.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
                return placeholder();
            }
            Source::Environment(values) => {
                let hint = format!("set the environment variable {}", variable(name));
                match values.get(&key(name)) {
                    Some(Some(secret)) => secret,
                    Some(None) => return Err((format!("the secret {name:?} cannot be used: it is not UTF-8"), hint)),
                    None => return Err((format!("the secret {name:?} is not set"), hint)),
                }
            }
            Source::Store { known, problems, only_these } => match (known.get(name), problems.get(name)) {
                (Some(secret), _) => secret,
                (None, None) if *only_these => return placeholder(),
                (None, problem) => {
                    let problem = problem.map_or("nobody asked for it", String::as_str);
                    let hint = "is it in Secrets Manager under secrets.prefix and its name, and may the role read it?";
                    return Err((format!("the secret {name:?} is not available: {problem}"), hint.to_owned()));
                }
            },
        };
        secret.used_as(form).map_err(|problem| {
            let place = match &self.0 {
                Source::Environment(_) => format!("the environment variable {}", variable(name)),
                Source::Store { .. } | Source::Placeholders(_) => "Secrets Manager".to_owned(),
            };
            let hint = format!("put its value into {place} as whoever issued it shows it");
            (format!("the secret {name:?} cannot be used: {problem}"), hint)
        })?;
        Ok(secret.clone())
    }

    /// Whether there is a value of this name, whatever it is.
    pub fn is_set(&self, name: &str) -> bool {
        match &self.0 {
            Source::Environment(values) => values.contains_key(&key(name)),
            Source::Store { known, .. } => known.contains_key(name),
            Source::Placeholders(_) => false,
        }
    }
}

/// A value without the line break that editors and shells put at the end of a file: one, and nothing else.
fn without_line_break(name: &str, value: &str) -> Arc<str> {
    let Some(trimmed) = value.strip_suffix("\r\n").or_else(|| value.strip_suffix('\n')) else { return value.into() };
    // PEM ends like this, as it should.
    if !value.starts_with("-----BEGIN") {
        warn!(secret = name, "the secret ends in a line break, which is left out");
    }
    trimmed.into()
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

    /// Has this value for every name.
    struct Fixed(Mutex<String>);

    #[async_trait]
    impl SecretStore for Fixed {
        async fn fetch(&self, _: &str) -> Result<String, String> {
            Ok(self.0.lock().expect("free").clone())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_that_did_not_do_is_asked_for_anew_but_not_all_the_time() {
        let secrets = Secrets::from_store(Arc::new(Counting::default()), ["token".to_owned()]).await;
        let (secret, other) =
            (secrets.get("token", Form::Key).expect("token"), secrets.get("token", Form::Key).expect("token"));
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
        let (problem, _) = secrets.get("away", Form::Key).expect_err("away");
        assert_eq!(problem, "the secret \"away\" is not available: AccessDeniedException");
    }

    #[test]
    fn placeholders_remember_what_they_were_asked_for() {
        let secrets = Secrets::placeholders();
        assert!(secrets.get("b", Form::Header).is_ok() && secrets.clone().get("a", Form::Header).is_ok());
        assert_eq!(secrets.asked(), ["a".to_owned(), "b".to_owned()].into());
    }

    #[test]
    fn a_secret_is_found_under_the_name_of_its_variable() {
        assert_eq!(variable("sss-token"), "TOWPATH_SECRET_SSS_TOKEN");
        assert!(Secrets::of([("a.b".to_owned(), "x".to_owned())]).get("a-b", Form::Key).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn one_line_break_at_the_end_is_left_out_wherever_a_value_comes_from() {
        for (value, expected) in [
            ("token\n", "token"),
            ("token\r\n", "token"),
            ("token\n\n", "token\n"),
            ("token \n", "token "),
            ("to\nken", "to\nken"),
        ] {
            let of = Secrets::of([("token".to_owned(), value.to_owned())]);
            let store = Arc::new(Fixed(Mutex::new(value.to_owned())));
            let stored = Secrets::from_store(Arc::clone(&store) as Arc<dyn SecretStore>, ["token".to_owned()]).await;
            for secrets in [of, stored.clone()] {
                let secret = secrets.get("token", Form::Key).expect("token");
                assert_eq!(&*secret.expose(), expected, "{value:?}");
            }
            *store.0.lock().expect("free") = format!("new-{value}");
            let secret = stored.get("token", Form::Key).expect("token");
            assert!(secret.is_renewed(expected).await, "{value:?}");
            assert_eq!(*secret.expose(), format!("new-{expected}"), "{value:?}");
            *store.0.lock().expect("free") = format!("new-{expected}\n");
            tokio::time::advance(REFRESH_EVERY).await;
            let renewed = secret.is_renewed(&format!("new-{expected}")).await;
            assert!(!renewed, "{value:?}: with another line break it is the same");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_that_cannot_be_used_never_replaces_one_that_can() {
        let store = Arc::new(Fixed(Mutex::new("good".to_owned())));
        let secrets = Secrets::from_store(Arc::clone(&store) as Arc<dyn SecretStore>, ["token".to_owned()]).await;
        let secret = secrets.get("token", Form::Header).expect("token");
        for malformed in ["", "\n", "to\nken", "to\u{0}ken", " token"] {
            *store.0.lock().expect("free") = malformed.to_owned();
            tokio::time::advance(REFRESH_EVERY).await;
            assert!(!secret.is_renewed("good").await, "{malformed:?}");
            assert_eq!(&*secret.expose(), "good");
        }
    }

    #[test]
    fn a_value_that_cannot_be_used_is_told_by_the_name_of_its_secret_alone() {
        let secrets = Secrets::of([("sss-token".to_owned(), "planted\nvalue".to_owned())]);
        let (problem, hint) = secrets.get("sss-token", Form::Header).expect_err("a line break");
        assert_eq!(
            problem,
            "the secret \"sss-token\" cannot be used: it has a control character, such as a line break"
        );
        assert!(hint.contains("TOWPATH_SECRET_SSS_TOKEN") && !format!("{problem}{hint}").contains("planted"));
        let (problem, _) = Secrets::of([("a".to_owned(), "\n".to_owned())]).get("a", Form::Key).expect_err("empty");
        assert_eq!(problem, "the secret \"a\" cannot be used: it is empty");
    }
}
