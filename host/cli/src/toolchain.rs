//! Builds a plugin's sources into a component, with cargo, componentize-js or componentize-py.

mod js;
mod python;
mod rust;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use towpath_files::regular::{self, MAX_CONFIG};
use towpath_plugin::{COMPONENT, Manifest, PRECOMPILED, precompile};
use towpath_types::artifacts::MAX_COMPONENT;
use towpath_types::foreign::Foreign;

/// The contract, as the toolchains read it.
pub(crate) const WIT: &str = include_str!("../../../wit/1.0.0/world.wit");

/// The world that plugins implement.
const WORLD: &str = "transformer";

/// The folder for a plugin's tools and generated files, below its own.
const TOOLS: &str = ".towpath";

/// The most output of a tool to show.
const MAX_SAID: usize = 32 * 1024;

/// The language that a plugin is written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Language {
    /// A crate: cargo builds it.
    Rust,
    /// A module: componentize-js builds it.
    Js,
    /// A module: componentize-py builds it.
    Python,
}

impl Language {
    /// The language of the sources in a folder; `None` without sources of a plugin.
    pub(crate) fn of(folder: &Path) -> Option<Language> {
        let text = |name: &str| regular::read_text(&folder.join(name), MAX_CONFIG).unwrap_or_default();
        if text("Cargo.toml").contains("cdylib") {
            return Some(Language::Rust);
        }
        if folder.join("package.json").is_file() && folder.join(js::SOURCE).is_file() {
            return Some(Language::Js);
        }
        folder.join(python::SOURCE).is_file().then_some(Language::Python)
    }
}

/// Whether a change of this file, given below the plugin's folder, changes the plugin.
pub(crate) fn is_source(file: &Path) -> bool {
    let names = ["Cargo.toml", "package.json", python::REQUIREMENTS];
    let kinds = ["js", "mjs", "ts", "py"];
    file.starts_with("src")
        || names.iter().any(|name| file == Path::new(name))
        || file.components().count() == 1
            && file.extension().is_some_and(|kind| kinds.iter().any(|known| kind == *known))
}

/// Whether a plugin has sources, and no component that is newer than all of them. Dependencies outside the folder are
/// not checked.
pub(crate) fn is_stale(folder: &Path) -> bool {
    if Language::of(folder).is_none() {
        return false;
    }
    let changed = |file: &Path| file.metadata().and_then(|metadata| metadata.modified()).ok();
    let Some(built) = changed(&folder.join(COMPONENT)) else { return true };
    sources(folder, Path::new("")).iter().filter_map(|source| changed(source)).any(|source| source > built)
}

/// The source files below a plugin's folder.
fn sources(folder: &Path, below: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.join(below)).into_iter().flatten().filter_map(Result::ok);
    let found = entries.map(|entry| below.join(entry.file_name())).filter(|path| is_source(path));
    let found = found
        .flat_map(|path| if folder.join(&path).is_dir() { sources(folder, &path) } else { vec![folder.join(&path)] });
    found.collect()
}

/// Builds the plugin in a folder and puts its component there.
pub(crate) fn build(folder: &Path) -> anyhow::Result<PathBuf> {
    let language = Language::of(folder).with_context(|| {
        format!(
            "{} has no sources: a Cargo.toml with crate-type cdylib, package.json and plugin.js, or plugin.py",
            folder.display()
        )
    })?;
    let built = match language {
        Language::Rust => rust::build(folder)?,
        Language::Js => js::build(folder)?,
        Language::Python => python::build(folder)?,
    };
    let component = folder.join(COMPONENT);
    // Written to another file and renamed, so that a host that reloads never reads half a file.
    let partial = folder.join(format!("{COMPONENT}.partial"));
    if partial.symlink_metadata().is_ok() {
        std::fs::remove_file(&partial).with_context(|| format!("removing {}", partial.display()))?;
    }
    let copied = File::create_new(&partial).and_then(|mut new| io::copy(&mut File::open(&built)?, &mut new));
    copied.with_context(|| format!("copying {} to {}", built.display(), partial.display()))?;
    std::fs::rename(&partial, &component).with_context(|| format!("writing {}", component.display()))?;
    Ok(component)
}

/// Compiles the component in a folder to native code next to it: for this machine, or for another target triple.
pub(crate) fn write_precompiled(folder: &Path, target: Option<&str>) -> anyhow::Result<Manifest> {
    let component = folder.join(COMPONENT);
    let wasm = regular::read(&component, MAX_COMPONENT).with_context(|| format!("reading {}", component.display()))?;
    let (cwasm, manifest) = precompile(&wasm, target)?;
    let file = folder.join(PRECOMPILED);
    std::fs::write(&file, cwasm).with_context(|| format!("writing {}", file.display()))?;
    let file = file.with_added_extension("json");
    let text = serde_json::to_string_pretty(&manifest).context("writing the manifest")?;
    std::fs::write(&file, text + "\n").with_context(|| format!("writing {}", file.display()))?;
    Ok(manifest)
}

/// Writes the contract for a toolchain; returns its folder, relative to the plugin's.
fn write_wit(folder: &Path) -> anyhow::Result<String> {
    let wit = folder.join(TOOLS).join("wit");
    std::fs::create_dir_all(&wit).with_context(|| format!("making {}", wit.display()))?;
    std::fs::write(wit.join("world.wit"), WIT).with_context(|| format!("writing to {}", wit.display()))?;
    Ok(format!("{TOOLS}/wit"))
}

/// Runs a tool in the plugin's folder. Its output is shown only if it fails.
fn run(folder: &Path, tool: &str, args: &[&str], missing: &str) -> anyhow::Result<()> {
    let output = Command::new(tool).args(args).current_dir(folder).stdin(Stdio::null()).output();
    let output = match output {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!("{tool} is not installed: {missing}"),
        Err(error) => return Err(error).with_context(|| format!("running {tool}")),
    };
    if output.status.success() {
        return Ok(());
    }
    let said = said(&[output.stdout, output.stderr].concat());
    bail!("{tool} {} failed:\n{said}", args.first().unwrap_or(&""));
}

/// The output of a tool, as part of an error.
fn said(bytes: &[u8]) -> String {
    let said = String::from_utf8_lossy(bytes);
    // The tool's own stack trace does not help the author.
    let said = said.split("\nStack backtrace:").next().unwrap_or_default().trim_end();
    Foreign::block(said, "  ").at_most(MAX_SAID).to_string()
}
