//! Loads the plugins of a config concurrently, from folders and from the registry.

use std::collections::BTreeMap;
use std::fmt;

use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tracing::{error, info, warn};

use super::version::{LoadError, version};
use super::{Chosen, Reference, Registry, Watch};
use towpath_config::plugin::{Code, Settings};
use towpath_plugin::{Engine, Plugin, Plugins};
use towpath_types::clock::Clock;

/// The plugins that could not be loaded, by their names in the config, and why.
#[derive(Debug)]
pub struct Failures(pub Vec<(String, LoadError)>);

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("plugins could not be loaded:")?;
        self.0.iter().try_for_each(|(name, error)| write!(f, "\n  plugin.{name}: {}", error.in_words()))
    }
}

impl std::error::Error for Failures {}

/// The plugins of a config, as far as they could be loaded.
pub struct Opened {
    pub plugins: Plugins,
    /// Keeps the plugins of a registry up to date, and loads those of its plugins that are missing as soon as it can.
    pub watch: Option<Watch>,
    /// The plugins that are missing. Messages of their routes fail until they are loaded.
    pub failures: Failures,
}

/// What was loaded, with the registry versions by their names in the config.
#[derive(Default)]
struct Loaded {
    plugins: Vec<Plugin>,
    running: BTreeMap<String, Chosen>,
    failures: Vec<(String, LoadError)>,
}

/// Loads the plugins of a config and checks them against its targets. One that cannot be loaded does not stop the others.
pub async fn open(
    engine: &Engine,
    settings: &BTreeMap<String, Settings>,
    targets: Vec<String>,
    registry: Option<Registry>,
    clock: Clock,
) -> Opened {
    let Loaded { plugins, running, failures } = load(engine, settings.values(), &targets, registry.as_ref()).await;
    let plugins = Plugins::new(plugins);
    let watch = registry.map(|registry| {
        let settings = settings.values().cloned();
        Watch::new(registry, engine.clone(), plugins.clone(), targets, settings, running, clock)
    });
    Opened { plugins, watch, failures: Failures(failures) }
}

/// Loads plugins. If the current version of a registry plugin cannot be loaded, falls back to the last earlier one that
/// can. Optional plugins may be missing.
async fn load<'a>(
    engine: &Engine,
    plugins: impl IntoIterator<Item = &'a Settings>,
    targets: &[String],
    registry: Option<&Registry>,
) -> Loaded {
    // Loading is CPU-bound: more than one per core would only add threads.
    let cores = Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from));
    let cores = &cores;
    let loads = plugins.into_iter().map(|settings| async move {
        let loaded = match &settings.code {
            Code::Path(_) => at_path(engine, settings, targets, cores).await.map(|plugin| (plugin, None)),
            Code::Registry(reference) => newest(engine, settings, reference, targets, registry).await,
        };
        (settings, loaded)
    });
    let mut loaded = Loaded::default();
    for (settings, result) in join_all(loads).await {
        match result {
            Ok((plugin, chosen)) => {
                let digest = plugin.short_digest();
                let version = chosen.as_ref().map_or(plugin.description().version.as_str(), |c| c.version.as_str());
                info!(event = "plugin-loaded", plugin = settings.name, version, digest, "plugin loaded");
                loaded.running.extend(chosen.map(|chosen| (settings.name.clone(), chosen)));
                loaded.plugins.push(plugin);
            }
            Err(error) if settings.optional => {
                let problem = error.in_words();
                warn!(plugin = settings.name, problem, "candidate not loaded, its route runs without one");
            }
            Err(error) => loaded.failures.push((settings.name.clone(), error)),
        }
    }
    loaded
}

async fn newest(
    engine: &Engine,
    settings: &Settings,
    reference: &Reference,
    targets: &[String],
    registry: Option<&Registry>,
) -> Result<(Plugin, Option<Chosen>), LoadError> {
    let registry = registry.ok_or(LoadError::NoRegistry)?;
    let mut first = None;
    for chosen in registry.resolve(reference, settings.min_sequence).await? {
        match version(engine, settings, &chosen, targets, registry).await {
            Ok(plugin) => return Ok((plugin, Some(chosen))),
            Err(problem) if !registry.allows_fallback(&problem) => return Err(first.unwrap_or(problem)),
            Err(problem) => {
                let plugin = &settings.name;
                let version = chosen.version;
                error!(
                    event = "plugin-fallback",
                    plugin,
                    version,
                    problem = problem.in_words(),
                    "version cannot be loaded, falling back to the previous version"
                );
                first.get_or_insert(problem);
            }
        }
    }
    Err(first.unwrap_or(LoadError::NoRegistry))
}

async fn at_path(
    engine: &Engine,
    settings: &Settings,
    targets: &[String],
    cores: &Semaphore,
) -> Result<Plugin, LoadError> {
    let _core = cores.acquire().await;
    let engine = engine.clone();
    let settings = settings.clone();
    let plugin = tokio::task::spawn_blocking(move || Plugin::load(&engine, settings)).await;
    let plugin = plugin.map_err(|_| LoadError::Stopped)??;
    plugin.check_targets(targets.iter().map(String::as_str))?;
    Ok(plugin)
}
