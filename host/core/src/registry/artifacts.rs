//! Where a registry's objects are kept: a folder, or a bucket.

use async_trait::async_trait;

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

    /// An object and its state; `None` if there is none.
    async fn get(&self, key: &str) -> Result<Option<(Vec<u8>, Tag)>, ArtifactsError>;

    /// Stores an object, whole or not at all, if its state is still this one; with `None`, if there is none yet.
    /// Whether it was stored.
    async fn put(&self, key: &str, bytes: Vec<u8>, state: Option<&Tag>) -> Result<bool, ArtifactsError>;

    /// The names directly below a folder of keys. A folder that is not there has none.
    async fn list(&self, folder: &str) -> Result<Vec<String>, ArtifactsError>;
}
