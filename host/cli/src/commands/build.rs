//! `plugin build`: from a crate to a component, by cargo.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::Value;
use towpath_core::plugin::{COMPONENT, Manifest, PRECOMPILED, precompile};

use super::plugin_folders;
use crate::output::{Exit, Output};

/// The target that plugins are built for.
const TARGET: &str = "wasm32-wasip2";

/// What was built.
#[derive(Serialize)]
struct Built {
    plugin: PathBuf,
    component: PathBuf,
    bytes: u64,
    sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    precompiled: Option<Manifest>,
}

pub(super) fn run(folders: &[PathBuf], native: bool, target: Option<&str>, output: &Output) -> anyhow::Result<Exit> {
    let folders: Vec<PathBuf> =
        plugin_folders(folders)?.into_iter().filter(|folder| folder.join("Cargo.toml").exists()).collect();
    if folders.is_empty() {
        bail!("nothing to build: none of these plugins has a Cargo.toml");
    }
    check_target()?;
    let mut all = Vec::new();
    for folder in &folders {
        let component = build(folder).with_context(|| format!("building {}", folder.display()))?;
        let wasm = std::fs::read(&component).with_context(|| format!("reading {}", component.display()))?;
        let precompiled = match native {
            true => Some(
                write_native(folder, &wasm, target).with_context(|| format!("precompiling {}", folder.display()))?,
            ),
            false => None,
        };
        let sha256 = towpath_core::plugin::digest(&wasm);
        output.say(format!("{}  {} KiB  sha256 {sha256}", component.display(), wasm.len().div_ceil(1024)));
        if let Some(manifest) = &precompiled {
            output.say(format!(
                "{}  for {}  pin {}",
                folder.join(PRECOMPILED).display(),
                manifest.target,
                manifest.digest
            ));
        }
        all.push(Built { plugin: folder.clone(), component, bytes: wasm.len() as u64, sha256, precompiled });
    }
    if output.is_json() {
        output.json(&all);
    }
    Ok(Exit::Done)
}

/// Builds the crate in a folder and puts its component into the folder.
pub(super) fn build(folder: &Path) -> anyhow::Result<PathBuf> {
    let cargo = Command::new("cargo")
        .args(["build", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("running cargo: is Rust installed?")?;
    if !cargo.status.success() {
        bail!("cargo could not build it: see above");
    }
    let artifact = cargo.stdout.split(|byte| *byte == b'\n').filter_map(component_of).next_back();
    let artifact =
        artifact.context("the crate builds no component: its Cargo.toml needs [lib] crate-type = [\"cdylib\"]")?;
    let component = folder.join(COMPONENT);
    // Written beside and renamed, so that a host that reloads never reads half a file.
    let partial = folder.join(format!("{COMPONENT}.partial"));
    std::fs::copy(&artifact, &partial).with_context(|| format!("copying {}", artifact.display()))?;
    std::fs::rename(&partial, &component).with_context(|| format!("writing {}", component.display()))?;
    Ok(component)
}

/// The `.wasm` of a cdylib, if this line of cargo's messages tells of one.
fn component_of(line: &[u8]) -> Option<PathBuf> {
    let message: Value = serde_json::from_slice(line).ok()?;
    let kinds = message.pointer("/target/kind")?.as_array()?;
    if !kinds.iter().any(|kind| kind == "cdylib") {
        return None;
    }
    let files = message.get("filenames")?.as_array()?;
    files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".wasm")).map(PathBuf::from)
}

fn write_native(folder: &Path, wasm: &[u8], target: Option<&str>) -> anyhow::Result<Manifest> {
    let (cwasm, manifest) = precompile(wasm, target)?;
    let file = folder.join(PRECOMPILED);
    std::fs::write(&file, cwasm).with_context(|| format!("writing {}", file.display()))?;
    let file = file.with_added_extension("json");
    let text = serde_json::to_string_pretty(&manifest).context("writing the manifest")?;
    std::fs::write(&file, text + "\n").with_context(|| format!("writing {}", file.display()))?;
    Ok(manifest)
}

/// Without the target cargo's own message is long; this one says what to do.
fn check_target() -> anyhow::Result<()> {
    let args = ["--print", "target-libdir", "--target", TARGET];
    let printed = Command::new("rustc").args(args).output().context("running rustc: is Rust installed?")?;
    let folder = PathBuf::from(String::from_utf8_lossy(&printed.stdout).trim());
    if !folder.is_dir() {
        bail!("Rust cannot build for {TARGET} here: run `rustup target add {TARGET}`");
    }
    Ok(())
}
