//! The settings of a chaos run.

use std::path::PathBuf;
use std::time::Duration;

/// The settings of a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The binary `towpath`.
    pub binary: PathBuf,
    /// The folder for all files of the run; existing ones are ignored.
    pub folder: PathBuf,
    /// The seed of events and faults.
    pub seed: u64,
    /// How long faults are injected.
    pub length: Duration,
    /// The number of groups.
    pub groups: u32,
    /// About how many events per second.
    pub rate: u32,
    /// How many `serve` and how many `poll`.
    pub hosts: (usize, usize),
    /// The function `bootstrap`; if set, `dev` runs it on the queue as one more host.
    pub bootstrap: Option<PathBuf>,
    /// Whether the binary has the feature `faults`; if so, its clocks are moved.
    pub clocks: bool,
    /// The bug to plant in such a binary, which the run must find.
    pub planted: Option<String>,
}
