//! A plugin's files: which one to load, and whether it is intact.

use std::io;
use std::path::{Path, PathBuf};

use super::error::LoadError;
use super::manifest::{Manifest, ManifestError, sha256};
use towpath_files::regular;
use towpath_types::artifacts::{MAX_COMPONENT, MAX_MANIFEST, MAX_NATIVE};

/// The file name of a built component in a plugin's folder.
pub const COMPONENT: &str = "plugin.wasm";

/// The file name of a precompiled plugin in a plugin's folder; its manifest has the suffix `.json`.
pub const PRECOMPILED: &str = "plugin.cwasm";

/// A plugin's code, with the digest of the component it comes from.
pub struct Artifact {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: String,
    pub(super) native: bool,
}

impl Artifact {
    pub fn wasm(bytes: Vec<u8>) -> Artifact {
        Artifact { digest: sha256(&bytes), bytes, native: false }
    }

    /// Native code, if its manifest matches it and this host. Whether the manifest itself can be trusted is up to the
    /// caller.
    pub fn native(bytes: Vec<u8>, manifest: &Manifest) -> Result<Artifact, ManifestError> {
        manifest.vouches_for(&bytes)?;
        Ok(Artifact { bytes, digest: manifest.wasm_sha256.clone(), native: true })
    }
}

/// The file that a plugin's path means: the file itself, or what is built in the folder. A host that can compile
/// prefers the component, any other host the precompiled file.
pub fn find(path: &Path) -> Result<PathBuf, LoadError> {
    // Anything that is neither a file nor a folder is rejected, by its name, when it is opened.
    if path.exists() && !path.is_dir() {
        return Ok(path.to_owned());
    }
    let order = if cfg!(feature = "compile") { [COMPONENT, PRECOMPILED] } else { [PRECOMPILED, COMPONENT] };
    let found = order.iter().map(|name| path.join(name)).find(|file| file.exists());
    found.ok_or_else(|| {
        if path.is_dir() { LoadError::NotBuilt(path.to_owned()) } else { LoadError::Missing(path.to_owned()) }
    })
}

/// The SHA-256 of the component at a path, in hex, without loading it. Reads the whole file.
pub fn digest_at(path: &Path) -> Result<String, LoadError> {
    read(path, None).map(|artifact| artifact.digest)
}

/// Reads a plugin's file and checks it against the pin and, if it is precompiled, its manifest.
pub(super) fn read(path: &Path, pin: Option<&str>) -> Result<Artifact, LoadError> {
    let file = find(path)?;
    if file.extension().is_none_or(|extension| extension != "cwasm") {
        let artifact = Artifact::wasm(read_file(&file, MAX_COMPONENT)?);
        check_pin(pin, &artifact.digest)?;
        return Ok(artifact);
    }
    let bytes = read_file(&file, MAX_NATIVE)?;
    let manifest_file = file.with_added_extension("json");
    let text = read_file(&manifest_file, MAX_MANIFEST)?;
    let wrong = |source| LoadError::Manifest { file: manifest_file.clone(), source };
    let manifest = Manifest::read(&text).map_err(wrong)?;
    let artifact = Artifact::native(bytes, &manifest).map_err(wrong)?;
    check_pin(pin, &manifest.digest)?;
    Ok(artifact)
}

pub(super) fn check_pin(pin: Option<&str>, found: &str) -> Result<(), LoadError> {
    match pin {
        Some(pin) if pin != found => Err(LoadError::Pin { pinned: pin.to_owned(), found: found.to_owned() }),
        _ => Ok(()),
    }
}

fn read_file(file: &Path, limit: u64) -> Result<Vec<u8>, LoadError> {
    regular::read(file, limit).map_err(|source: io::Error| LoadError::Read { file: file.to_owned(), source })
}
