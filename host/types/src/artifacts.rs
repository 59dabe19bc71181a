//! Object storage behind a plugin registry: a folder, or a bucket.

use std::time::Duration;

use async_trait::async_trait;

/// Limit for a component, in bytes: twice the size of a Python runtime with its libraries.
pub const MAX_COMPONENT: u64 = 128 * 1024 * 1024;

/// Limit for the native code of one plugin, in bytes: compiling grows a component about threefold.
pub const MAX_NATIVE: u64 = 512 * 1024 * 1024;

/// Limit for a manifest, in bytes.
pub const MAX_MANIFEST: u64 = 1024 * 1024;

/// The most that reading or replacing an object may cost; more is an error. Whoever can write to a registry must not be
/// able to stall a host or fill its memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bound {
    pub bytes: u64,
    /// For the whole operation.
    pub time: Duration,
}

impl Bound {
    /// A pointer remembers 20 versions and 20 moves: a few KiB.
    pub const POINTER: Bound = Bound { bytes: 256 * 1024, time: Duration::from_secs(10) };

    /// The manifest of a release: what its plugin declares, and digests.
    pub const MANIFEST: Bound = Bound { bytes: MAX_MANIFEST, time: Duration::from_secs(10) };

    /// A signature has 88 characters.
    pub const SIGNATURE: Bound = Bound { bytes: 1024, time: Duration::from_secs(10) };

    /// Long enough for a slow connection.
    pub const COMPONENT: Bound = Bound { bytes: MAX_COMPONENT, time: Duration::from_secs(120) };

    pub const NATIVE: Bound = Bound { bytes: MAX_NATIVE, time: Duration::from_secs(240) };
}

/// Limit for the names listed from one folder.
pub const MAX_NAMES: usize = 100_000;

pub const LIST_TIME: Duration = Duration::from_secs(60);

/// The version of an object: other content has another tag.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tag(pub String);

#[derive(Debug, thiserror::Error)]
#[error("the registry {place} is not available: {problem}")]
pub struct ArtifactsError {
    pub place: String,
    pub problem: String,
}

/// Objects under keys such as `crm/pointers/current.json`.
#[async_trait]
pub trait Artifacts: Send + Sync + 'static {
    /// The location, for people.
    fn place(&self) -> String;

    /// An object and its tag; `None` if there is none. An object past the bound is an error.
    async fn get(&self, key: &str, bound: Bound) -> Result<Option<(Vec<u8>, Tag)>, ArtifactsError>;

    /// Stores an object atomically if its tag is still `state` or, with `None`, if there is none yet. Returns whether
    /// it was stored. The bound covers the old object and the new one.
    async fn put(&self, key: &str, bytes: Vec<u8>, state: Option<&Tag>, bound: Bound) -> Result<bool, ArtifactsError>;

    /// The names directly below a folder of keys. A missing folder has none; more than [`MAX_NAMES`] are an error.
    async fn list(&self, folder: &str) -> Result<Vec<String>, ArtifactsError>;
}
