//! The manifest of a precompiled plugin. A `.cwasm` is trusted code: with one flipped bit it may load silently or crash
//! the process, so it is loaded only if a manifest matches it byte for byte.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::host::{SETTINGS, WASMTIME, host_triple};

/// The content of `NAME.cwasm.json` next to `NAME.cwasm`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this format: 1.
    pub v: u32,
    /// The SHA-256 of the compiled component, in hex.
    pub wasm_sha256: String,
    /// The SHA-256 of the `.cwasm` file, in hex.
    pub cwasm_sha256: String,
    /// The full version of wasmtime.
    pub wasmtime: String,
    /// The target triple.
    pub target: String,
    /// The engine's settings.
    pub settings: String,
    /// The SHA-256 over all other fields: see [`Manifest::seal`].
    pub digest: String,
}

/// Why a precompiled plugin is not loaded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Malformed JSON.
    #[error("the manifest is not readable: {0}")]
    Json(String),
    /// The manifest was changed or damaged.
    #[error("the manifest's digest does not match its content: it was changed or damaged; precompile the plugin again")]
    Digest,
    /// It belongs to another file.
    #[error("the .cwasm file is not the one of its manifest: it was changed or damaged; precompile the plugin again")]
    Cwasm,
    /// It was made for another host.
    #[error(
        "compiled for {what} {found:?}, but this host has {here:?}: precompile the plugin again with the host's own towpath"
    )]
    Mismatch {
        what: &'static str,
        /// In the manifest.
        found: String,
        /// Required by this host.
        here: String,
    },
}

impl Manifest {
    /// The manifest of a component that this build of the host compiled for a target.
    pub fn seal(wasm: &[u8], cwasm: &[u8], target: &str) -> Manifest {
        let mut manifest = Manifest {
            v: 1,
            wasm_sha256: sha256(wasm),
            cwasm_sha256: sha256(cwasm),
            wasmtime: WASMTIME.to_owned(),
            target: target.to_owned(),
            settings: SETTINGS.to_owned(),
            digest: String::new(),
        };
        manifest.digest = manifest.content_digest();
        manifest
    }

    pub fn read(text: &[u8]) -> Result<Manifest, ManifestError> {
        serde_json::from_slice(text).map_err(|error| ManifestError::Json(error.to_string()))
    }

    /// Checks that it is intact, and that it matches this `.cwasm` and this host.
    pub fn vouches_for(&self, cwasm: &[u8]) -> Result<(), ManifestError> {
        if self.digest != self.content_digest() {
            return Err(ManifestError::Digest);
        }
        if self.cwasm_sha256 != sha256(cwasm) {
            return Err(ManifestError::Cwasm);
        }
        let pairs = [
            ("wasmtime", &self.wasmtime, WASMTIME),
            ("the target", &self.target, host_triple()),
            ("the settings", &self.settings, SETTINGS),
        ];
        for (what, found, here) in pairs {
            if found != here {
                return Err(ManifestError::Mismatch { what, found: found.clone(), here: here.to_owned() });
            }
        }
        Ok(())
    }

    fn content_digest(&self) -> String {
        let Manifest { v, wasm_sha256, cwasm_sha256, wasmtime, target, settings, digest: _ } = self;
        sha256(format!("{v}\n{wasm_sha256}\n{cwasm_sha256}\n{wasmtime}\n{target}\n{settings}\n").as_bytes())
    }
}

/// The SHA-256 of bytes, in hex.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
