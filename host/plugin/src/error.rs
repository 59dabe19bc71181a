//! Why a plugin cannot be loaded.

use std::path::PathBuf;

use towpath_types::outcome::Fault;

use super::host::CONTRACT;
use super::manifest::ManifestError;

/// A mistake in a plugin's config, reported by the plugin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// A JSON pointer.
    pub at: String,
    pub message: String,
}

/// Why a plugin cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("there is no plugin at {}", .0.display())]
    Missing(PathBuf),
    /// A folder without a component.
    #[error("no plugin is built in {dir}: run `towpath plugin build {dir}`", dir = .0.display())]
    NotBuilt(PathBuf),
    #[error("cannot read {}", file.display())]
    Read { file: PathBuf, source: std::io::Error },
    /// The component is not the one that the config pins.
    #[error("the digest is {found}, the config pins {pinned}: is this the build that was reviewed?")]
    Pin { pinned: String, found: String },
    /// The manifest does not match.
    #[error("{}", file.display())]
    Manifest {
        /// The manifest.
        file: PathBuf,
        source: ManifestError,
    },
    /// The config gives it neither a path nor a registry.
    #[error("it has no path, and the config no registry: add path, or [registry]")]
    NoPath,
    /// This host has no compiler.
    #[error("this host loads precompiled plugins only: run `towpath plugin build --precompile`")]
    NoCompiler,
    /// Not a component.
    #[error("not a WebAssembly component: {0}")]
    Component(String),
    /// It implements another contract, or none.
    #[error(
        "plugin {plugin} {speaks}, this host speaks towpath:plugin {CONTRACT}: rebuild the plugin or upgrade the host"
    )]
    Contract {
        plugin: String,
        /// Its own version, in words.
        speaks: String,
    },
    /// An import that plugins are not allowed.
    #[error("the plugin imports {0}, which plugins are not allowed")]
    ForbiddenImport(String),
    /// Its types differ from the contract.
    #[error("the plugin does not fit the contract: {0}")]
    Shape(String),
    /// It fails in a trial call.
    #[error("the plugin fails in its {step}: {fault}")]
    Trial {
        /// `start`, `describe` or `check-config`.
        step: &'static str,
        fault: Box<Fault>,
    },
    /// The plugin rejects its config.
    #[error("the plugin rejects its config:{}", list(.0))]
    Config(Vec<Problem>),
    /// It needs a target that the config does not have.
    #[error("the plugin delivers to {wanted:?}, but the config has no such target: add [target.{wanted}]")]
    UnknownTarget { wanted: String },
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|Problem { at, message }| format!("\n  {at}: {message}")).collect()
}
