//! `[plugin.NAME]`: where a plugin's code is, and its limits.

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
    pub code: Code,
    /// Whether the host can run without it: the candidate of a route.
    pub optional: bool,
    /// The required digest: of the `.wasm` file, or the one in a `.cwasm` file's manifest.
    pub sha256: Option<String>,
    /// The lowest accepted sequence of its signed pointer in the registry.
    pub min_sequence: u64,
    pub limits: Limits,
    /// The plugin's own config as JSON.
    pub config: String,
    /// The secrets that it may put into headers, by name.
    pub secrets: BTreeMap<String, Secret>,
    /// Why its requests cannot be sent yet: a secret is not available.
    pub unready: Option<String>,
}

impl Settings {
    /// A plugin at this path, with defaults for everything else.
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
            unready: None,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Code {
    /// A folder with a built component, or a `.wasm` or `.cwasm` file.
    Path(PathBuf),
    /// A channel or version in the registry of the config.
    Registry(Reference),
}

impl Code {
    /// The path, unless it comes from a registry.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Code::Path(path) => Some(path),
            Code::Registry(_) => None,
        }
    }
}

/// The limits of one plugin call. Not configurable: 1 MiB of output, 16 requests, 64 log lines of 4 KiB, and 16 KiB of
/// kept stderr.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Linear memory, in bytes.
    pub memory: usize,
    /// Fuel, about one unit per instruction. The same call uses the same amount on every machine.
    pub fuel: u64,
    /// The wall-clock limit, as a backstop: fuel should run out well before.
    pub timeout: Duration,
}

impl Default for Limits {
    /// 64 MiB, 500,000,000 units of fuel, 2 s.
    fn default() -> Limits {
        Limits { memory: 64 * 1024 * 1024, fuel: 500_000_000, timeout: Duration::from_secs(2) }
    }
}

/// What a plugin's requests may use.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// The targets that it declares.
    pub targets: &'a [String],
    /// The secrets that it may put into headers, by name.
    pub secrets: &'a BTreeMap<String, Secret>,
}
