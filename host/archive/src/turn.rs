//! Processes change complete segments in turns. A process that compresses a segment has read it before, and would bring back
//! what another one erases meanwhile.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use towpath_files::lock::lock;

/// The file whose lock is the turn.
const FILE: &str = "tidy.lock";

/// A process has its turn for as long as a few segments take to compress.
const PATIENCE: Duration = Duration::from_secs(60);

/// The turn of this process, until it is dropped.
pub(crate) struct Turn {
    _file: File,
}

impl Turn {
    /// Waits for the turn. `None` if there is no such folder, and so nothing to change.
    pub(crate) fn of(folder: &Path) -> io::Result<Option<Turn>> {
        match lock(&folder.join(FILE), PATIENCE) {
            Ok(file) => Ok(Some(Turn { _file: file })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
