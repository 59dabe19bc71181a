//! Public keys from elsewhere, and calls that confirm handshakes: few requests, to listed hosts, behind the network guard.

mod cache;
mod exchange;

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;
use towpath_types::clock::Clock;
use towpath_verify::fetched::{Key, KeySource, Unavailable, Wanted};
use tracing::{debug, warn};

use cache::{Cache, Next, Wait};
pub use exchange::CallError;
use exchange::Web;

/// What is asked of senders: their keys, and calls that confirm handshakes.
#[async_trait]
pub trait Outbound: KeySource {
    /// Sends the request that confirms a handshake. The URL must be one that the config allows.
    async fn call(&self, method: http::Method, url: url::Url, allow_private: bool) -> Result<(), CallError>;
}

/// Fetches keys and keeps them. One for each process: clones share everything.
#[derive(Clone)]
pub struct Remote(Arc<Shared>);

struct Shared {
    web: Web,
    cache: Mutex<Cache>,
    clock: Clock,
    /// Fetches go on when the webhook that began one is no longer waited for: the next one finds the key.
    fetches: TaskTracker,
}

impl Remote {
    pub fn new(clock: Clock) -> Remote {
        let cache = Mutex::new(Cache::default());
        Remote(Arc::new(Shared { web: Web::default(), cache, clock, fetches: TaskTracker::new() }))
    }

    /// Fetches a document in a task of its own.
    fn fetch(&self, wanted: Wanted, done: watch::Sender<()>) {
        let shared = Arc::clone(&self.0);
        self.0.fetches.spawn(async move {
            let asked_at = shared.clock.now();
            let got = shared.web.document(&wanted).await;
            let host = wanted.url.host_str().unwrap_or_default();
            match &got {
                Ok(exchange::Got::Keys { keys, .. }) => {
                    debug!(event = "keys-fetched", host, keys = keys.len(), "keys fetched");
                }
                Ok(exchange::Got::NoSuchKey | exchange::Got::PerhapsNoSuchKey) => {
                    debug!(event = "key-unknown", host, "no such key there")
                }
                Err(why) => warn!(event = "keys-unavailable", host, error = why, "keys could not be fetched"),
            }
            shared.cache.lock().put(&wanted, asked_at, Instant::now(), got);
            drop(done);
        });
    }
}

impl Default for Remote {
    fn default() -> Remote {
        Remote::new(Clock::wall())
    }
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").finish_non_exhaustive()
    }
}

#[async_trait]
impl KeySource for Remote {
    async fn keys(&self, wanted: &Wanted) -> Result<Arc<[Key]>, Unavailable> {
        loop {
            // Single flight: a request that arrives while a document is being fetched waits for it.
            let wait = match self.0.cache.lock().next(wanted, Instant::now()) {
                Next::Answer(answer) => return answer,
                Next::Join(wait) => wait,
                Next::Fetch(wait, done) => {
                    self.fetch(wanted.clone(), done);
                    wait
                }
            };
            let Wait { mut done, meanwhile } = wait;
            match meanwhile {
                Some((keys, from)) => {
                    if timeout_at(from, done.changed()).await.is_err() {
                        // The fetch goes on: the next webhook finds what it brings.
                        return Ok(keys);
                    }
                }
                // It ends with the sender.
                None => drop(done.changed().await),
            }
        }
    }
}

#[async_trait]
impl Outbound for Remote {
    async fn call(&self, method: http::Method, url: url::Url, allow_private: bool) -> Result<(), CallError> {
        self.0.web.call(method, url, allow_private).await
    }
}

#[cfg(test)]
mod tests;
