//! Releases: immutable content, published under a version.

use serde::{Deserialize, Serialize};

use towpath_plugin::{Description, Manifest, digest};
use towpath_types::clock::Timestamp;

/// The target triples of Lambda's architectures, `x86_64` and `arm64`, for which releases are compiled.
pub const TARGETS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// The content of `NAME/versions/VERSION/manifest.json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Release {
    /// The version of this format: 1.
    pub v: u32,
    /// The plugin's name in the registry.
    pub name: String,
    /// The plugin's own version, plus a digest of component, compiler and settings.
    pub version: String,
    /// The contract that it implements, such as `towpath:plugin@1.0.0`.
    pub contract: String,
    /// What the plugin declares.
    pub description: Description,
    /// The SHA-256 of the component, in hex.
    pub wasm_sha256: String,
    /// The native code, one entry per target.
    pub builds: Vec<Manifest>,
    /// Number of golden cases that it passed.
    pub cases: u32,
    /// The git commit that it was built from, with the suffix `-dirty` if the folder had changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    pub published_at: Timestamp,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub published_by: String,
}

impl Release {
    /// The release in this manifest, if it is equivalent to this one: only publisher, time, number of cases and commit
    /// may differ. Fields that this program does not know are not allowed.
    pub(super) fn found_again(&self, manifest: &[u8]) -> Option<Release> {
        let theirs: Release = serde_json::from_slice(manifest).ok()?;
        let Release { cases, commit, published_at, published_by, .. } = theirs.clone();
        let expected = Release { cases, commit, published_at, published_by, ..self.clone() };
        let written: serde_json::Value = serde_json::from_slice(manifest).ok()?;
        (serde_json::to_value(expected).ok()? == written).then_some(theirs)
    }
}

/// The version under which a component is published: `1.2.0-3f2a9c1b7d04`. It depends only on the component, the
/// compiler and its settings.
pub(super) fn version(own: &str, builds: &[Manifest]) -> String {
    let own: String =
        own.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.+".contains(c) { c } else { '_' }).collect();
    let own = own.trim_start_matches('.').get(..40.min(own.trim_start_matches('.').len())).unwrap_or_default();
    let facts: String = builds
        .iter()
        .map(|build| format!("{} {} {} {}\n", build.wasm_sha256, build.wasmtime, build.settings, build.target))
        .collect();
    let digest = digest(facts.as_bytes());
    let short = digest.get(..12).unwrap_or_default();
    if own.is_empty() { short.to_owned() } else { format!("{own}-{short}") }
}

/// The file of the native code for a target.
pub(super) fn native_file(target: &str) -> String {
    format!("{target}.cwasm")
}
