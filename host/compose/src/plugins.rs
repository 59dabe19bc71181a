//! The plugin engine of a process, and the loading of single plugins.

use anyhow::Context as _;
use towpath_config::env;
use towpath_config::plugin::Settings;
use towpath_plugin::{Cache, Engine, LoadError, Plugin};
use tracing::{debug, warn};

/// Slots for calls other than those of messages: a plugin is called once when it is loaded.
const SPARE_SLOTS: usize = 8;

/// Loads one plugin from its path and checks that the targets it names exist.
pub fn load_plugin<'a>(
    engine: &Engine,
    settings: Settings,
    targets: impl Iterator<Item = &'a String> + Clone,
) -> Result<Plugin, LoadError> {
    let plugin = Plugin::load(engine, settings)?;
    plugin.check_targets(targets.map(String::as_str))?;
    Ok(plugin)
}

/// A new plugin engine for `concurrency` calls at a time, with spare slots for loading plugins. It caches compiled plugins in the user's
/// cache folder, unless others can write there.
pub fn engine(concurrency: usize) -> anyhow::Result<Engine> {
    let engine = Engine::with_slots(concurrency + SPARE_SLOTS)
        .map_err(|error| anyhow::anyhow!("{error:#}"))
        .context("starting the plugin engine")?;
    let (Some(cache), Some(state)) = (env::cache_folder(), env::state_folder()) else {
        debug!("compiled plugins are not cached: this user has no home directory");
        return Ok(engine);
    };
    match Cache::open(&cache.join("towpath/compiled"), &state.join("towpath/compiled.key")) {
        Ok(cache) => Ok(engine.with_cache(cache)),
        Err(error) => {
            warn!(problem = format!("{:#}", anyhow::Error::new(error)), "compiled plugins are not cached");
            Ok(engine)
        }
    }
}
