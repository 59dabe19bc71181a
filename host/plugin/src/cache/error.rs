//! Why nothing compiled is kept.

use std::io;
use std::path::PathBuf;

/// Why nothing compiled is kept.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The folder cannot be made or looked at.
    #[error("cannot use the cache folder {}: set XDG_CACHE_HOME to one of this user", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may write there.
    #[error("the cache folder {} {problem}", folder.display())]
    Open {
        /// The folder.
        folder: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The key cannot be made or read.
    #[error("cannot use the key of the cache, {}: set XDG_STATE_HOME to a folder of this user", file.display())]
    KeyFile {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may know the key.
    #[error("the key of the cache, {}, {problem}: delete it, then a new one is made and plugins are compiled again", file.display())]
    Key {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
}
