//! Releases: what was published under a version, and never changes.

use serde::{Deserialize, Serialize};

use towpath_plugin::{Description, Manifest, digest};
use towpath_types::clock::Timestamp;

/// The target triples of Lambda's architectures, `x86_64` and `arm64`: what releases are compiled for.
pub const TARGETS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// What stands in `NAME/versions/VERSION/manifest.json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Release {
    /// The version of this format: 1.
    pub v: u32,
    /// The plugin's name in the registry.
    pub name: String,
    /// The version: what the plugin calls itself, and a digest of component, compiler and settings.
    pub version: String,
    /// The contract that it speaks, such as `towpath:plugin@1.0.0`.
    pub contract: String,
    /// What the plugin says of itself.
    pub description: Description,
    /// The SHA-256 of the component, in hex.
    pub wasm_sha256: String,
    /// What it was compiled to, and by what: one for each target.
    pub builds: Vec<Manifest>,
    /// How many golden cases it passed.
    pub cases: u32,
    /// The git commit that it was built from; `-dirty` behind it if the folder had changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// When it was published.
    pub published_at: Timestamp,
    /// By whom.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub published_by: String,
}

impl Release {
    /// The release of this manifest, if it says what this one says: only who published it, when, with how many cases and from which commit
    /// may differ. What this program does not know it may not say either.
    pub(super) fn found_again(&self, manifest: &[u8]) -> Option<Release> {
        let theirs: Release = serde_json::from_slice(manifest).ok()?;
        let Release { cases, commit, published_at, published_by, .. } = theirs.clone();
        let expected = Release { cases, commit, published_at, published_by, ..self.clone() };
        let written: serde_json::Value = serde_json::from_slice(manifest).ok()?;
        (serde_json::to_value(expected).ok()? == written).then_some(theirs)
    }
}

/// The version under which a component is published: `1.2.0-3f2a9c1b7d04`. The same component, compiled by the same
/// compiler with the same settings, always has the same one.
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

/// The file of what was compiled for a target.
pub(super) fn native_file(target: &str) -> String {
    format!("{target}.cwasm")
}
