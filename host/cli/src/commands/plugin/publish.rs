//! `plugin publish`: releases a plugin to a registry. `plugin keygen`: makes a signing key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use serde::Serialize;
use towpath_compose::{engine, pointers};
use towpath_config::registry::PublicKey;
use towpath_config::{RegistryConfig, RegistryUrl, Secrets, env};
use towpath_files::private;
use towpath_files::regular::{self, MAX_KEY};
use towpath_operate::releases::{check_name, check_plugin, floors};
use towpath_operate::{config, json};
use towpath_plugin::{CONTRACT, Plugin, can_compile_for, precompile};
use towpath_registry::{Built, Move, PublishError, Registry, Release, SigningKey, TARGETS};
use towpath_types::artifacts::MAX_COMPONENT;
use towpath_types::clock::Clock;

use super::check::check;
use super::{build_if_stale, check_folder, component, is_plugin, load};
use crate::args::{ConfigFile, PluginPublish, RegistryPlace, Signing};
use crate::case;
use crate::output::{Broken, Exit, Output};

/// What was published.
#[derive(Serialize)]
struct Published<'a> {
    #[serde(flatten)]
    release: json::Release<'a>,
    channel: &'a str,
    signed: bool,
}

pub(super) async fn run(args: PluginPublish, output: &Output) -> anyhow::Result<Exit> {
    if !TARGETS.into_iter().all(can_compile_for) {
        bail!(
            "this towpath was built without the feature `cross` and compiles for this machine only: publish with a default build"
        );
    }
    let folder = folder(&args.plugin)?;
    let mut place = place(args.to, "--to", &args.config).await?;
    check_name("channel", &args.channel)?;
    let targets = place.targets.take();
    let (registry, signed) = signing(open(place).await?, &args.signing)?;
    build_if_stale(&folder, output)?;
    let engine = engine(1)?;
    let plugin = load(&engine, &folder)?;
    check_name("plugin", plugin.name())?;
    // Read before the checks: a move of the channel during them is a conflict.
    let seen = registry.look_to_replace(plugin.name(), &args.channel).await?;
    if let Some(problem) = &seen.replaces {
        output.note(format!("discarding the history of the channel {}: {problem}", args.channel));
    }
    let quiet = Output::new(true);
    let shown = if output.is_json() { &quiet } else { output };
    let rows = check(&engine, &plugin, &folder, targets.as_deref(), shown)?;
    if !rows.iter().all(|row| row.ok) {
        output.note(format!(
            "{} was not published: fix the failed checks above, or run `towpath plugin check`",
            plugin.name()
        ));
        return Ok(Exit::Findings);
    }
    let built = compile(&plugin, &folder, output)?;
    let by = env::user().unwrap_or_default();
    let now = Clock::wall().now();
    output.note(format!("storing in {}", registry.place()));
    let (release, chosen) = match registry.store(built, &by, now).await {
        Ok(stored) => stored,
        Err(error) => return refused(error, output),
    };
    let made = Move { version: chosen.version.clone(), how: "publish".to_owned(), at: now, by };
    if let Err(error) = registry.advance(plugin.name(), &args.channel, seen, chosen, made).await {
        return refused(error, output);
    }
    if output.is_json() {
        output.json(&Published { release: json::Release::of(&release), channel: &args.channel, signed });
    }
    let Release { name, version, wasm_sha256, .. } = &release;
    output.say("");
    output.say(format!("{name}@{} is {version}, sha256 {wasm_sha256}", args.channel));
    output.say("running hosts swap to it within 30 seconds");
    Ok(Exit::Done)
}

/// The registry to publish to, and what the config says about it.
struct Destination {
    url: RegistryUrl,
    public_key: Option<PublicKey>,
    targets: Option<Vec<String>>,
    /// The lowest sequences that hosts accept, by plugin.
    floors: BTreeMap<String, u64>,
}

/// The registry of this option, or the config's. If both are the same, the config's key and sequences apply.
async fn place(to: Option<RegistryUrl>, option: &str, args: &ConfigFile) -> anyhow::Result<Destination> {
    let config = if to.is_none() || args.config.is_some() || args.file().is_file() {
        let config = config::load(&args.file(), &Secrets::placeholders()).await;
        Some(config.with_context(|| format!("finding the registry: {option} names it"))?)
    } else {
        None
    };
    let floors = config.as_ref().map(floors).unwrap_or_default();
    let targets = config.as_ref().map(|config| config.targets.keys().cloned().collect());
    let of_config = config.and_then(|config| config.registry);
    match (to, of_config) {
        (Some(url), Some(config)) if config.url == url => {
            Ok(Destination { url, public_key: config.public_key, targets, floors })
        }
        (Some(url), _) => Ok(Destination { url, public_key: None, targets, floors: BTreeMap::new() }),
        (None, Some(config)) => Ok(Destination { url: config.url, public_key: config.public_key, targets, floors }),
        (None, None) => bail!("the config has no registry: give {option} s3://bucket/prefix or {option} FOLDER"),
    }
}

