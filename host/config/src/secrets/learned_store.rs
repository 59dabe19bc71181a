//! Where secrets are stored that handshakes bring.

use std::time::Duration;

use async_trait::async_trait;
use towpath_types::clock::Timestamp;

/// The longest name: it is also the name of a file.
const LONGEST_NAME: usize = 128;

/// Where learned secrets are stored: every change is a compare-and-swap, so of two writers one fails.
#[async_trait]
pub trait LearnedStore: Send + Sync + 'static {
    /// What is stored under this name; `None` if nothing is.
    async fn read(&self, name: &str) -> Result<Option<Version>, String>;

    /// Stores `text` durably if nothing changed since `seen` was read.
    async fn replace(&self, name: &str, seen: Option<&Version>, text: &str) -> Result<(), NotReplaced>;

    /// Makes durable what was read: a text can be seen before it survives a power cut.
    async fn settle(&self) -> Result<(), String>;

    /// The shortest interval between two reads of one secret that strangers can cause.
    fn read_every(&self) -> Duration;
}

/// A stored text. Does not print: it holds a secret.
#[derive(Clone)]
pub struct Version {
    pub text: String,
    /// Another one for every change.
    pub id: String,
    /// When it was stored, if known.
    pub at: Option<Timestamp>,
}

/// Why a text was not replaced.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotReplaced {
    #[error("it was changed by somebody else meanwhile")]
    Changed,
    #[error("{0}")]
    Failed(String),
}

/// Whether a name can be that of a learned secret: of a file, and of a whole secret in Secrets Manager.
pub(crate) fn is_name(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}
