//! The settings of a benchmark.

use std::path::PathBuf;

use super::figure::Row;

/// The settings of a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The binary `towpath`.
    pub binary: PathBuf,
    /// The function `bootstrap`; without it, its row is omitted.
    pub bootstrap: Option<PathBuf>,
    /// `tests/baseline/runtime.py`; without it, its row is omitted.
    pub python: Option<PathBuf>,
    /// The folder for all files of the run.
    pub folder: PathBuf,
    /// Whether to run only the base scenario.
    pub quick: bool,
    /// The rows to run; if empty, all.
    pub rows: Vec<Row>,
}