/// The registry, for commands that move its pointers. They reject a pointer that is older than the last one this user saw, or than
/// the config's `min_sequence`.
async fn open(place: Destination) -> anyhow::Result<Registry> {
    let registry = towpath_compose::registry(&RegistryConfig { url: place.url, public_key: place.public_key }).await?;
    Ok(registry.remembering(pointers::of_user()?).with_floors(place.floors))
}

/// The registry with the given key, and whether there is one.
pub(super) fn signing(registry: Registry, args: &Signing) -> anyhow::Result<(Registry, bool)> {
    let Some(file) = args.key.clone().or_else(env::signing_key_file) else { return Ok((registry, false)) };
    Ok((registry.signing(read_key(&file)?)?, true))
}

/// The registry of these arguments. It must have this plugin.
pub(super) async fn registry_of(name: &str, args: &RegistryPlace) -> anyhow::Result<Registry> {
    check_name("plugin", name)?;
    let registry = open(place(args.registry.clone(), "--registry", &args.config).await?).await?;
    check_plugin(&registry, name).await?;
    Ok(registry)
}

/// Conflicts and pins are findings, not failures.
pub(super) fn refused(error: PublishError, output: &Output) -> anyhow::Result<Exit> {
    match &error {
        PublishError::Conflict { .. }
        | PublishError::Meanwhile { .. }
        | PublishError::Pinned { .. }
        | PublishError::NothingBefore { .. }
        | PublishError::NotBefore { .. } => {
            output.failure(&error.into());
            Ok(Exit::Findings)
        }
        PublishError::Registry(_) | PublishError::Taken { .. } | PublishError::NoKey { .. } => Err(error.into()),
    }
}

fn folder(plugin: &Path) -> anyhow::Result<PathBuf> {
    let below = Path::new("plugins").join(plugin);
    if !plugin.exists() && is_plugin(&below) {
        return Ok(below);
    }
    check_folder(plugin)?;
    Ok(plugin.to_owned())
}

fn compile(plugin: &Plugin, folder: &Path, output: &Output) -> anyhow::Result<Built> {
    let file = component(folder)?;
    let wasm = regular::read(&file, MAX_COMPONENT).with_context(|| format!("reading {}", file.display()))?;
    let mut native = Vec::new();
    for target in TARGETS {
        output.note(format!("compiling for {target}"));
        let compiled = precompile(&wasm, Some(target));
        native.push(compiled.context(Broken(format!("compiling {} for {target}", folder.display())))?);
    }
    let cases = case::cases(folder)?.len();
    Ok(Built {
        name: plugin.name().to_owned(),
        description: plugin.description().clone(),
        contract: format!("towpath:plugin@{CONTRACT}"),
        wasm,
        native,
        cases: u32::try_from(cases).unwrap_or(u32::MAX),
        commit: commit(folder),
    })
}

/// The git commit of a folder, with the suffix `-dirty` if the folder has uncommitted changes.
fn commit(folder: &Path) -> Option<String> {
    let git = |args: &[&str]| {
        let ran = Command::new("git").arg("-C").arg(folder).args(args).output().ok()?;
        ran.status.success().then(|| String::from_utf8_lossy(&ran.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "HEAD"])?;
    match git(&["status", "--porcelain", "--", "."]) {
        Some(changes) if changes.is_empty() => Some(commit),
        _ => Some(format!("{commit}-dirty")),
    }
}

fn read_key(file: &Path) -> anyhow::Result<SigningKey> {
    let text = regular::read_text(file, MAX_KEY).with_context(|| format!("reading {}", file.display()))?;
    text.parse().with_context(|| format!("reading {}", file.display()))
}

pub(super) fn keygen(file: &Path, output: &Output) -> anyhow::Result<Exit> {
    let (key, text) = SigningKey::generate()?;
    let written = private::write(file, format!("{text}\n").as_bytes());
    written.with_context(|| format!("writing {}: the file must not exist yet", file.display()))?;
    let public = key.public().to_string();
    if output.is_json() {
        output.json(&serde_json::json!({ "file": file, "public_key": public }));
    }
    output.say(format!("{} is the signing key: keep it secret. Put this into the config:", file.display()));
    output.say("");
    output.say("[registry]");
    output.say(format!("public_key = \"{public}\""));
    Ok(Exit::Done)
}
