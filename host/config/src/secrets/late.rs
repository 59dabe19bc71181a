//! Secrets of a store that are looked up while the host runs, each of them once.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::secret::{NotFetched, REFRESH_EVERY, Secret, SecretStore, without_line_break};

/// The most names that are remembered as unknown: strangers can make up any number.
const MOST_UNKNOWN: usize = 4096;

/// The most lookups at once. Strangers can cause any number, and those whose secrets are known do not wait for them.
const AT_ONCE: usize = 8;

/// What was looked up.
#[derive(Debug)]
pub(super) struct Late {
    store: Arc<dyn SecretStore>,
    seen: Mutex<Seen>,
    lookups: tokio::sync::Semaphore,
}

#[derive(Debug, Default)]
struct Seen {
    known: HashMap<String, Secret>,
    unknown: HashMap<String, Instant>,
}

impl Late {
    pub(super) fn new(store: Arc<dyn SecretStore>) -> Late {
        Late { store, seen: Mutex::default(), lookups: tokio::sync::Semaphore::new(AT_ONCE) }
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
                let secret =
                    || Secret::of(without_line_break(name, &value), Some((Arc::clone(&self.store), name.to_owned())));
                seen.unknown.remove(name);
                // If two requests fetched it at once, both use the same cell, which a refresh updates.
                Ok(Some(seen.known.entry(name.to_owned()).or_insert_with(secret).clone()))
            }
            Err(NotFetched::Unknown(_)) => {
                if seen.unknown.len() >= MOST_UNKNOWN {
                    seen.unknown.clear();
                }
                seen.unknown.insert(name.to_owned(), Instant::now());
                Ok(None)
            }
            Err(NotFetched::Failed(problem)) => Err(problem),
        }
    }

    fn seen(&self, name: &str) -> Option<Option<Secret>> {
        let seen = self.seen.lock();
        let is_unknown = seen.unknown.get(name).is_some_and(|asked| asked.elapsed() < REFRESH_EVERY);
        seen.known.get(name).cloned().map(Some).or(is_unknown.then_some(None))
    }
}
