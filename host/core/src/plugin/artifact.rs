//! A plugin's files: which one is meant, and is it whole?

use std::io;
use std::path::{Path, PathBuf};

use super::load::LoadError;
use super::manifest::{Manifest, sha256};

/// The file name of a built component in a plugin's folder.
pub const COMPONENT: &str = "plugin.wasm";

/// The file name of a precompiled plugin in a plugin's folder; its manifest is this with `.json` behind.
pub const PRECOMPILED: &str = "plugin.cwasm";

/// A plugin's code, with the digest of the component that it comes from.
pub(super) enum Artifact {
    Wasm { bytes: Vec<u8>, digest: String },
    Cwasm { bytes: Vec<u8>, digest: String },
}

/// The file that a plugin's path names: the file itself, or what is built in the folder. A host that can
/// compile prefers the component, the other one the precompiled file.
pub fn find(path: &Path) -> Result<PathBuf, LoadError> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    let order = match cfg!(feature = "compile") {
        true => [COMPONENT, PRECOMPILED],
        false => [PRECOMPILED, COMPONENT],
    };
    let found = order.iter().map(|name| path.join(name)).find(|file| file.is_file());
    found.ok_or_else(|| match path.is_dir() {
        true => LoadError::NotBuilt(path.to_owned()),
        false => LoadError::Missing(path.to_owned()),
    })
}

/// Reads a plugin's file and checks it against the pin and, if it is precompiled, its manifest.
pub(super) fn read(path: &Path, pin: Option<&str>) -> Result<Artifact, LoadError> {
    let file = find(path)?;
    let bytes = read_file(&file)?;
    if file.extension().is_some_and(|extension| extension == "cwasm") {
        let manifest_file = file.with_added_extension("json");
        let text = read_file(&manifest_file)?;
        let manifest =
            Manifest::check(&text, &bytes).map_err(|source| LoadError::Manifest { file: manifest_file, source })?;
        check_pin(pin, &manifest.digest)?;
        return Ok(Artifact::Cwasm { bytes, digest: manifest.wasm_sha256 });
    }
    let digest = sha256(&bytes);
    check_pin(pin, &digest)?;
    Ok(Artifact::Wasm { bytes, digest })
}

fn check_pin(pin: Option<&str>, found: &str) -> Result<(), LoadError> {
    match pin {
        Some(pin) if pin != found => Err(LoadError::Pin { pinned: pin.to_owned(), found: found.to_owned() }),
        _ => Ok(()),
    }
}

fn read_file(file: &Path) -> Result<Vec<u8>, LoadError> {
    std::fs::read(file).map_err(|source: io::Error| LoadError::Read { file: file.to_owned(), source })
}
