//! Why a plugin is not loaded.

use std::path::PathBuf;

use towpath_types::outcome::Fault;

use super::host::CONTRACT;
use super::manifest::ManifestError;

/// One mistake in a plugin's config, found by the plugin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Where, as a JSON pointer.
    pub at: String,
    /// What.
    pub message: String,
}

/// Why a plugin is not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Nothing there.
    #[error("there is no plugin at {}", .0.display())]
    Missing(PathBuf),
    /// A folder without a component.
    #[error("no plugin is built in {dir}: run `towpath plugin build {dir}`", dir = .0.display())]
    NotBuilt(PathBuf),
    /// A file cannot be read.
    #[error("cannot read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another file than the config pins.
    #[error("the digest is {found}, the config pins {pinned}: is this the build that was reviewed?")]
    Pin {
        /// What the config says.
        pinned: String,
        /// What was found.
        found: String,
    },
    /// The manifest does not vouch for it.
    #[error("{}", file.display())]
    Manifest {
        /// The manifest.
        file: PathBuf,
        /// Why.
        source: ManifestError,
    },
    /// It has no path.
    #[error("it has no path, and the config no registry: add path, or [registry]")]
    NoPath,
    /// This host has no compiler.
    #[error("this host loads precompiled plugins only: run `towpath plugin build --precompile`")]
    NoCompiler,
    /// No component.
    #[error("not a WebAssembly component: {0}")]
    Component(String),
    /// Another contract, or none.
    #[error(
        "plugin {plugin} {speaks}, this host speaks towpath:plugin {CONTRACT}: rebuild the plugin or upgrade the host"
    )]
    Contract {
        /// The plugin.
        plugin: String,
        /// What it speaks.
        speaks: String,
    },
    /// Something that no plugin gets.
    #[error("the plugin imports {0}, which no plugin is given")]
    ForbiddenImport(String),
    /// Its types are not those of the contract.
    #[error("the plugin does not fit the contract: {0}")]
    Shape(String),
    /// It fails as soon as it is used.
    #[error("the plugin fails in its {step}: {fault}")]
    Trial {
        /// `start`, `describe` or `check-config`.
        step: &'static str,
        /// How.
        fault: Box<Fault>,
    },
    /// It does not like its config.
    #[error("the plugin's config is wrong:{}", list(.0))]
    Config(Vec<Problem>),
    /// It wants targets that the config does not have.
    #[error("the plugin delivers to {wanted:?}, which is no target of the config: add [target.{wanted}]")]
    UnknownTarget {
        /// The target.
        wanted: String,
    },
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|Problem { at, message }| format!("\n  {at}: {message}")).collect()
}
