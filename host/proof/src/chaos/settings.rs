//! What a run of chaos is asked to do.

use std::path::PathBuf;
use std::time::Duration;

/// What is run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The binary `towpath`.
    pub binary: PathBuf,
    /// Where everything is kept; what is there is not looked at.
    pub folder: PathBuf,
    /// What decides on events and faults.
    pub seed: u64,
    /// How long there are faults.
    pub length: Duration,
    /// How many groups.
    pub groups: u32,
    /// About how many events a second.
    pub rate: u32,
    /// How many `serve` and how many `poll`.
    pub hosts: (usize, usize),
    /// The function `bootstrap`: then `dev` runs it over the queue, as one more host.
    pub bootstrap: Option<PathBuf>,
    /// Whether the binary was built with the feature `faults`: then its clocks are put forward and back.
    pub clocks: bool,
    /// A bug of a binary with that feature, that is to be found.
    pub planted: Option<String>,
}
