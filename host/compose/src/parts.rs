//! The parts of every host, whatever its queue.

use std::sync::Arc;

use anyhow::Context as _;
use towpath_config::Config;
use towpath_config::route::Routes;
use towpath_deliver::Deliverer;
use towpath_deliver::holds::Watched;
use towpath_engine::pipeline::Pipeline;
use towpath_keys::Remote;
use towpath_plugin::{Engine, Plugins};
use towpath_registry::{Failures, Sequences, Watch};
use towpath_types::clock::Clock;
use towpath_types::queue::Queue;
use towpath_verify::note_keys::NoteKeys;

use crate::aws;
use crate::registry::registry;

/// Loads the plugins of a config for these targets, from folders and from its registry, and reports all failures together. The watch looks
/// for new versions in the registry.
pub async fn load_plugins(
    engine: &Engine,
    config: &Config,
    targets: Vec<String>,
    sequences: Option<Sequences>,
    clock: Clock,
) -> anyhow::Result<Result<(Plugins, Option<Watch>), Failures>> {
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
        let (plugins, watch) = load_plugins(&engine, &config, targets, sequences, clock).await??;
        let mut deliverer = Deliverer::new(config.targets, holds, clock).context("preparing delivery")?;
        if deliverer.needs_aws_credentials() {
            deliverer = deliverer.sign_with(aws::credentials().await?);
        }
        let note_keys = NoteKeys::new(config.note_keys);
        let remote = Remote::new(clock);
        Ok(Parts { engine, routes: config.routes, note_keys, remote, plugins, watch, deliverer, clock })
    }

    /// The pipeline over a queue of this name, and the watch for new versions if plugins come from a registry.
    pub fn pipeline(self, dead_letters: Arc<dyn Queue>, source: String) -> (Pipeline, Option<Watch>) {
        let mut pipeline = Pipeline::new(self.routes, self.plugins, self.deliverer, dead_letters, source, self.clock);
        pipeline.note_keys = self.note_keys;
        pipeline.key_source = Arc::new(self.remote);
        (pipeline, self.watch)
    }
}
