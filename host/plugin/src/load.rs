//! Loading a plugin: finds every problem with it before the first message.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

#[cfg(feature = "compile")]
use tracing::warn;
use wasmtime::component::Component;

use super::artifact::{self, Artifact, check_pin};
use super::bindings::TransformerPre;
use super::bindings::exports::towpath::plugin::transform::GuestIndices;
use super::error::LoadError;
use super::host::CONTRACT;
#[cfg(feature = "compile")]
use super::host::host_triple;
use super::{Engine, Plugin, call, guest, v1};
use towpath_config::plugin::Settings;
use towpath_types::clock::Timestamp;

/// Whether this build can compile components; else it loads only precompiled ones.
pub const COMPILES: bool = cfg!(feature = "compile");

/// The allowed imports: the contract, and the parts of WASI that `wasm32-wasip2` links.
const ALLOWED: [&str; 6] =
    ["towpath:plugin/", "wasi:io/", "wasi:cli/", "wasi:clocks/", "wasi:random/", "wasi:filesystem/"];

impl Plugin {
    /// Loads a plugin from its path. Blocks; compiling takes about a tenth of a second.
    pub fn load(engine: &Engine, settings: Settings) -> Result<Plugin, LoadError> {
        let path = settings.code.path().ok_or(LoadError::NoPath)?;
        let artifact = artifact::read(path, settings.sha256.as_deref())?;
        Plugin::of(engine, settings, artifact)
    }

    /// Loads a plugin from verified code. A pin applies to the component. Blocks.
    pub fn from_artifact(engine: &Engine, settings: Settings, artifact: Artifact) -> Result<Plugin, LoadError> {
        check_pin(settings.sha256.as_deref(), &artifact.digest)?;
        Plugin::of(engine, settings, artifact)
    }

    fn of(engine: &Engine, settings: Settings, artifact: Artifact) -> Result<Plugin, LoadError> {
        let Artifact { bytes, digest, native } = artifact;
        let component = if native { deserialize(engine, &bytes)? } else { compile(engine, &bytes, &digest)? };
        check_contract(engine, &component, &settings.name)?;
        let pre = engine.linker.instantiate_pre(&component).map_err(shape)?;
        let transform = GuestIndices::new(&pre).map_err(shape)?;
        let component = TransformerPre::new(pre).map_err(shape)?;
        let description = trial(engine, &component, &settings)?;
        let config = Arc::from(settings.config.as_str());
        Ok(Plugin {
            settings,
            config,
            digest,
            description: v1::description(description),
            engine: engine.clone(),
            component,
            transform,
            slow: AtomicBool::new(false),
        })
    }

    /// Checks that the config has all targets that the plugin declares.
    pub fn check_targets<'a>(&self, known: impl Iterator<Item = &'a str> + Clone) -> Result<(), LoadError> {
        let mut wanted = self.description.targets.iter();
        let unknown = wanted.find(|wanted| !known.clone().any(|known| known == wanted.as_str()));
        unknown.map_or(Ok(()), |wanted| Err(LoadError::UnknownTarget { wanted: wanted.clone() }))
    }
}

/// The component, from the engine's cache if it has one under this digest.
#[cfg(feature = "compile")]
fn compile(engine: &Engine, bytes: &[u8], digest: &str) -> Result<Component, LoadError> {
    let kept = engine.cache.as_ref().and_then(|cache| cache.get(&engine.wasmtime, digest));
    match kept.map(|native| deserialize(engine, &native)) {
        Some(Ok(component)) => return Ok(component),
        Some(Err(error)) => {
            warn!(digest, error = %error, "plugin in the cache cannot be loaded, compiling again")
        }
        None => {}
    }
    let wrong = |error: wasmtime::Error| LoadError::Component(format!("{error:#}"));
    let component = Component::from_binary(&engine.wasmtime, bytes).map_err(wrong)?;
    if let Some(cache) = &engine.cache {
        cache.put(&engine.wasmtime, digest, &component.serialize().map_err(wrong)?);
    }
    Ok(component)
}

#[cfg(not(feature = "compile"))]
fn compile(_: &Engine, _: &[u8], _: &str) -> Result<Component, LoadError> {
    Err(LoadError::NoCompiler)
}

