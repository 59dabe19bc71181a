//! Why compiled plugins are not cached.

use std::io;
use std::path::PathBuf;

/// Why compiled plugins are not cached.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The folder cannot be created or inspected.
    #[error("cannot use the cache folder {}: set XDG_CACHE_HOME to a folder that this user owns", folder.display())]
    Folder { folder: PathBuf, source: io::Error },
    /// Others can write there.
    #[error("the cache folder {} {problem}", folder.display())]
    Open {
        folder: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The key cannot be created or read.
    #[error("cannot use the key of the cache, {}: set XDG_STATE_HOME to a folder that this user owns", file.display())]
    KeyFile { file: PathBuf, source: io::Error },
    /// Others may know the key.
    #[error("the key of the cache, {}, {problem}: delete it; a new one will be created", file.display())]
    Key { file: PathBuf, problem: String },
}
