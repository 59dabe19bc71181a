//! Secrets of a store that are looked up while the host runs, each of them once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::secret::{NotFetched, REFRESH_EVERY, Secret, SecretStore, without_line_break};

/// The most names that are remembered as unknown: strangers can make up any number.
const MOST_UNKNOWN: usize = 4096;

/// How often a secret that is in use is looked up again, so that one that was deleted or rotated does not count any more.
pub(crate) const CHECK_EVERY: Duration = Duration::from_secs(5 * 60);

/// The most lookups at once. Strangers can cause any number, and those whose secrets are known do not wait for them.
const AT_ONCE: usize = 8;

/// What was looked up.
#[derive(Debug)]
pub(super) struct Late {
    store: Arc<dyn SecretStore>,
    seen: Mutex<Seen>,
    lookups: Arc<tokio::sync::Semaphore>,
    /// Lookups that nobody waits for.
    checks: TaskTracker,
}

#[derive(Debug, Default)]
struct Seen {
    known: HashMap<String, Known>,
    unknown: HashMap<String, Instant>,
}

#[derive(Debug)]
struct Known {
    secret: Secret,
    /// When it was last looked up.
    checked: Instant,
}

impl Late {
    pub(super) fn new(store: Arc<dyn SecretStore>) -> Late {
        let lookups = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
        Late { store, seen: Mutex::default(), lookups, checks: TaskTracker::new() }
    }

    pub(super) fn store(&self) -> Arc<dyn SecretStore> {
        Arc::clone(&self.store)
    }

    /// The secret of this name, if the store has it; or why the store cannot tell.
    pub(super) async fn find(&self, name: &str) -> Result<Option<Secret>, String> {
        if let Some(seen) = self.seen(name) {
            return Ok(seen);
        }
        let _permit = self.lookups.acquire().await;
        // Another request of this tenant may have asked meanwhile.
        if let Some(seen) = self.seen(name) {
            return Ok(seen);
        }
        let fetched = self.store.fetch(name).await;
        let mut seen = self.seen.lock();
        match fetched {
            Ok(value) => {
                let known = || Known {
                    secret: Secret::of(
                        without_line_break(name, &value),
                        Some((Arc::clone(&self.store), name.to_owned())),
                    ),
                    checked: Instant::now(),
                };
                seen.unknown.remove(name);
                // If two requests fetched it at once, both use the same cell, which a refresh updates.
                Ok(Some(seen.known.entry(name.to_owned()).or_insert_with(known).secret.clone()))
            }
            Err(NotFetched::Unknown(_)) => {
                seen.forget(name);
                Ok(None)
            }
            Err(NotFetched::Failed(problem)) => Err(problem),
        }
    }

    fn seen(&self, name: &str) -> Option<Option<Secret>> {
        let mut seen = self.seen.lock();
        if seen.known.get(name).is_some_and(|known| known.secret.is_gone()) {
            warn!(secret = name, "secret of a tenant is gone, and no longer accepted");
            seen.forget(name);
        }
        if let Some(known) = seen.known.get_mut(name) {
            if known.checked.elapsed() >= CHECK_EVERY {
                known.checked = Instant::now();
                self.check(known.secret.clone());
            }
            return Some(Some(known.secret.clone()));
        }
        let is_unknown = seen.unknown.get(name).is_some_and(|asked| asked.elapsed() < REFRESH_EVERY);
        is_unknown.then_some(None)
    }

    /// Looks a known secret up again. Nobody waits for it: a store that hangs must not stop the tenants that are known.
    fn check(&self, secret: Secret) {
        let lookups = Arc::clone(&self.lookups);
        self.checks.spawn(async move {
            let _permit = lookups.acquire().await;
            secret.is_renewed(&secret.expose()).await;
        });
    }
}

impl Seen {
    /// Remembers for a while that there is no such secret.
    fn forget(&mut self, name: &str) {
        self.known.remove(name);
        if self.unknown.len() >= MOST_UNKNOWN {
            self.unknown.clear();
        }
        self.unknown.insert(name.to_owned(), Instant::now());
    }
}
