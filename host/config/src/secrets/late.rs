//! Secrets of a store that are looked up while the host runs, each of them once.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::secret::{NotFetched, REFRESH_EVERY, Secret, SecretStore, without_line_break};

/// The most names that are remembered as unknown: strangers can make up any number.
const MOST_UNKNOWN: usize = 4096;

/// What was looked up.
#[derive(Debug)]
pub(super) struct Late {
    store: Arc<dyn SecretStore>,
    /// One lookup at a time, so that requests of one tenant cause one.
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    known: HashMap<String, Secret>,
    unknown: HashMap<String, Instant>,
}

impl Late {
    pub(super) fn new(store: Arc<dyn SecretStore>) -> Late {
        Late { store, seen: Mutex::default() }
    }

    /// The secret of this name, if the store has it; or why the store cannot tell.
    pub(super) async fn find(&self, name: &str) -> Result<Option<Secret>, String> {
        let mut seen = self.seen.lock().await;
        if let Some(secret) = seen.known.get(name) {
            return Ok(Some(secret.clone()));
        }
        if seen.unknown.get(name).is_some_and(|asked| asked.elapsed() < REFRESH_EVERY) {
            return Ok(None);
        }
        match self.store.fetch(name).await {
            Ok(value) => {
                let value = without_line_break(name, &value);
                let secret = Secret::of(value, Some((Arc::clone(&self.store), name.to_owned())));
                seen.unknown.remove(name);
                seen.known.insert(name.to_owned(), secret.clone());
                Ok(Some(secret))
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
}
