//! Processes change complete segments in turns. A process that compresses a segment has read it before, and would bring back
//! what another one erases meanwhile. On a file system without locks nobody waits.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use towpath_files::lock::lock_if_supported;

/// The file whose lock is the turn.
const FILE: &str = "tidy.lock";

/// The turn of this process, until it is dropped.
pub(crate) struct Turn {
    _file: Option<File>,
}

impl Turn {
    /// Waits for the turn. `None` if there is no such folder, and so nothing to change.
    pub(crate) fn of(folder: &Path, patience: Duration) -> io::Result<Option<Turn>> {
        match lock_if_supported(&folder.join(FILE), patience) {
            Ok(file) => Ok(Some(Turn { _file: file })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
