//! `plugin`: makes, builds, tests and releases plugins.

mod build;
mod check;
mod diff;
mod fuzz;
mod inspect;
mod list;
mod mutate;
mod new;
mod publish;
mod release;
mod run;
pub(crate) mod test;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use towpath_config::plugin::Settings;
use towpath_files::regular::{self, MAX_CONFIG};
use towpath_plugin::{COMPONENT, Engine, LoadError, Plugin as Loaded};

use crate::args::Plugin;
use crate::output::{Broken, Exit, Output};
use crate::toolchain::{self, Language};

pub(super) async fn run(command: Plugin, output: &Output) -> anyhow::Result<Exit> {
    match command {
        Plugin::New(new) => new::run(&new, output),
        Plugin::Build { folders, precompile, target } => build::run(&folders, precompile, target.as_deref(), output),
        Plugin::Test(test) => test::run(test, output).await,
        Plugin::Run(run) => run::run(&run, output),
        Plugin::Check(check) => check::run(&check, output),
        Plugin::Inspect { plugin } => inspect::run(&plugin, output),
        Plugin::Diff(diff) => diff::run(&diff, output),
        Plugin::Fuzz(fuzz) => fuzz::run(&fuzz, output),
        Plugin::Publish(publish) => publish::run(publish, output).await,
        Plugin::List { config } => list::run(&config, output).await,
        Plugin::Versions { name, compare, registry } => match compare.as_deref() {
            Some([old, new]) => release::compare(&name, (old, new), &registry, output).await,
            _ => release::versions(&name, &registry, output).await,
        },
        Plugin::Rollback(rollback) => release::rollback(rollback, output).await,
        Plugin::Promote { name, from, to, registry, signing } => {
            release::promote(&name, &from, &to, (&registry, &signing), output).await
        }
        Plugin::Pin(pin) => release::pin(pin, output).await,
        Plugin::SignPointer(sign) => release::sign_pointer(sign, output).await,
        Plugin::Keygen { file } => publish::keygen(&file, output),
    }
}

/// The plugin folders to work on: those given, or this one, or those below `plugins/`.
fn folders(given: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    if !given.is_empty() {
        given.iter().try_for_each(|folder| check_folder(folder))?;
        return Ok(given.to_vec());
    }
    let here = PathBuf::from(".");
    if is_plugin(&here) && !here.join("plugins").is_dir() {
        return Ok(vec![here]);
    }
    for parent in [Path::new("plugins"), Path::new(".")] {
        let folders = below(parent);
        if !folders.is_empty() {
            return Ok(folders);
        }
    }
    bail!("there is no plugin here: give the folder of one, or make one with `towpath plugin new NAME`")
}

/// The plugins directly below a folder, by name.
fn below(parent: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).into_iter().flatten();
    let folders = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut folders: Vec<PathBuf> = folders.filter(|folder| is_plugin(folder)).collect();
    folders.sort();
    folders
}

fn check_folder(folder: &Path) -> anyhow::Result<()> {
    if is_plugin(folder) {
        return Ok(());
    }
    let known = below(Path::new("plugins")).iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>();
    let known = if known.is_empty() { String::new() } else { format!("; known are: {}", known.join(", ")) };
    bail!(
        "{} is not a plugin: it has no sources (Cargo.toml, plugin.js or plugin.py), no {COMPONENT} and no cases/{known}",
        folder.display()
    );
}

fn is_plugin(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).exists();
    Language::of(folder).is_some() || has(COMPONENT) || has("cases")
}

/// Builds a plugin whose component is missing or older than its sources, so that tests run the sources that the author sees.
pub(crate) fn build_if_stale(folder: &Path, output: &Output) -> anyhow::Result<()> {
    if !toolchain::is_stale(folder) {
        return Ok(());
    }
    let first = if folder.join(COMPONENT).is_file() { "" } else { " (the first time takes a while)" };
    output.note(format!("building {}{first}", folder.display()));
    built(folder).map(drop)
}

/// Builds a plugin.
fn built(folder: &Path) -> anyhow::Result<PathBuf> {
    toolchain::build(folder).context(Broken(format!("building {}", folder.display())))
}

/// The component in a folder, or this file. These commands inspect untrusted plugins, so they never run native code.
fn component(path: &Path) -> anyhow::Result<PathBuf> {
    if path.extension().is_some_and(|kind| kind == "cwasm") {
        bail!(
            "{} is native code, which the sandbox cannot contain: give the component that it was compiled from",
            path.display()
        );
    }
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    check_folder(path)?;
    let file = path.join(COMPONENT);
    if !file.is_file() {
        return Err(
            anyhow::Error::new(LoadError::NotBuilt(path.to_owned())).context(Broken("loading the plugin".to_owned()))
        );
    }
    Ok(file)
}

/// The timeout of a call outside a host. Fuel is the same on every machine, time is not: a verdict must not depend on the load of
/// the machine.
const OFFLINE_TIMEOUT: Duration = Duration::from_secs(60);

/// Loads a plugin from its folder or file, with the config of its cases.
fn load(engine: &Engine, path: &Path) -> anyhow::Result<Loaded> {
    let absolute = path.canonicalize().with_context(|| format!("there is no file or folder {}", path.display()))?;
    let name = absolute.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut settings = Settings::at(name, component(&absolute)?);
    settings.limits.timeout = OFFLINE_TIMEOUT;
    let config = absolute.join("cases/config.json");
    if config.is_file() {
        settings.config =
            regular::read_text(&config, MAX_CONFIG).with_context(|| format!("reading {}", config.display()))?;
    }
    Loaded::load(engine, settings).context(Broken(format!("loading {}", path.display())))
}
