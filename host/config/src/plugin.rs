//! `[plugin.NAME]`: where the code of a plugin is, and what it may use.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Secret;
use crate::registry::Reference;

/// `[plugin.NAME]` of the config.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name in the config.
    pub name: String,
    /// Where its code is.
    pub code: Code,
    /// Whether the host runs without it: the candidate of a route.
    pub optional: bool,
    /// What its digest must be: of the `.wasm` file, or of a `.cwasm` file's manifest.
    pub sha256: Option<String>,
    /// The lowest sequence that its signed pointer in the registry may have.
    pub min_sequence: u64,
    /// What one call may use.
    pub limits: Limits,
    /// The plugin's own config as JSON.
    pub config: String,
    /// The secrets that it may put into headers, by name.
    pub secrets: BTreeMap<String, Secret>,
}

impl Settings {
    /// A plugin at this path with everything else as by default.
    pub fn at(name: impl Into<String>, path: impl Into<PathBuf>) -> Settings {
        Settings {
            name: name.into(),
            code: Code::Path(path.into()),
            optional: false,
            sha256: None,
            min_sequence: 0,
            limits: Limits::default(),
            config: "{}".to_owned(),
            secrets: BTreeMap::new(),
        }
    }
}

/// Where the code of a plugin is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Code {
    /// A folder with a built component, or a `.wasm` or `.cwasm` file.
    Path(PathBuf),
    /// A channel or version in the registry of the config.
    Registry(Reference),
}

impl Code {
    /// The path, if it is not in a registry.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Code::Path(path) => Some(path),
            Code::Registry(_) => None,
        }
    }
}

/// What one call of a plugin may use. What cannot be set here: 1 MiB out, 16 requests, 64 log lines of
/// 4 KiB, and 16 KiB of stderr are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Linear memory, in bytes.
    pub memory: usize,
    /// Fuel: about one unit an instruction. The same call uses the same on every machine.
    pub fuel: u64,
    /// The wall clock, as the backstop: fuel should run out well before.
    pub timeout: Duration,
}

impl Default for Limits {
    /// 64 MiB, 500,000,000 units of fuel, 2 s.
    fn default() -> Limits {
        Limits { memory: 64 * 1024 * 1024, fuel: 500_000_000, timeout: Duration::from_secs(2) }
    }
}

/// What the requests of a plugin may use.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// The targets it may name: those that it describes.
    pub targets: &'a [String],
    /// The secrets it may put into headers, by name.
    pub secrets: &'a BTreeMap<String, Secret>,
}
