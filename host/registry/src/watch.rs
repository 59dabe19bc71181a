//! Picks up new versions while messages flow. If one cannot be loaded, the last good version keeps running.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use tracing::{debug, error, info, warn};

use super::version::{LoadError, version};
use super::{Chosen, Registry, RegistryError};
use towpath_config::plugin::{Code, Settings};
use towpath_plugin::{Engine, Plugins};
use towpath_types::clock::{Clock, Moment};

/// How often pointers are checked. A new version runs after at most this long, plus the time to load it.
const EVERY: Duration = Duration::from_secs(15);

/// How long a driver waits for a check before it continues with the loaded plugins.
const PATIENCE: Duration = Duration::from_secs(5);

/// The plugins of a registry, kept up to date.
pub struct Watch {
    registry: Registry,
    engine: Engine,
    plugins: Plugins,
    targets: Vec<String>,
    watched: Vec<Settings>,
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    /// The last check, by both clocks: a function is frozen between invocations.
    looked: Moment,
    /// The running versions, by names in the config.
    running: BTreeMap<String, Chosen>,
    /// Versions that could not be loaded, by names in the config: each is logged as an error once.
    failed: BTreeMap<String, Chosen>,
}

impl Watch {
    /// Watches those plugins that come from a registry, starting from the loaded versions.
    pub(super) fn new(
        registry: Registry,
        engine: Engine,
        plugins: Plugins,
        targets: Vec<String>,
        settings: impl IntoIterator<Item = Settings>,
        running: BTreeMap<String, Chosen>,
        clock: Clock,
    ) -> Watch {
        let watched = settings.into_iter().filter(|settings| matches!(settings.code, Code::Registry(_))).collect();
        let looked = clock.moment();
        let state = Mutex::new(State { looked, running, failed: BTreeMap::new() });
        Watch { registry, engine, plugins, targets, watched, clock, state }
    }

    /// Checks every 15 s until it is dropped.
    pub async fn run(&self) -> Infallible {
        loop {
            sleep(EVERY).await;
            self.look(EVERY / 2).await;
        }
    }

    /// Checks now, unless the last check was less than 15 s ago. For drivers that may have been frozen. After 5 s the
    /// check is abandoned and the loaded plugins are used.
    pub async fn look_if_due(&self) {
        if timeout(PATIENCE, self.look(EVERY)).await.is_err() {
            warn!(
                registry = self.registry.place(),
                "check for new versions abandoned after 5 s, using the loaded plugins"
            );
        }
    }

    /// Checks, unless the last check was within `recent`.
    async fn look(&self, recent: Duration) {
        let mut state = self.state.lock().await;
        if state.looked.elapsed() < recent {
            return;
        }
        // A check that fails or is cancelled is not repeated at once.
        state.looked = self.clock.moment();
        let running = &state.running;
        let looks = self.watched.iter().map(|settings| async move { (settings, self.newer(settings, running).await) });
        for (settings, found) in join_all(looks).await {
            let name = &settings.name;
            match found {
                Ok(None) => {}
                Ok(Some((chosen, Ok(plugin)))) => {
                    let digest = plugin.short_digest().to_owned();
                    self.plugins.replace(*plugin);
                    let version = &chosen.version;
                    if state.running.contains_key(name) {
                        info!(event = "plugin-swapped", plugin = name, version, digest, "plugin swapped");
                    } else {
                        info!(event = "plugin-loaded", plugin = name, version, digest, "plugin loaded");
                    }
                    state.failed.remove(name);
                    state.running.insert(name.clone(), chosen);
                }
                Ok(Some((chosen, Err(problem)))) => {
                    let running = state.running.get(name).map(|running| running.version.as_str());
                    let version = &chosen.version;
                    let told = state.failed.get(name) == Some(&chosen);
                    let problem = problem.in_words();
                    match running {
                        _ if told => debug!(plugin = name, version, problem, "the new version still cannot be loaded"),
                        Some(running) => error!(
                            event = "plugin-load-failed",
                            plugin = name,
                            version,
                            running,
                            problem,
                            "the new version cannot be loaded, the last good one keeps running"
                        ),
                        None => error!(
                            event = "plugin-missing",
                            plugin = name,
                            version,
                            problem,
                            "plugin cannot be loaded, messages of its routes wait"
                        ),
                    }
                    state.failed.insert(name.clone(), chosen);
                }
                // A candidate that was never published.
                Err(RegistryError::Missing { .. }) if settings.optional => {}
                Err(problem) if problem.is_suspicious() => {
                    error!(plugin = name, problem = %problem, "pointer rejected, nothing is loaded by it");
                }
                Err(problem) if !state.running.contains_key(name) => {
                    warn!(event = "plugin-missing", plugin = name, problem = %problem, "plugin cannot be loaded, messages of its routes wait");
                }
                Err(problem) => {
                    warn!(plugin = name, problem = %problem, "check for a new version failed, the last good one keeps running");
                }
            }
        }
    }

    /// The version that a plugin should run, loaded, if it differs from the running one.
    async fn newer(
        &self,
        settings: &Settings,
        running: &BTreeMap<String, Chosen>,
    ) -> Result<Option<Newer>, RegistryError> {
        let Code::Registry(reference) = &settings.code else { return Ok(None) };
        let Some(chosen) = self.registry.resolve(reference, settings.min_sequence).await?.into_iter().next() else {
            return Ok(None);
        };
        if running.get(&settings.name) == Some(&chosen) {
            return Ok(None);
        }
        let loaded = version(&self.engine, settings, &chosen, &self.targets, &self.registry).await;
        Ok(Some((chosen, loaded.map(Box::new))))
    }
}

type Newer = (Chosen, Result<Box<towpath_plugin::Plugin>, LoadError>);
