//! Hot reload: when a plugin's sources change, it is built and swapped between two messages. If the build fails or the
//! component does not load, the old one keeps running and the error is logged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use towpath_compose::load_plugin;
use towpath_config::plugin::Settings;
use towpath_engine::pipeline::Pipeline;
use towpath_plugin::{COMPONENT, Engine};
use tracing::{error, info};

use crate::toolchain::is_source;
use crate::watch::Watch;

/// How changed sources become a component.
pub(crate) type Build = fn(&Path) -> anyhow::Result<PathBuf>;

/// The plugins to watch, and how to reload them.
pub(crate) struct Reloader {
    pub(crate) engine: Engine,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) plugins: BTreeMap<String, Settings>,
    pub(crate) targets: Vec<String>,
    /// `None` to reload built components only.
    pub(crate) build: Option<Build>,
}

/// What changed in a plugin's folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Changed {
    Sources,
    Component,
}

impl Reloader {
    /// Watches until it is dropped. Fails only if watching cannot start.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let mut watch = Watch::of(self.plugins.values().filter_map(|settings| settings.code.path()))?;
        while let Some(paths) = watch.next().await {
            for (name, settings) in &self.plugins {
                if let Some(changed) = paths.iter().filter_map(|path| what(settings, path)).min_by_key(|c| *c as u8) {
                    self.reload(name, settings.clone(), changed).await;
                }
            }
        }
        Ok(())
    }

    async fn reload(&self, name: &str, settings: Settings, changed: Changed) {
        if let (Changed::Sources, Some(build)) = (changed, self.build) {
            info!(plugin = name, "sources changed, building");
            let Some(folder) = settings.code.path().map(Path::to_owned) else { return };
            let built = tokio::task::spawn_blocking(move || build(&folder)).await;
            if let Err(problem) = built.map_err(anyhow::Error::from).and_then(|built| built) {
                error!(plugin = name, problem = format!("{problem:#}"), "build failed, the old one keeps running");
            }
            // Writing the component triggers a change of its own.
            return;
        }
        if changed == Changed::Sources {
            return;
        }
        let engine = self.engine.clone();
        let targets = self.targets.clone();
        let loaded = tokio::task::spawn_blocking(move || load_plugin(&engine, settings, targets.iter())).await;
        match loaded.map_err(anyhow::Error::from).and_then(|loaded| Ok(loaded?)) {
            Ok(plugin) => {
                let old = self.pipeline.plugins.get(name).map(|old| old.digest().to_owned());
                if old.as_deref() == Some(plugin.digest()) {
                    return;
                }
                let digest = plugin.short_digest().to_owned();
                self.pipeline.plugins.replace(plugin);
                info!(event = "plugin-swapped", plugin = name, digest, "plugin swapped");
            }
            Err(problem) => {
                error!(
                    plugin = name,
                    problem = format!("{problem:#}"),
                    "the new build does not load, the old one keeps running"
                );
            }
        }
    }
}

/// What a change of this path means for a plugin; `None` if it does not concern it.
fn what(settings: &Settings, path: &Path) -> Option<Changed> {
    let place = settings.code.path()?;
    if path == place || path == place.join(COMPONENT) {
        return Some(Changed::Component);
    }
    let inside = path.strip_prefix(place).ok()?;
    is_source(inside).then_some(Changed::Sources)
}
