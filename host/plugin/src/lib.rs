//! Plugins: WebAssembly components that map messages to verdicts, in a sandbox with limits.
//!
//! Loading means: digest ► compile or deserialize ► import allow-list ► trial instantiate ► `describe`
//! ► `check-config`. After that every message gets a fresh instance, so nothing leaks from one customer's
//! event to the next.

mod artifact;
mod bindings;
#[cfg(feature = "compile")]
mod cache;
mod call;
mod engine;
mod error;
mod guest;
mod host;
mod load;
mod manifest;
mod sandbox;
mod v1;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

pub use artifact::{Artifact, COMPONENT, PRECOMPILED, find};
#[cfg(feature = "compile")]
pub use cache::{Cache, CacheError};
pub use call::Transformed;
pub use engine::Engine;
pub use error::{LoadError, Problem};
pub use host::{CONTRACT, WASMTIME, host_triple};
pub use load::COMPILES;
#[cfg(feature = "compile")]
pub use load::{can_compile_for, precompile};
pub use manifest::{Manifest, ManifestError};

use towpath_config::plugin::{Grant, Limits, Settings};

/// What a plugin says of itself.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// What it maps, and to where.
    pub summary: String,
    /// The targets that it may name.
    pub targets: Vec<String>,
}

/// A plugin that was loaded and can be called.
pub struct Plugin {
    settings: Settings,
    config: Arc<str>,
    digest: String,
    description: Description,
    engine: Engine,
    component: bindings::TransformerPre<guest::Guest>,
    slow: AtomicBool,
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin").field("name", &self.settings.name).field("digest", &self.digest).finish()
    }
}

impl Plugin {
    /// Its name in the config.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// The SHA-256 of its component, in hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The beginning of its digest, for logs.
    pub fn short_digest(&self) -> &str {
        self.digest.get(..12).unwrap_or(&self.digest)
    }

    /// What it says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// What its component imports, by full names.
    pub fn imports(&self) -> Vec<String> {
        let types = self.component.instance_pre().component().component_type();
        types.imports(self.component.engine()).map(|(name, _)| name.to_owned()).collect()
    }

    /// What its component exports, by full names.
    pub fn exports(&self) -> Vec<String> {
        let types = self.component.instance_pre().component().component_type();
        types.exports(self.component.engine()).map(|(name, _)| name.to_owned()).collect()
    }

    /// What one call may use.
    pub fn limits(&self) -> Limits {
        self.settings.limits
    }

    /// Whether its last call took so long that the next one should not hold up an asynchronous thread.
    pub fn is_slow(&self) -> bool {
        self.slow.load(Ordering::Relaxed)
    }

    /// Remembers whether a call took long.
    pub fn set_slow(&self, slow: bool) {
        self.slow.store(slow, Ordering::Relaxed);
    }

    /// What its requests may use.
    pub fn grant(&self) -> Grant<'_> {
        Grant { targets: &self.description.targets, secrets: &self.settings.secrets }
    }
}

/// The digest of a component's bytes, as [`Plugin::digest`] and a pin in the config have it.
pub fn digest(component: &[u8]) -> String {
    manifest::sha256(component)
}

/// The plugins of a config by name. One can be replaced while the others run: messages that are being
/// mapped keep the build that they started with. Clones are the same plugins.
#[derive(Clone, Debug, Default)]
pub struct Plugins(Arc<RwLock<BTreeMap<String, Arc<Plugin>>>>);

impl Plugins {
    /// These plugins.
    pub fn new(plugins: impl IntoIterator<Item = Plugin>) -> Plugins {
        let named = plugins.into_iter().map(|plugin| (plugin.name().to_owned(), Arc::new(plugin)));
        Plugins(Arc::new(RwLock::new(named.collect())))
    }

    /// All of them, as they are now.
    pub fn all(&self) -> Vec<Arc<Plugin>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The plugin of this name, as it is now.
    pub fn get(&self, name: &str) -> Option<Arc<Plugin>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Puts a plugin in the place of the one of its name, from the next message on.
    pub fn replace(&self, plugin: Plugin) {
        let mut plugins = self.0.write().unwrap_or_else(PoisonError::into_inner);
        plugins.insert(plugin.name().to_owned(), Arc::new(plugin));
    }
}
