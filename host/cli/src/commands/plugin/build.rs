//! `plugin build`: builds sources into a component.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use serde::Serialize;
use towpath_files::regular;
use towpath_plugin::{Manifest, PRECOMPILED, can_compile_for};
use towpath_registry::TARGETS;
use towpath_types::artifacts::MAX_COMPONENT;

use super::{built, folders as plugin_folders};
use crate::output::{Broken, Exit, Output};
use crate::toolchain::{self, Language};

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
    if let Some(target) = target.filter(|target| !can_compile_for(target)) {
        let known: Vec<&str> = TARGETS.into_iter().filter(|target| can_compile_for(target)).collect();
        let known = if known.is_empty() { "this machine's, without --target".to_owned() } else { known.join(", ") };
        bail!("cannot compile for {target:?}; supported targets include {known}");
    }
    let folders: Vec<PathBuf> =
        plugin_folders(folders)?.into_iter().filter(|folder| Language::of(folder).is_some()).collect();
    if folders.is_empty() {
        bail!("nothing to build: none of these plugins has sources (Cargo.toml, plugin.js or plugin.py)");
    }
    let mut all = Vec::new();
    for folder in &folders {
        let component = built(folder)?;
        let wasm =
            regular::read(&component, MAX_COMPONENT).with_context(|| format!("reading {}", component.display()))?;
        let precompiled = if native {
            Some(
                toolchain::write_precompiled(folder, target)
                    .context(Broken(format!("precompiling {}", folder.display())))?,
            )
        } else {
            None
        };
        let sha256 = towpath_plugin::digest(&wasm);
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
