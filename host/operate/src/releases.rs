//! Releases of plugins in a registry: their versions, and moves of their channels.

mod compare;
mod order;

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use towpath_config::Config;
use towpath_config::plugin::Code;
use towpath_config::registry::{Reference, is_name};
use towpath_registry::{Channel, Chosen, PublishError, Registry, RegistryError, Release};

use crate::known::Known;

pub use compare::{Compared, Side, compare, missing};
pub use order::{Order, OrderError, carry_out};

/// The registry of a config, as far as there is one.
#[derive(Clone, Default)]
pub enum Releases {
    /// The config names none, or none was read.
    #[default]
    None,
    /// It cannot be used, for this reason.
    Unavailable(String),
    /// This one.
    In(Registry),
}

impl Releases {
    /// The registry; fails if there is none.
    pub fn registry(&self) -> Result<&Registry, NoRegistry> {
        match self {
            Releases::None => Err(NoRegistry::None),
            Releases::Unavailable(problem) => Err(NoRegistry::Unavailable(problem.clone())),
            Releases::In(registry) => Ok(registry),
        }
    }
}

/// Why there is no registry.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoRegistry {
    /// The config has none.
    #[error(
        "the config has no registry: its plugins are loaded from paths. Add [registry] with a url to release plugins"
    )]
    None,
    /// It cannot be opened.
    #[error("the registry of the config cannot be opened: {0}")]
    Unavailable(String),
}

/// The lowest sequences that hosts with this config accept, by plugin.
pub fn floors(config: &Config) -> BTreeMap<String, u64> {
    let floors = config.plugins.values().filter_map(|plugin| match &plugin.code {
        Code::Registry(reference) => Some((reference.name.clone(), plugin.min_sequence)),
        Code::Path(_) => None,
    });
    floors.collect()
}

/// Fails unless a registry can have a plugin, channel or version (`what`) of this name.
pub fn check_name(what: &str, name: &str) -> anyhow::Result<()> {
    if is_name(name) {
        Ok(())
    } else {
        bail!("{name:?} is not a valid {what} name in a registry: use letters, digits, -, _, . and +")
    }
}

/// Fails unless the registry has a plugin of this name.
pub async fn check_plugin(registry: &Registry, name: &str) -> anyhow::Result<()> {
    check_name("plugin", name)?;
    let known = Known::new("plugin", registry.plugins().await?);
    known.check(name).with_context(|| format!("looking for it in the registry {}", registry.place()))
}

/// The release that a channel or version of a plugin means now.
pub async fn chosen(registry: &Registry, name: &str, tag: &str) -> anyhow::Result<Chosen> {
    check_name("plugin", name)?;
    check_name("version", tag)?;
    let found = registry.resolve(&Reference::new(name, tag), 0).await?;
    found.into_iter().next().with_context(|| format!("{name} has no {tag}"))
}

/// Whether an error says that the registry has no such version or channel.
pub fn is_missing(error: &anyhow::Error) -> bool {
    let of_registry = error.downcast_ref::<RegistryError>();
    let of_move = error.downcast_ref::<PublishError>().and_then(|error| match error {
        PublishError::Registry(error) => Some(error),
        _ => None,
    });
    matches!(of_registry.or(of_move), Some(RegistryError::Missing { .. }))
}

/// The versions and channels of a plugin.
#[derive(Debug)]
pub struct Versions {
    /// The versions, oldest first, and at the end channels that cannot be read.
    pub rows: Vec<Version>,
    /// The channels, by name.
    pub channels: Vec<Channel>,
}

/// One version.
#[derive(Debug)]
pub struct Version {
    /// Its name; `-` for a channel that cannot be read.
    pub version: String,
    /// The channels that are at it, each with what is special about it: `current (pinned)`.
    pub channels: Vec<String>,
    /// Its release, if hosts load it.
    pub release: Option<Release>,
    /// Why hosts do not load it.
    pub problem: Option<String>,
}

impl Versions {
    /// Reads what the registry has of a plugin.
    pub async fn of(registry: &Registry, name: &str) -> Result<Versions, RegistryError> {
        let channels = registry.channels(name).await?;
        let is_at = |channel: &&Channel, version: &str| {
            channel.pointer.as_ref().is_some_and(|pointer| pointer.current.version == version)
        };
        let at = |version: &str| channels.iter().filter(|channel| is_at(channel, version)).map(label).collect();
        let unreadable = channels.iter().filter(|channel| channel.pointer.is_none()).map(|channel| Version {
            version: "-".to_owned(),
            channels: vec![channel.name.clone()],
            release: None,
            problem: channel.problem.as_ref().map(ToString::to_string),
        });
        let versions = registry.versions(name).await?.into_iter().map(|(version, release)| {
            let channels = at(&version);
            match release {
                Ok(release) => Version { version, channels, release: Some(release), problem: None },
                Err(error) => Version { version, channels, release: None, problem: Some(error.to_string()) },
            }
        });
        let rows = versions.chain(unreadable).collect();
        Ok(Versions { rows, channels })
    }
}

/// A channel, and whether hosts follow it.
fn label(channel: &Channel) -> String {
    let pinned = if channel.pointer.as_ref().is_some_and(|pointer| pointer.pinned) { " (pinned)" } else { "" };
    let unfollowed = match &channel.problem {
        None => "",
        Some(RegistryError::Older { .. }) => " (older)",
        Some(_) => " (not signed)",
    };
    format!("{}{pinned}{unfollowed}", channel.name)
}
