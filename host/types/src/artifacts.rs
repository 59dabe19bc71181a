//! Where a registry's objects are kept: a folder, or a bucket.

use std::time::Duration;

use async_trait::async_trait;

/// The largest component, in bytes: twice a whole runtime of Python with its libraries.
pub const MAX_COMPONENT: u64 = 128 * 1024 * 1024;

/// The most native code of one plugin, in bytes: a component grows threefold or so.
pub const MAX_NATIVE: u64 = 512 * 1024 * 1024;

/// The longest manifest, in bytes.
pub const MAX_MANIFEST: u64 = 1024 * 1024;

/// What reading or replacing an object may cost. More is an error: who may write to a registry must not stop a host, or fill its
/// memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bound {
    /// The most bytes that it may have.
    pub bytes: u64,
    /// The longest that all of it may take.
    pub time: Duration,
}

impl Bound {
    /// A pointer remembers 20 versions and 20 moves, which is some KiB.
    pub const POINTER: Bound = Bound { bytes: 256 * 1024, time: Duration::from_secs(10) };

    /// The manifest of a release: what its plugin says of itself, and digests.
    pub const MANIFEST: Bound = Bound { bytes: MAX_MANIFEST, time: Duration::from_secs(10) };

    /// A signature is 88 characters.
    pub const SIGNATURE: Bound = Bound { bytes: 1024, time: Duration::from_secs(10) };

    /// A component; in this time a slow line has it too.
    pub const COMPONENT: Bound = Bound { bytes: MAX_COMPONENT, time: Duration::from_secs(120) };

    /// Native code.
    pub const NATIVE: Bound = Bound { bytes: MAX_NATIVE, time: Duration::from_secs(240) };
}

/// The most names that are listed of a folder.
pub const MAX_NAMES: usize = 100_000;

/// How long listing a folder may take.
pub const LIST_TIME: Duration = Duration::from_secs(60);

/// The state of an object: another content has another tag.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tag(pub String);

/// Why objects could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the registry {place} is not available: {problem}")]
pub struct ArtifactsError {
    /// The registry.
    pub place: String,
    /// What went wrong.
    pub problem: String,
}

/// Objects by keys such as `crm/pointers/current.json`.
#[async_trait]
pub trait Artifacts: Send + Sync + 'static {
    /// Where they are, for people.
    fn place(&self) -> String;

    /// An object and its state; `None` if there is none. One that is more than the bound is an error.
    async fn get(&self, key: &str, bound: Bound) -> Result<Option<(Vec<u8>, Tag)>, ArtifactsError>;

    /// Stores an object, whole or not at all, if its state is still this one; with `None`, if there is none yet.
    /// Whether it was stored. The bound is for the old object and the new one.
    async fn put(&self, key: &str, bytes: Vec<u8>, state: Option<&Tag>, bound: Bound) -> Result<bool, ArtifactsError>;

    /// The names directly below a folder of keys. A folder that is not there has none; more than
    /// [`MAX_NAMES`] are an error.
    async fn list(&self, folder: &str) -> Result<Vec<String>, ArtifactsError>;
}
