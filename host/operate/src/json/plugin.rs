//! The plugins of a config, and one with its versions.

use serde::Serialize;

use super::release::{PluginChannel, Version};
use crate::plugins::{self, Origin, Role};

/// The plugins of the config.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Plugins<'a> {
    plugins: Vec<Configured<'a>>,
}

impl Plugins<'_> {
    /// The shape of these plugins.
    pub fn of(plugins: &[plugins::Plugin]) -> Plugins<'_> {
        Plugins { plugins: plugins.iter().map(Configured::of).collect() }
    }
}

/// A plugin of the config.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = ConfiguredPlugin))]
struct Configured<'a> {
    plugin: &'a str,
    /// The file or folder; absent if it comes from the registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    /// The channel or version in the registry; absent if it has a path.
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    /// The version that it resolves to now.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    /// The digest of its component now.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<&'a str>,
    /// Whether its channel is pinned.
    pinned: bool,
    /// Why it resolves to nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a str>,
    routes: Vec<Used<'a>>,
    /// How often its builds ran, as far as the last 8 MiB of the story tell.
    passes: Vec<Passed<'a>>,
    /// How often it agreed as a shadow, since this process started.
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<Shadow>,
}

/// A route that uses a plugin.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = PluginUse))]
struct Used<'a> {
    route: &'a str,
    /// `live`, `shadow` or `canary`.
    role: &'static str,
    /// The share of groups of a canary, such as `5%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<&'a str>,
}

/// How often a build ran.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = BuildPasses))]
struct Passed<'a> {
    /// The first characters of its digest.
    digest: &'a str,
    /// Delivered or skipped.
    done: u64,
    /// Retried, held, or dead-lettered.
    other: u64,
}

/// How often a shadow agreed.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = ShadowAgreement))]
struct Shadow {
    agreed: u64,
    differed: u64,
}

impl Configured<'_> {
    fn of(plugin: &plugins::Plugin) -> Configured<'_> {
        let plugins::Plugin { name, origin, build, uses, passes, shadow } = plugin;
        let (path, channel) = match origin {
            Origin::Path(path) => (Some(path.as_str()), None),
            Origin::Registry(reference) => (None, Some(reference.tag.as_str())),
        };
        let found = build.as_ref().ok();
        let used = uses.iter().map(|used| Used {
            route: &used.route,
            role: used.role.as_str(),
            share: match &used.role {
                Role::Canary(share) => Some(share),
                Role::Live | Role::Shadow => None,
            },
        });
        let passed = passes.iter().map(|(digest, passes)| Passed { digest, done: passes.done, other: passes.other });
        Configured {
            plugin: name,
            path,
            channel,
            version: found.and_then(|build| build.version.as_deref()),
            sha256: found.map(|build| build.sha256.as_str()),
            pinned: found.is_some_and(|build| build.pinned),
            problem: build.as_ref().err().map(String::as_str),
            routes: used.collect(),
            passes: passed.collect(),
            shadow: shadow.map(|shadow| Shadow { agreed: shadow.agreed, differed: shadow.differed }),
        }
    }
}

/// A plugin: its places in the config, and what the registry has of it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = PluginWhole))]
pub struct Plugin<'a> {
    plugin: &'a str,
    /// It and its candidates in the config; empty if only the registry has it.
    configured: Vec<Configured<'a>>,
    /// The registry; absent if its versions cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    registry: Option<String>,
    /// Why there are no versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a str>,
    /// Its versions, oldest first.
    versions: Vec<Version<'a>>,
    channels: Vec<PluginChannel<'a>>,
}

impl Plugin<'_> {
    /// The shape of a plugin.
    pub fn of(whole: &plugins::Whole) -> Plugin<'_> {
        let plugins::Whole { name, configured, place, released } = whole;
        let versions = released.as_ref().ok();
        Plugin {
            plugin: name,
            configured: configured.iter().map(Configured::of).collect(),
            registry: place.clone(),
            problem: released.as_ref().err().map(String::as_str),
            versions: versions.map(|all| all.rows.iter().map(Version::of).collect()).unwrap_or_default(),
            channels: versions.map(|all| all.channels.iter().map(PluginChannel::of).collect()).unwrap_or_default(),
        }
    }
}
