//! What every host is made of, whatever its queue.

use std::sync::Arc;

use anyhow::Context as _;
use towpath_config::Config;
use towpath_config::route::Routes;
use towpath_deliver::Deliverer;
use towpath_deliver::holds::Watched;
use towpath_engine::pipeline::Pipeline;
use towpath_plugin::{Engine, Plugins};
use towpath_registry::{Failures, Sequences, Watch};
use towpath_types::clock::Clock;
use towpath_types::queue::Queue;
use towpath_verify::note_keys::NoteKeys;

use crate::aws;
use crate::registry::registry;

/// Loads the plugins of a config, from their folders and its registry, for these targets. All that is wrong is told at once. What comes
/// from a registry is to be watched for new versions.
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

/// What every host is made of.
pub struct Parts {
    /// What runs plugins.
    pub engine: Engine,
    /// The routes of the config.
    pub routes: Routes,
    /// What proves operators' notes.
    pub note_keys: NoteKeys,
    plugins: Plugins,
    watch: Option<Watch>,
    deliverer: Deliverer,
    clock: Clock,
}

impl Parts {
    /// Loads the plugins into this engine and prepares delivery. Pointers of the registry that were seen are remembered in
    /// `sequences`.
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
        Ok(Parts { engine, routes: config.routes, note_keys, plugins, watch, deliverer, clock })
    }

    /// The line over a queue of this name, and what looks for new versions of its plugins, if they come from a registry.
    pub fn pipeline(self, dead_letters: Arc<dyn Queue>, source: String) -> (Pipeline, Option<Watch>) {
        let mut pipeline = Pipeline::new(self.routes, self.plugins, self.deliverer, dead_letters, source, self.clock);
        pipeline.note_keys = self.note_keys;
        (pipeline, self.watch)
    }
}
