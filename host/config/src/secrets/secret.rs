//! One secret, where its value is stored, and how it is refreshed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::form::Form;
use super::learned_store::LearnedStore;

/// The shortest interval between two refreshes of a secret, however often it is rejected.
pub(crate) const REFRESH_EVERY: Duration = Duration::from_secs(30);

/// The same for a secret that has not been learned yet: all of its webhooks are refused until it is found.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Where the values of secrets are stored and can change: Secrets Manager.
#[async_trait]
pub trait SecretStore: Send + Sync + 'static {
    /// The current value of this secret.
    async fn fetch(&self, name: &str) -> Result<String, NotFetched>;

    /// The same store for secrets that handshakes bring; `None` if it cannot be written.
    fn learned(self: Arc<Self>) -> Option<Arc<dyn LearnedStore>> {
        None
    }
}

/// Why a secret was not fetched.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotFetched {
    /// The store has no such secret.
    #[error("{0}")]
    Unknown(String),
    #[error("{0}")]
    Failed(String),
}

impl From<&str> for NotFetched {
    fn from(problem: &str) -> NotFetched {
        NotFetched::Failed(problem.to_owned())
    }
}

/// The value of a secret. Prints as `Secret(..)`. Clones share the value, so a refresh reaches all of them.
#[derive(Clone)]
pub struct Secret(Arc<Cell>);

struct Cell {
    value: RwLock<Arc<str>>,
    /// Its name in the store that it came from; `None` if it never changes.
    store: Option<(Arc<dyn SecretStore>, String)>,
    asked: tokio::sync::Mutex<Option<Instant>>,
    /// Whether the store said that there is none any more.
    is_gone: AtomicBool,
    /// Its uses: a new value must suit all of them.
    forms: Mutex<Vec<Form>>,
}

impl Secret {
    /// A value that never changes.
    pub fn new(value: impl Into<Arc<str>>) -> Secret {
        Secret::of(value.into(), None)
    }

    /// A value that is not available yet. It is empty, which proves nothing.
    pub(crate) fn absent() -> Secret {
        Secret::new("")
    }

    pub(super) fn of(value: Arc<str>, store: Option<(Arc<dyn SecretStore>, String)>) -> Secret {
        let value = RwLock::new(value);
        let asked = tokio::sync::Mutex::new(None);
        Secret(Arc::new(Cell { value, store, asked, is_gone: AtomicBool::new(false), forms: Mutex::default() }))
    }

    /// Whether it has a value. One that a handshake brings, or that is not available yet, has none: its value is then empty, and
    /// verifies nothing.
    pub fn is_learned(&self) -> bool {
        !self.expose().is_empty()
    }

    /// Replaces the value of all clones.
    pub(super) fn set(&self, value: Arc<str>) {
        *self.0.value.write() = value;
    }

    /// The value, for the code that sends or checks it.
    pub fn expose(&self) -> Arc<str> {
        Arc::clone(&self.0.value.read())
    }

    /// Whether this is its value, compared in constant time.
    pub fn is(&self, value: &[u8]) -> bool {
        let own = self.expose();
        !own.is_empty() && subtle::ConstantTimeEq::ct_eq(own.as_bytes(), value).into()
    }

    /// Records a use, or says why the value does not suit it.
    pub(super) fn used_as(&self, form: Form) -> Result<(), &'static str> {
        let mut forms = self.0.forms.lock();
        if !forms.contains(&form) {
            forms.push(form);
        }
        form.problem(&self.expose()).map_or(Ok(()), Err)
    }

    /// Its uses.
    pub(super) fn forms(&self) -> Vec<Form> {
        self.0.forms.lock().clone()
    }

    /// Why a new value cannot be used.
    pub(super) fn problem(&self, value: &str) -> Option<&'static str> {
        let forms = self.0.forms.lock();
        // An empty value suits no use.
        Form::Key.problem(value).or_else(|| forms.iter().find_map(|form| form.problem(value)))
    }

    /// Whether its store said, when it was last asked, that it has no such secret. Whoever was given the value keeps it.
    pub(super) fn is_gone(&self) -> bool {
        self.0.is_gone.load(Ordering::Relaxed)
    }

    /// Whether the secret now has another value than `seen`, which was rejected. Asks the store at most every 30 s, or every
    /// 5 s for a secret that has not been learned yet; a value without a store never changes. If a new value cannot be used,
    /// that is logged and the old one stays.
    pub async fn is_renewed(&self, seen: &str) -> bool {
        let Some((store, name)) = &self.0.store else { return false };
        let mut asked = self.0.asked.lock().await;
        // Another task may have refreshed it while this one waited.
        if *self.expose() != *seen {
            return true;
        }
        let every = if seen.is_empty() { LOOK_EVERY } else { REFRESH_EVERY };
        if asked.is_some_and(|asked| asked.elapsed() < every) {
            return false;
        }
        *asked = Some(Instant::now());
        let value = match store.fetch(name).await {
            Ok(value) => without_line_break(name, &value),
            Err(NotFetched::Unknown(_)) if seen.is_empty() => return false,
            Err(problem) => {
                self.0.is_gone.store(matches!(problem, NotFetched::Unknown(_)), Ordering::Relaxed);
                warn!(secret = name, %problem, "secret could not be refreshed, keeping its old value");
                return false;
            }
        };
        self.0.is_gone.store(false, Ordering::Relaxed);
        if *value == *seen {
            return false;
        }
        if let Some(problem) = self.problem(&value) {
            error!(secret = name, problem, "secret rotated to an unusable value, keeping its old value");
            return false;
        }
        info!(secret = name, "secret rotated, using its new value");
        self.set(value);
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

/// A secret as a route names it.
#[derive(Clone, Debug)]
pub struct NamedSecret {
    pub name: String,
    pub value: Secret,
}

/// The value without one final line break, which editors and shells add.
pub(super) fn without_line_break(name: &str, value: &str) -> Arc<str> {
    let Some(trimmed) = value.strip_suffix("\r\n").or_else(|| value.strip_suffix('\n')) else { return value.into() };
    // PEM ends with a line break.
    if !value.starts_with("-----BEGIN") {
        warn!(secret = name, "secret ends in a line break, which is ignored");
    }
    trimmed.into()
}

impl fmt::Debug for dyn SecretStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretStore")
    }
}
