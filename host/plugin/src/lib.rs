//! Plugins: WebAssembly components that map messages to verdicts, in a sandbox with limits.
//!
//! Loading: digest ► compile or deserialize ► import allow-list ► trial instantiation ► `describe` ► `check-config`.
//! After that every message gets a fresh instance, so nothing leaks from one event to the next.

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
mod ticker;
mod v1;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

pub use artifact::{Artifact, COMPONENT, PRECOMPILED, digest_at, find};
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

/// What a plugin declares about itself.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Description {
    pub name: String,
    /// Its own version.
    pub version: String,
    /// What it maps, and to where.
    pub summary: String,
    /// The targets that it may use.
    pub targets: Vec<String>,
}

/// A loaded plugin.
pub struct Plugin {
    settings: Settings,
    config: Arc<str>,
    digest: String,
    description: Description,
    engine: Engine,
    component: bindings::TransformerPre<guest::Guest>,
    /// The export that a call needs. The types of the others were checked when the plugin was loaded.
    transform: bindings::exports::towpath::plugin::transform::GuestIndices,
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

    /// The first characters of its digest, for logs.
    pub fn short_digest(&self) -> &str {
        self.digest.get(..12).unwrap_or(&self.digest)
    }

    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Fully qualified names.
    pub fn imports(&self) -> Vec<String> {
        let types = self.component.instance_pre().component().component_type();
        types.imports(self.component.engine()).map(|(name, _)| name.to_owned()).collect()
    }

    /// Fully qualified names.
    pub fn exports(&self) -> Vec<String> {
        let types = self.component.instance_pre().component().component_type();
        types.exports(self.component.engine()).map(|(name, _)| name.to_owned()).collect()
    }

    /// The limits of one call.
    pub fn limits(&self) -> Limits {
        self.settings.limits
    }

    /// Whether its last call was so slow that the next one should not run on an async thread.
    pub fn is_slow(&self) -> bool {
        self.slow.load(Ordering::Relaxed)
    }

    pub fn set_slow(&self, slow: bool) {
        self.slow.store(slow, Ordering::Relaxed);
    }

    /// Why its requests cannot be sent yet.
    pub fn unready(&self) -> Option<&str> {
        self.settings.unready.as_deref()
    }

    /// What its requests may use.
    pub fn grant(&self) -> Grant<'_> {
        Grant { targets: &self.description.targets, secrets: &self.settings.secrets }
    }
}

/// The digest of a component's bytes, as in [`Plugin::digest`] and in a pin of the config.
pub fn digest(component: &[u8]) -> String {
    manifest::sha256(component)
}

/// The plugins of a config, by name. One can be replaced while others run: a message in a plugin keeps the build that
/// it started with. Clones share the same plugins.
#[derive(Clone, Debug, Default)]
pub struct Plugins(Arc<RwLock<BTreeMap<String, Arc<Plugin>>>>);

impl Plugins {
    pub fn new(plugins: impl IntoIterator<Item = Plugin>) -> Plugins {
        let named = plugins.into_iter().map(|plugin| (plugin.name().to_owned(), Arc::new(plugin)));
        Plugins(Arc::new(RwLock::new(named.collect())))
    }

    /// A snapshot.
    pub fn all(&self) -> Vec<Arc<Plugin>> {
        self.0.read().values().cloned().collect()
    }

    /// The current plugin of this name.
    pub fn get(&self, name: &str) -> Option<Arc<Plugin>> {
        self.0.read().get(name).cloned()
    }

    /// Replaces the plugin of the same name, from the next message on.
    pub fn replace(&self, plugin: Plugin) {
        let mut plugins = self.0.write();
        plugins.insert(plugin.name().to_owned(), Arc::new(plugin));
    }
}
