//! Loads one version of a plugin.

use towpath_config::plugin::{Code, Settings};
use towpath_plugin::{Engine, Plugin};

use super::{Chosen, Registry, RegistryError};

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The code is invalid.
    #[error(transparent)]
    Plugin(#[from] towpath_plugin::LoadError),
    /// Its release is missing, or not trusted.
    #[error(transparent)]
    Registry(Box<RegistryError>),
    /// The config has neither a path for it nor a registry.
    #[error("it has no path, and the config no registry: add path, or [registry]")]
    NoRegistry,
    #[error("the host is stopping")]
    Stopped,
}

impl LoadError {
    /// The error and its causes, in one line.
    pub fn in_words(&self) -> String {
        let first: &dyn std::error::Error = self;
        let causes = std::iter::successors(Some(first), |cause: &&dyn std::error::Error| (*cause).source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }
}

impl From<RegistryError> for LoadError {
    fn from(error: RegistryError) -> LoadError {
        LoadError::Registry(Box::new(error))
    }
}

pub(super) async fn version(
    engine: &Engine,
    settings: &Settings,
    chosen: &Chosen,
    targets: &[String],
    registry: &Registry,
) -> Result<Plugin, LoadError> {
    let name = match &settings.code {
        Code::Registry(reference) => reference.name.as_str(),
        Code::Path(_) => settings.name.as_str(),
    };
    let release = registry.release(name, chosen).await?;
    let code = registry.code(&release).await?;
    let engine = engine.clone();
    let settings = settings.clone();
    // Compiling takes a while.
    let load = move || Plugin::from_artifact(&engine, settings, code);
    let plugin = tokio::task::spawn_blocking(load).await.map_err(|_| LoadError::Stopped)??;
    plugin.check_targets(targets.iter().map(String::as_str))?;
    Ok(plugin)
}