#[expect(unsafe_code, reason = "native code is loaded; a manifest or a MAC has authenticated every byte")]
fn deserialize(engine: &Engine, bytes: &[u8]) -> Result<Component, LoadError> {
    // SAFETY: wasmtime compiled exactly these bytes. For a file its manifest proves it, by digests of all that it was
    // compiled from and with; for the cache a MAC over the same, by a key that only this user's hosts have.
    unsafe { Component::deserialize(&engine.wasmtime, bytes) }
        .map_err(|error| LoadError::Component(format!("{error:#}")))
}

/// Linking does not check versions, so the names of exports and imports are checked.
fn check_contract(engine: &Engine, component: &Component, plugin: &str) -> Result<(), LoadError> {
    let types = component.component_type();
    let exports: Vec<String> = types.exports(&engine.wasmtime).map(|(name, _)| name.to_owned()).collect();
    let spoken = exports.iter().find_map(|name| name.strip_prefix("towpath:plugin/transform@"));
    match spoken {
        Some(version) if version.split('.').next() == CONTRACT.split('.').next() => {}
        Some(version) => {
            let speaks = format!("speaks towpath:plugin {version}");
            return Err(LoadError::Contract { plugin: plugin.to_owned(), speaks });
        }
        None => {
            let exports = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
            let speaks = format!("is not a Towpath plugin (it exports {exports})");
            return Err(LoadError::Contract { plugin: plugin.to_owned(), speaks });
        }
    }
    let forbidden = types.imports(&engine.wasmtime).map(|(name, _)| name.to_owned()).find(|name| !is_allowed(name));
    forbidden.map_or(Ok(()), |name| Err(LoadError::ForbiddenImport(name)))
}

fn is_allowed(import: &str) -> bool {
    let Some(prefix) = ALLOWED.iter().find(|prefix| import.starts_with(**prefix)) else { return false };
    let version = import.rsplit_once('@').map(|(_, version)| version).unwrap_or_default();
    match *prefix {
        "towpath:plugin/" => version.starts_with("1."),
        _ => version.starts_with("0.2."),
    }
}

/// Types are only checked at instantiation, so instantiate once, with the calls that reveal the most.
fn trial(
    engine: &Engine,
    component: &TransformerPre<guest::Guest>,
    settings: &Settings,
) -> Result<super::bindings::exports::towpath::plugin::metadata::Description, LoadError> {
    let config = Arc::from(settings.config.as_str());
    let mut store = guest::store(&engine.wasmtime, engine.ticker.run(), settings.limits, config, "trial", Timestamp(0))
        .map_err(shape)?;
    let failed = |step, error: &wasmtime::Error, store: &_| LoadError::Trial {
        step,
        fault: Box::new(call::fault(error, store)),
    };
    let started = call::at_once(component.instantiate_async(&mut store));
    let instance = started.map_err(|error| failed("start", &error, &store))?;
    let metadata = instance.towpath_plugin_metadata();
    let described = call::at_once(metadata.call_describe(&mut store));
    let description = described.map_err(|error| failed("describe", &error, &store))?;
    let checked = call::at_once(metadata.call_check_config(&mut store));
    let problems = checked.map_err(|error| failed("check-config", &error, &store))?;
    if problems.is_empty() {
        Ok(description)
    } else {
        Err(LoadError::Config(problems.into_iter().map(v1::problem).collect()))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used with map_err")]
fn shape(error: wasmtime::Error) -> LoadError {
    LoadError::Shape(format!("{error:#}"))
}

/// Precompiles a component for a target triple (by default this machine's): the `.cwasm` and its manifest. The error is
/// the compiler's.
#[cfg(feature = "compile")]
pub fn precompile(wasm: &[u8], triple: Option<&str>) -> Result<(Vec<u8>, super::Manifest), LoadError> {
    let triple = triple.unwrap_or(host_triple());
    let cwasm = super::engine::precompile(wasm, triple).map_err(|error| LoadError::Component(format!("{error:#}")))?;
    let manifest = super::Manifest::seal(wasm, &cwasm, triple);
    Ok((cwasm, manifest))
}

/// Whether there is a compiler for this target triple.
#[cfg(feature = "compile")]
pub fn can_compile_for(triple: &str) -> bool {
    super::engine::compiler(triple).is_ok()
}
