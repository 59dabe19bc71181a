//! A function whose secrets are not all available: it runs with those that are, and is made again when more have come.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;
use tokio::time::timeout;
use towpath_config::Config;
use towpath_types::clock::{Clock, Moment};
use tracing::{error, info, warn};

use crate::config::LoadError;

/// The shortest interval between two looks for missing secrets. What needs them asks its senders to try again meanwhile.
const EVERY: Duration = Duration::from_secs(5);

/// How long an invocation waits for a look that it began. A longer one goes on during the next invocations.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is made from a config, such as a host.
pub struct Waiting<T> {
    state: Mutex<State<T>>,
    replaced: Notify,
    clock: Clock,
}

struct State<T> {
    made: Arc<T>,
    /// What cannot work yet, and why.
    unready: BTreeMap<String, String>,
    /// The end of the last look.
    looked: Moment,
    /// The look that is under way, if any.
    looks: JoinSet<Looked<T>>,
}

/// What is made anew, with what cannot work in it; `None` if that is no better.
type Looked<T> = Result<Option<(T, BTreeMap<String, String>)>, String>;

impl<T: Send + Sync + 'static> Waiting<T> {
    /// What was made from a config in which this cannot work yet.
    pub fn new(made: T, unready: BTreeMap<String, String>, clock: Clock) -> Waiting<T> {
        for (what, problem) in &unready {
            error!(event = "secret-missing", what, problem, "started without a secret, what needs it waits");
        }
        let state = State { made: Arc::new(made), unready, looked: clock.moment(), looks: JoinSet::new() };
        Waiting { state: Mutex::new(state), replaced: Notify::new(), clock }
    }

    /// What is there now.
    pub async fn get(&self) -> Arc<T> {
        Arc::clone(&self.state.lock().await.made)
    }

    /// What cannot work yet, and why.
    pub async fn unready(&self) -> BTreeMap<String, String> {
        self.state.lock().await.unready.clone()
    }

    /// Returns after it was replaced.
    pub async fn replaced(&self) {
        self.replaced.notified().await;
    }

    /// What is there, made again if more secrets have come. It is replaced only if some of what was missing has come and
    /// nothing else is missing instead.
    pub async fn current<L, M, E>(
        &self,
        load: impl FnOnce() -> L + Send + 'static,
        make: impl FnOnce(Config, Arc<T>) -> M + Send + 'static,
    ) -> Arc<T>
    where
        L: Future<Output = Result<Config, LoadError>> + Send + 'static,
        M: Future<Output = Result<T, E>> + Send + 'static,
        E: Display,
    {
        let mut state = self.state.lock().await;
        let mut patience = Duration::ZERO;
        if state.looks.is_empty() && !state.unready.is_empty() && state.looked.elapsed() >= EVERY {
            let (unready, made) = (state.unready.clone(), Arc::clone(&state.made));
            state
                .looks
                .spawn(async move { again(&unready, load().await, async |config| make(config, made).await).await });
            patience = PATIENCE;
        }
        if let Ok(Some(ended)) = timeout(patience, state.looks.join_next()).await {
            state.looked = self.clock.moment();
            self.take(&mut state, ended.unwrap_or_else(|error| Err(error.to_string())));
        }
        Arc::clone(&state.made)
    }

    fn take(&self, state: &mut State<T>, looked: Looked<T>) {
        match looked {
            Ok(None) => {}
            Ok(Some((made, unready))) => {
                let still_missing = unready.len();
                info!(event = "secrets-arrived", still_missing, "more secrets are available, using them");
                state.made = Arc::new(made);
                state.unready = unready;
                self.replaced.notify_one();
            }
            Err(problem) => warn!(event = "secret-missing", problem, "look for missing secrets failed"),
        }
    }
}

/// What a config makes now, if less of it waits for secrets than before, and nothing that did not.
async fn again<T, E: Display>(
    before: &BTreeMap<String, String>,
    config: Result<Config, LoadError>,
    make: impl AsyncFnOnce(Config) -> Result<T, E>,
) -> Looked<T> {
    let config = config.map_err(|error| error.to_string())?;
    let unready = config.unready();
    if unready.len() >= before.len() || unready.keys().any(|what| !before.contains_key(what)) {
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
        let current = async |ahead: Duration| {
            AHEAD.fetch_add(ahead.as_millis() as u64, Ordering::SeqCst);
            let store = Arc::clone(&store);
            let made = async |config: Config, _| Ok::<_, String>(ready(&config));
            waiting.current(move || async move { load(&store).await }, made).await
        };
        assert!(current(EVERY).await.is_empty());
        store.0.lock().push("erp");
        assert_eq!(*current(EVERY).await, ["erp"]);
        waiting.replaced().await;
        store.0.lock().push("crm");
        assert_eq!(*current(Duration::ZERO).await, ["erp"], "the store is not asked at every invocation");
        assert_eq!(*current(EVERY).await, ["crm", "erp"]);
    }

    #[tokio::test]
    async fn what_works_stays_if_it_cannot_be_made_again() {
        let store = Arc::new(Store::default());
        store.0.lock().push("erp");
        let config = load(&store).await.expect("a config");
        let waiting = Waiting::new(ready(&config), config.unready(), Clock::wall().shifted(&AHEAD));
        store.0.lock().push("crm");
        AHEAD.fetch_add(EVERY.as_millis() as u64, Ordering::SeqCst);
        let asked = Arc::clone(&store);
        let none = async |_, _| Err::<Vec<String>, _>("no plugin engine");
        let kept = waiting.current(move || async move { load(&asked).await }, none).await;
        assert_eq!(*kept, ["erp"]);
    }

    #[tokio::test]
    async fn what_works_is_not_given_up_for_a_secret_that_comes_while_another_one_goes() {
        let store = Arc::new(Store::default());
        store.0.lock().push("erp");
        let config = load(&store).await.expect("a config");
        let waiting = Waiting::new(ready(&config), config.unready(), Clock::wall().shifted(&AHEAD));
        *store.0.lock() = vec!["crm"];
        AHEAD.fetch_add(EVERY.as_millis() as u64, Ordering::SeqCst);
        let asked = Arc::clone(&store);
        let made = async |config: Config, _| Ok::<_, String>(ready(&config));
        assert_eq!(*waiting.current(move || async move { load(&asked).await }, made).await, ["erp"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_invocation_does_not_wait_for_a_host_that_takes_long_to_make() {
        let store = Arc::new(Store::default());
        let config = load(&store).await.expect("a config");
        let waiting = Waiting::new(ready(&config), config.unready(), Clock::wall().shifted(&AHEAD));
        *store.0.lock() = vec!["crm", "erp"];
        AHEAD.fetch_add(EVERY.as_millis() as u64, Ordering::SeqCst);
        let current = async || {
            let store = Arc::clone(&store);
            let made = async |config: Config, _| {
                tokio::time::sleep(Duration::from_secs(60)).await;
                Ok::<_, String>(ready(&config))
            };
            waiting.current(move || async move { load(&store).await }, made).await
        };
        assert!(current().await.is_empty());
        assert!(current().await.is_empty());
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(*current().await, ["crm", "erp"], "it was made meanwhile");
    }
}
