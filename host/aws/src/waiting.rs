//! A function whose secrets are not all available: it runs with those that are, and is made again when more have come.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio::time::timeout;
use towpath_config::Config;
use towpath_types::clock::{Clock, Moment};
use tracing::{error, info, warn};

use crate::config::LoadError;

/// The shortest interval between two looks for missing secrets. What needs them asks its senders to try again meanwhile.
const EVERY: Duration = Duration::from_secs(5);

/// How long an invocation waits for a look before it continues with what is there.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is made from a config, such as a host.
pub struct Waiting<T> {
    state: Mutex<State<T>>,
    replaced: Notify,
    clock: Clock,
}

struct State<T> {
    made: Arc<T>,
    /// What cannot work yet, and why.
    unready: Vec<String>,
    looked: Moment,
}

impl<T> Waiting<T> {
    /// What was made from a config in which this cannot work yet.
    pub fn new(made: T, unready: Vec<String>, clock: Clock) -> Waiting<T> {
        for problem in &unready {
            error!(event = "secret-missing", problem, "started without a secret, what needs it waits");
        }
        let state = State { made: Arc::new(made), unready, looked: clock.moment() };
        Waiting { state: Mutex::new(state), replaced: Notify::new(), clock }
    }

    /// What is there now.
    pub async fn get(&self) -> Arc<T> {
        Arc::clone(&self.state.lock().await.made)
    }

    /// What cannot work yet, and why.
    pub async fn unready(&self) -> Vec<String> {
        self.state.lock().await.unready.clone()
    }

    /// Returns after it was replaced.
    pub async fn replaced(&self) {
        self.replaced.notified().await;
    }

    /// What is there, made again if more secrets have come. Nothing that worked stops if that fails.
    pub async fn current<E: Display>(
        &self,
        load: impl AsyncFnOnce() -> Result<Config, LoadError>,
        make: impl AsyncFnOnce(Config) -> Result<T, E>,
    ) -> Arc<T> {
        let mut state = self.state.lock().await;
        if !state.unready.is_empty() && state.looked.elapsed() >= EVERY {
            // A look that fails or is cancelled is not repeated at once.
            state.looked = self.clock.moment();
            let looked = timeout(PATIENCE, look(&state.unready, load, make)).await;
            match looked.unwrap_or_else(|_| Err("it took longer than 5 s".to_owned())) {
                Ok(None) => {}
                Ok(Some((made, unready))) => {
                    info!(
                        event = "secrets-arrived",
                        still_missing = unready.len(),
                        "more secrets are available, using them"
                    );
                    state.made = Arc::new(made);
                    state.unready = unready;
                    self.replaced.notify_one();
                }
                Err(problem) => warn!(event = "secret-missing", problem, "look for missing secrets failed"),
            }
        }
        Arc::clone(&state.made)
    }
}

/// What a config makes now, if less of it waits for secrets than before.
async fn look<T, E: Display>(
    before: &[String],
    load: impl AsyncFnOnce() -> Result<Config, LoadError>,
    make: impl AsyncFnOnce(Config) -> Result<T, E>,
) -> Result<Option<(T, Vec<String>)>, String> {
    let config = load().await.map_err(|error| error.to_string())?;
    let unready = config.unready();
    if unready.len() >= before.len() {
        return Ok(None);
    }
    let made = make(config).await.map_err(|error| format!("{error:#}"))?;
    Ok(Some((made, unready)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicU64, Ordering};

    use async_trait::async_trait;
    use parking_lot::Mutex as Known;
    use towpath_config::{NotFetched, SecretStore, Secrets};

    use super::*;

    const TWO_ROUTES: &str = r#"
        [queue]
        url = "https://sqs.eu-west-1.amazonaws.com/123456789012/events.fifo"
        dead_letter_url = "https://sqs.eu-west-1.amazonaws.com/123456789012/dead.fifo"
        [secrets]
        prefix = "towpath/"
        [[route]]
        path = "crm"
        group = "crm/{json:/k}"
        target = "sss"
        verify = { scheme = "github", secret = "crm" }
        [[route]]
        path = "erp"
        group = "erp/{json:/k}"
        target = "sss"
        verify = { scheme = "github", secret = "erp" }
        [target.sss]
        url = "https://sss.example"
    "#;

    static AHEAD: AtomicU64 = AtomicU64::new(0);

    #[derive(Default)]
    struct Store(Known<Vec<&'static str>>);

    #[async_trait]
    impl SecretStore for Store {
        async fn fetch(&self, name: &str) -> Result<String, NotFetched> {
            let is_there = self.0.lock().contains(&name);
            is_there
                .then(|| "5257a869e7ecebeda32affa62cdca3fa".to_owned())
                .ok_or_else(|| NotFetched::Unknown("none".to_owned()))
        }
    }

    async fn load(store: &Arc<Store>) -> Result<Config, LoadError> {
        let names = ["crm", "erp"].map(str::to_owned);
        let secrets = Secrets::from_store(Arc::clone(store) as Arc<dyn SecretStore>, names).await.that_may_come();
        Ok(Config::parse(TWO_ROUTES, Path::new("towpath.toml"), &secrets)?)
    }

    fn ready(config: &Config) -> Vec<String> {
        config.routes.iter().filter(|route| route.unready.is_none()).map(|route| route.path.clone()).collect()
    }

    #[tokio::test]
    async fn a_route_works_as_soon_as_its_own_secret_is_there() {
        let store = Arc::new(Store::default());
        let clock = Clock::wall().shifted(&AHEAD);
        let config = load(&store).await.expect("a config");
        let waiting = Waiting::new(ready(&config), config.unready(), clock);
        let current = async || {
            AHEAD.fetch_add(EVERY.as_millis() as u64, Ordering::SeqCst);
            let made = async |config: Config| Ok::<_, String>(ready(&config));
            waiting.current(async || load(&store).await, made).await
        };
        assert!(current().await.is_empty());
        store.0.lock().push("erp");
        assert_eq!(*current().await, ["erp"]);
        waiting.replaced().await;
        store.0.lock().push("crm");
        let within_five_seconds =
            waiting.current(async || load(&store).await, async |c| Ok::<_, String>(ready(&c))).await;
        assert_eq!(*within_five_seconds, ["erp"], "the store is not asked at every invocation");
        assert_eq!(*current().await, ["crm", "erp"]);
    }

    #[tokio::test]
    async fn what_works_stays_if_it_cannot_be_made_again() {
        let store = Arc::new(Store::default());
        store.0.lock().push("erp");
        let config = load(&store).await.expect("a config");
        let waiting = Waiting::new(ready(&config), config.unready(), Clock::wall().shifted(&AHEAD));
        store.0.lock().push("crm");
        AHEAD.fetch_add(EVERY.as_millis() as u64, Ordering::SeqCst);
        let kept = waiting.current(async || load(&store).await, async |_| Err("no plugin engine")).await;
        assert_eq!(*kept, ["erp"]);
    }
}
