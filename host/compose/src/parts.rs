//! The parts of every host, whatever its queue.

use std::sync::Arc;

use anyhow::Context as _;
use towpath_config::Config;
use towpath_config::plugin::Code;
use towpath_config::route::Routes;
use towpath_deliver::Deliverer;
use towpath_deliver::holds::Watched;
use towpath_engine::pipeline::Pipeline;
use towpath_keys::Remote;
use towpath_plugin::{Engine, Plugins};
use towpath_registry::{Failures, Opened, Sequences, Watch};
use towpath_types::clock::Clock;
use towpath_types::json::Pointer;
use towpath_types::queue::Queue;
use towpath_verify::note_keys::NoteKeys;
use tracing::error;

use crate::aws;
use crate::registry::registry;

/// Loads the plugins of a config for these targets, from folders and from its registry, as far as they can be loaded.
pub async fn load_plugins(
    engine: &Engine,
    config: &Config,
    targets: Vec<String>,
    sequences: Option<Sequences>,
    clock: Clock,
) -> anyhow::Result<Opened> {
    let registry = match &config.registry {
        Some(at) => Some(registry(at).await?.remembering(sequences.unwrap_or_default())),
        None => None,
    };
    Ok(towpath_registry::open(engine, &config.plugins, targets, registry, clock).await)
}

/// The parts of every host.
pub struct Parts {
    /// The plugin engine.
    pub engine: Engine,
    /// The routes of the config.
    pub routes: Routes,
    /// The keys that prove operators' notes.
    pub note_keys: NoteKeys,
    /// Where the public keys of senders come from.
    pub remote: Remote,
    plugins: Plugins,
    watch: Option<Watch>,
    deliverer: Deliverer,
    redact: Vec<Pointer>,
    clock: Clock,
}

impl Parts {
    /// Loads the plugins into this engine and prepares delivery. `sequences` remembers the registry's pointers that were seen.
    pub async fn new(
        engine: Engine,
        config: Config,
        sequences: Option<Sequences>,
        holds: Option<Watched>,
        clock: Clock,
    ) -> anyhow::Result<Parts> {
        let targets = config.targets.keys().cloned().collect();
        let Opened { plugins, watch, failures } = load_plugins(&engine, &config, targets, sequences, clock).await?;
        wait_for_registry(&config, failures)?;
        let mut deliverer = Deliverer::new(config.targets, holds, clock).context("preparing delivery")?;
        if deliverer.needs_aws_credentials() {
            deliverer = deliverer.sign_with(aws::credentials().await?);
        }
        let note_keys = NoteKeys::new(config.note_keys);
        let remote = Remote::new(clock);
        let redact = config.archive.redact;
        Ok(Parts { engine, routes: config.routes, note_keys, remote, plugins, watch, deliverer, redact, clock })
    }

    /// The pipeline over a queue of this name, and the watch for new versions if plugins come from a registry.
    pub fn pipeline(self, dead_letters: Arc<dyn Queue>, source: String) -> (Pipeline, Option<Watch>) {
        let mut pipeline = Pipeline::new(self.routes, self.plugins, self.deliverer, dead_letters, source, self.clock);
        pipeline.note_keys = self.note_keys;
        pipeline.key_source = Arc::new(self.remote);
        pipeline.redact = self.redact;
        (pipeline, self.watch)
    }
}

/// A plugin of the registry that cannot be loaded stops nothing: it may be published later, or its next version may be sound. The messages of
/// its routes wait, and all others are processed. A path is part of the config, so what is wrong there is fixed before the start.
fn wait_for_registry(config: &Config, failures: Failures) -> Result<(), Failures> {
    let at_path = |name: &str| config.plugins.get(name).is_some_and(|plugin| matches!(plugin.code, Code::Path(_)));
    let (fatal, missing): (Vec<_>, Vec<_>) = failures.0.into_iter().partition(|(name, _)| at_path(name));
    if !fatal.is_empty() {
        return Err(Failures(fatal));
    }
    for (plugin, problem) in missing {
        error!(
            event = "plugin-missing",
            plugin,
            problem = problem.in_words(),
            "plugin cannot be loaded, messages of its routes wait until the registry has a version that can"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use towpath_config::Secrets;
    use towpath_runtime::time::wall_clock;

    use super::*;

    const ROUTE: &str = "[[route]]\npath = \"crm\"\ngroup = \"crm/{json:/k}\"\nplugin = \"crm\"\n[target.sss]\nurl = \"https://sss.example\"\n";

    async fn parts(folder: &Path, plugin: &str) -> anyhow::Result<Parts> {
        let file = folder.join("towpath.toml");
        let config = Config::parse(&format!("{plugin}\n{ROUTE}"), &file, &Secrets::of([])).expect("config");
        let engine = Engine::new().expect("engine");
        Parts::new(engine, config, None, None, wall_clock()).await
    }

    #[tokio::test]
    async fn a_host_starts_before_its_plugins_are_published_but_not_on_a_path_without_a_plugin() {
        let folder = tempfile::TempDir::new().expect("folder");
        std::fs::create_dir(folder.path().join("registry")).expect("registry");
        let unpublished = parts(folder.path(), "[registry]\nurl = \"registry\"\n[plugin.crm]").await.expect("a host");
        assert!(unpublished.watch.is_some(), "it is loaded once it is published");
        let problem = parts(folder.path(), "[plugin.crm]\npath = \"crm\"").await.err().expect("no host").to_string();
        assert!(problem.contains("plugin.crm"), "{problem}");
    }
}
