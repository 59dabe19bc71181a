//! Errors of a store, and what to do about them.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use towpath_types::queue::QueueError;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder or a file in it cannot be created or read, or is a symbolic link.
    #[error("cannot use the folder {} for a store", folder.display())]
    Folder { folder: PathBuf, source: std::io::Error },
    /// The file cannot be opened, or is not a store.
    #[error("cannot open the store {}", file.display())]
    Open { file: PathBuf, source: Trouble },
    /// The folder, or one above it, cannot be fsynced. A power cut could then remove a new store.
    #[error("cannot fsync the folder {}; check the disk", folder.display())]
    Sync { folder: PathBuf, source: std::io::Error },
    #[error("cannot open the WAL of the store {}", file.display())]
    Log { file: PathBuf, source: std::io::Error },
    /// The WAL may be in doubt, and must be rewritten before anything else is done with the store.
    #[error("cannot rewrite the WAL of the store {}", file.display())]
    Rewrite { file: PathBuf, source: std::io::Error },
    /// The file that shows other hosts whether this one still runs.
    #[error("cannot lock or remove the file {}", file.display())]
    Holder { file: PathBuf, source: std::io::Error },
    #[error("a store already exists: {}; use another folder", file.display())]
    Exists { file: PathBuf },
    #[error("there is no store in {}: has `towpath serve` run there?", folder.display())]
    Missing { folder: PathBuf },
    #[error("the store {} is in use: stop every process that uses it first", file.display())]
    InUse { file: PathBuf },
    /// It could not be rewritten without its deleted bytes, or its WAL not emptied.
    #[error("cannot rewrite the store {} without what was deleted: try again", file.display())]
    Scrub { file: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    /// An older version of Towpath wrote the store, and it was not opened for writing, which would upgrade it.
    #[error("the store {} has version {found}: run `towpath serve` on it to upgrade it to version {expected}", file.display())]
    Older { file: PathBuf, found: i64, expected: i64 },
    /// A newer version of Towpath wrote the store.
    #[error("the store {} has version {found}, this towpath reads version {expected}: upgrade towpath", file.display())]
    Version { file: PathBuf, found: i64, expected: i64 },
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl StoreError {
    pub(crate) fn open(file: PathBuf, source: rusqlite::Error) -> StoreError {
        StoreError::Open { file, source: Trouble(source) }
    }

    pub(crate) fn scrub(file: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
        StoreError::Scrub { file: file.to_owned(), source: source.into() }
    }
}

/// An error of SQLite; its text also says what to do about it.
#[derive(Debug)]
pub struct Trouble(pub(crate) rusqlite::Error);

impl std::error::Error for Trouble {}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cure = match self.0.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => ": free disk space; acknowledged messages are safe",
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                ": check that this user may write to the store and its folder"
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                ": the store is damaged; stop every process that uses it; `towpath store recover` saves what can be read"
            }
            Some(ErrorCode::SystemIoFailure) => ": check that the disk works and has free space",
            _ => "",
        };
        write!(f, "{}{cure}", self.0)
    }
}

/// An error of SQLite as an error of the queue.
pub(crate) fn failed(error: rusqlite::Error) -> QueueError {
    QueueError::Unavailable { queue: "local".to_owned(), source: Box::new(Trouble(error)) }
}

pub(crate) fn unavailable(problem: String) -> QueueError {
    QueueError::Unavailable { queue: "local".to_owned(), source: problem.into() }
}
