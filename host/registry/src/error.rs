//! What can be wrong with a registry, and with moving what is in it.

use towpath_plugin::ManifestError;
use towpath_types::artifacts::ArtifactsError;

/// Why something of a registry cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The registry cannot be read or written.
    #[error(transparent)]
    Artifacts(#[from] ArtifactsError),
    /// Nothing published.
    #[error("{place} has no {what}: `towpath plugin versions {name}` shows what there is")]
    Missing {
        /// The registry.
        place: String,
        /// What is missing.
        what: String,
        /// The plugin.
        name: String,
    },
    /// An object that is not what it should be.
    #[error("{key} is not readable: {problem}")]
    Unreadable {
        /// The object.
        key: String,
        /// Why.
        problem: String,
    },
    /// Changed or damaged.
    #[error("{key} is not what was published: its digest is {found}, it should be {wanted}")]
    Digest {
        /// The object.
        key: String,
        /// What it is.
        found: String,
        /// What was published.
        wanted: String,
    },
    /// Nobody vouches for it.
    #[error(
        "the signature of {key} is not by the key of the config: {problem}. `towpath plugin publish` of the same component with the \
        key signs it"
    )]
    Signature {
        /// The manifest.
        key: String,
        /// `it is missing`, or `it does not fit`.
        problem: &'static str,
    },
    /// Nobody vouches for where it points.
    #[error(
        "{key} is not a pointer that the key of the config signed: {problem}. Look at it with `towpath plugin versions {name}`; \
        if it is right, run `towpath plugin sign-pointer {name} --channel {channel} --key FILE`; else `towpath plugin publish` with \
        the key replaces it"
    )]
    Unsigned {
        /// The pointer.
        key: String,
        /// The plugin.
        name: String,
        /// The channel.
        channel: String,
        /// What is wrong with its signature.
        problem: &'static str,
    },
    /// Signed, and not the newest.
    #[error(
        "{key} is an older pointer: its sequence is {found}, and {wanted} was seen before or is the config's min_sequence. Somebody \
        may have put it back so that an old release runs: look at `towpath plugin versions`, find out who did, and name the release \
        that is to run, with `towpath plugin publish` or `towpath plugin pin --to VERSION` and the key"
    )]
    Older {
        /// The pointer.
        key: String,
        /// Its sequence.
        found: u64,
        /// The lowest that is taken.
        wanted: u64,
    },
    /// A manifest of another plugin or version, under this one's name.
    #[error("{key} is the manifest of {found}: it was put where it does not belong")]
    Misplaced {
        /// The manifest.
        key: String,
        /// What it says it is.
        found: String,
    },
    /// Not compiled for this host.
    #[error(
        "{version} is not compiled for {target}: publish it again, with `towpath plugin publish` of the host's version"
    )]
    NotCompiled {
        /// The version.
        version: String,
        /// This host's target triple.
        target: String,
    },
    /// Compiled by something else than this host.
    #[error("{key}")]
    Compiled {
        /// The object.
        key: String,
        /// What does not fit.
        source: ManifestError,
    },
}

impl RegistryError {
    /// Whether whoever may write to the registry can bring it about. What is wrong with a release that was vouched for is not
    /// of that kind.
    pub(crate) fn is_of_the_place(&self) -> bool {
        match self {
            RegistryError::NotCompiled { .. } => false,
            RegistryError::Compiled { source, .. } => !matches!(source, ManifestError::Mismatch { .. }),
            _ => true,
        }
    }

    /// Whether it is the pointer that is no good, and no release.
    pub(super) fn is_of_the_pointer(&self) -> bool {
        matches!(self, RegistryError::Unsigned { .. } | RegistryError::Older { .. } | RegistryError::Unreadable { .. })
    }

    /// Whether somebody may be at work who should not be.
    pub(super) fn is_suspicious(&self) -> bool {
        matches!(self, RegistryError::Unsigned { .. } | RegistryError::Older { .. })
    }
}

/// Why a pointer was not moved.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Somebody else moved it meanwhile.
    #[error(
        "somebody else moved {channel} of {name} meanwhile: look at `towpath plugin versions {name}`, then do this again"
    )]
    Conflict {
        /// The plugin.
        name: String,
        /// The channel.
        channel: String,
    },
    /// It stays where it is.
    #[error(
        "{channel} of {name} is pinned to {version}, it stays there; {published} is in the registry: \
        `towpath plugin pin {name} --off` lets it move"
    )]
    Pinned {
        /// The plugin.
        name: String,
        /// The channel.
        channel: String,
        /// Where it is pinned to.
        version: String,
        /// What was to become of it.
        published: String,
    },
    /// Hosts take no pointer that is not signed.
    #[error(
        "pointers of this registry are signed, and moving {channel} of {name} takes the key: give --key FILE, or set \
        TOWPATH_SIGNING_KEY_FILE"
    )]
    NoKey {
        /// The plugin.
        name: String,
        /// The channel.
        channel: String,
    },
    /// Nothing to go back to.
    #[error(
        "nothing is remembered that {channel} of {name} was at before {version}: name a version, \
        `towpath plugin rollback {name} --to VERSION`"
    )]
    NothingBefore {
        /// The plugin.
        name: String,
        /// The channel.
        channel: String,
        /// Where it is.
        version: String,
    },
    /// A version to which it is no way back.
    #[error(
        "{wanted} is not among the last versions that {channel} of {name} was at: `towpath plugin pin {name} --to {wanted}` \
        moves it there all the same"
    )]
    NotBefore {
        /// The plugin.
        name: String,
        /// The channel.
        channel: String,
        /// The version.
        wanted: String,
    },
    /// The version is there with other content.
    #[error(
        "{name} {version} is in the registry with another manifest than that of this build: was it changed? If nobody runs it, \
        remove {name}/versions/{version} there and publish again; else give the plugin another version"
    )]
    Taken {
        /// The plugin.
        name: String,
        /// The version.
        version: String,
    },
    /// Somebody else stores the same.
    #[error("somebody else stored {key} meanwhile: do this again")]
    Meanwhile {
        /// The object.
        key: String,
    },
}
