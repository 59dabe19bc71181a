//! What a benchmark is asked to measure.

use std::path::PathBuf;

use super::figure::Row;

/// What is run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The binary `towpath`.
    pub binary: PathBuf,
    /// The function `bootstrap`; without it its row is left out.
    pub bootstrap: Option<PathBuf>,
    /// `tests/baseline/runtime.py`; without it its row is left out.
    pub python: Option<PathBuf>,
    /// Where everything is kept.
    pub folder: PathBuf,
    /// The base scenario and nothing else.
    pub quick: bool,
    /// These rows and no others; without any, all of them.
    pub rows: Vec<Row>,
}
