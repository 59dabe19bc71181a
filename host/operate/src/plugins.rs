//! The plugins of a config: what each resolves to now, which routes use it, and how often each of its builds ran.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use towpath_config::Config;
use towpath_config::plugin::{Code, Settings};
use towpath_config::registry::{Reference, is_name};
use towpath_metrics::Agreement;
use towpath_plugin::digest_at;
use towpath_registry::Registry;

use crate::place::Found;
use crate::queues::STORY;
use crate::releases::{Releases, Versions};
use crate::story::{Passes, passes};

/// The characters of a digest that logs show.
const SHORT: usize = 12;

/// A plugin of the config.
#[derive(Clone, PartialEq, Debug)]
pub struct Plugin {
    /// Its name in the config: `crm`, or `crm@candidate` for another build of it that a route tries.
    pub name: String,
    /// Where its code comes from.
    pub origin: Origin,
    /// What that is now, or why nobody can tell.
    pub build: Result<Build, String>,
    /// The routes that use it.
    pub uses: Vec<Use>,
    /// How often its builds ran, by the first characters of their digests, as far as the end of the story tells.
    pub passes: BTreeMap<String, Passes>,
    /// How often it agreed as a shadow in this process; `None` if it was none, or the process delivers nothing.
    pub shadow: Option<Agreement>,
}

/// Where code comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A file or folder.
    Path(String),
    /// A channel or version in the registry.
    Registry(Reference),
}

/// A build.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Build {
    /// The SHA-256 of its component, in hex.
    pub sha256: String,
    /// Its version in the registry.
    pub version: Option<String>,
    /// Whether it is what a channel is at, and that channel is pinned.
    pub pinned: bool,
}

impl Build {
    /// The digest as logs and the story show it.
    pub fn short(&self) -> &str {
        self.sha256.get(..SHORT).unwrap_or(&self.sha256)
    }
}

/// A route that uses a plugin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Use {
    /// The route's path.
    pub route: String,
    /// What the plugin does there.
    pub role: Role,
}

/// What a plugin does on a route.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Role {
    /// It maps the webhooks.
    Live,
    /// It runs too, and nothing of it is delivered.
    Shadow,
    /// It maps the webhooks of this share of the groups.
    Canary(String),
}

impl Role {
    /// Its name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Role::Live => "live",
            Role::Shadow => "shadow",
            Role::Canary(_) => "canary",
        }
    }
}

/// All plugins of a config, by name. The story is in this folder, if hosts of this machine write it. With `delivers` this process runs the plugins,
/// and its own counts are told.
pub async fn all(config: &Config, folder: &Path, releases: &Releases, delivers: bool) -> anyhow::Result<Vec<Plugin>> {
    let mut counted = counted(folder).await?;
    let mut shadows = if delivers { towpath_metrics::shadows() } else { BTreeMap::new() };
    let mut plugins = Vec::new();
    for (name, settings) in &config.plugins {
        let origin = match &settings.code {
            Code::Path(path) => Origin::Path(path.display().to_string()),
            Code::Registry(reference) => Origin::Registry(reference.clone()),
        };
        plugins.push(Plugin {
            build: build(settings, releases).await.map_err(|error| format!("{error:#}")),
            uses: uses(config, name),
            passes: counted.remove(name).unwrap_or_default(),
            shadow: shadows.remove(name),
            name: name.clone(),
            origin,
        });
    }
    Ok(plugins)
}

/// All plugins of the config of a place; none if no config was read.
pub async fn of_place(found: &Found, releases: &Releases, delivers: bool) -> anyhow::Result<Vec<Plugin>> {
    match &found.config {
        Some(config) => all(config, &found.folder(), releases, delivers).await,
        None => Ok(Vec::new()),
    }
}

