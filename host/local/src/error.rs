//! What may be wrong with a store, and what to do about it.

use std::path::PathBuf;

use rusqlite::ErrorCode;
use towpath_types::queue::QueueError;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be made, or something in it is not what it should be.
    #[error("cannot use the folder {} for a store", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file cannot be opened, or is no store.
    #[error("cannot open the store {}", file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// Why.
        source: Trouble,
    },
    /// Its folder cannot be synced: a power cut could take a new store whole.
    #[error("cannot sync the folder {}: does the disk fail?", folder.display())]
    Sync {
        /// The folder, or one above it.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its log cannot be opened.
    #[error("cannot open the log of the store {}", file.display())]
    Log {
        /// The file of the store.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its log cannot be written again, which comes before anything else is done with it.
    #[error("cannot write the log of the store {} again", file.display())]
    Rewrite {
        /// The file of the store.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is one already.
    #[error("there is a store already: {}", file.display())]
    Exists {
        /// The file.
        file: PathBuf,
    },
    /// There is none to look at.
    #[error("there is no store in {}: has `towpath serve` run there?", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// Somebody has it open.
    #[error("the store {} is in use: stop what runs on it first", file.display())]
    InUse {
        /// The file.
        file: PathBuf,
    },
    /// An older version wrote it.
    #[error("the store {} has version {found}: the next `towpath serve` on it brings it to version {expected}", file.display())]
    Older {
        /// The file.
        file: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        expected: i64,
    },
    /// Another version wrote it.
    #[error("the store {} has version {found}, this towpath reads version {expected}", file.display())]
    Version {
        /// The file.
        file: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        expected: i64,
    },
    /// An operation failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl StoreError {
    pub(crate) fn open(file: PathBuf, source: rusqlite::Error) -> StoreError {
        StoreError::Open { file, source: Trouble(source) }
    }
}

/// What SQLite says, and what to do about it.
#[derive(Debug)]
pub struct Trouble(pub(crate) rusqlite::Error);

impl std::error::Error for Trouble {}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cure = match self.0.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => ": make room on the disk; what was answered is safe",
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                ": may this user write to the store and its folder?"
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                ": the store is damaged; stop what runs on it, and `towpath store recover` saves what can be read"
            }
            Some(ErrorCode::SystemIoFailure) => ": the disk fails, or is full",
            _ => "",
        };
        write!(f, "{}{cure}", self.0)
    }
}

/// What SQLite says, as the queue's error.
pub(crate) fn failed(error: rusqlite::Error) -> QueueError {
    QueueError::Unavailable { queue: "local".to_owned(), source: Box::new(Trouble(error)) }
}

pub(crate) fn unavailable(problem: String) -> QueueError {
    QueueError::Unavailable { queue: "local".to_owned(), source: problem.into() }
}