/// The passes in the story by plugin and digest.
async fn counted(folder: &Path) -> anyhow::Result<BTreeMap<String, BTreeMap<String, Passes>>> {
    let story = folder.join(STORY);
    let read = tokio::task::spawn_blocking(move || passes(&story)).await.context("counting passes")?;
    let mut counted: BTreeMap<String, BTreeMap<String, Passes>> = BTreeMap::new();
    for ((plugin, digest), passes) in read.context("reading the story")? {
        counted.entry(plugin).or_default().insert(digest, passes);
    }
    Ok(counted)
}

fn uses(config: &Config, plugin: &str) -> Vec<Use> {
    let mut uses = Vec::new();
    for route in config.routes.iter() {
        let mut add = |role| uses.push(Use { route: route.path.clone(), role });
        if route.mapping.plugin() == Some(plugin) {
            add(Role::Live);
        }
        let Some(rollout) = route.mapping.rollout() else { continue };
        if rollout.shadow.as_deref() == Some(plugin) {
            add(Role::Shadow);
        }
        if let Some(canary) = rollout.canary.as_ref().filter(|canary| canary.plugin == plugin) {
            add(Role::Canary(canary.share.to_string()));
        }
    }
    uses
}

async fn build(settings: &Settings, releases: &Releases) -> anyhow::Result<Build> {
    let reference = match &settings.code {
        Code::Path(path) => {
            let path = path.clone();
            let sha256 =
                tokio::task::spawn_blocking(move || digest_at(&path)).await.context("reading the plugin")??;
            return Ok(Build { sha256, version: None, pinned: false });
        }
        Code::Registry(reference) => reference,
    };
    let registry = releases.registry()?;
    let Reference { name, tag } = reference;
    let chosen = registry.resolve(reference, settings.min_sequence).await?;
    let chosen = chosen.first().with_context(|| format!("{reference} is not published"))?;
    let release = registry.release(name, chosen).await?;
    let pinned = registry.pointer(name, tag).await?.is_some_and(|(pointer, _)| pointer.pinned);
    Ok(Build { sha256: release.wasm_sha256, version: Some(release.version), pinned })
}

/// A plugin: its places in the config, and what the registry has of it.
#[derive(Debug)]
pub struct Whole {
    /// Its name, in the config and in the registry.
    pub name: String,
    /// It and its candidates (`crm@candidate`) in the config; empty if only the registry has it.
    pub configured: Vec<Plugin>,
    /// The registry, if there is one.
    pub place: Option<String>,
    /// Its versions and channels, or why there are none.
    pub released: Result<Versions, String>,
}

/// A plugin of the config or the registry. `None` if neither has it.
pub async fn whole(found: &Found, releases: &Releases, delivers: bool, name: &str) -> anyhow::Result<Option<Whole>> {
    let is_own = |own: &str| own == name || own.split_once('@').is_some_and(|(base, _)| base == name);
    let mut configured = of_place(found, releases, delivers).await?;
    configured.retain(|plugin| is_own(&plugin.name));
    let is_configured = !configured.is_empty();
    let (place, released) = match releases.registry() {
        Ok(registry) => (Some(registry.place()), versions(registry, name).await),
        Err(problem) => (None, Some(Err(problem.to_string()))),
    };
    let released = match released {
        Some(released) => released,
        None if is_configured => Err(format!("the registry has no version of {name}")),
        None => return Ok(None),
    };
    if !is_configured && place.is_none() {
        return Ok(None);
    }
    Ok(Some(Whole { name: name.to_owned(), configured, place, released }))
}

/// What a registry has of a plugin; `None` if it has nothing of that name.
async fn versions(registry: &Registry, name: &str) -> Option<Result<Versions, String>> {
    if !is_name(name) {
        return None;
    }
    let read = async {
        let names = registry.plugins().await?;
        let is_there = names.iter().any(|own| own == name);
        if is_there { Versions::of(registry, name).await.map(Some) } else { Ok(None) }
    };
    // A problem of the registry must not hide what the config says.
    read.await.map_err(|error| error.to_string()).transpose()
}
