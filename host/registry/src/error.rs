//! Errors of a registry, and of moving its pointers.

use towpath_plugin::ManifestError;
use towpath_types::artifacts::ArtifactsError;

/// Why something in a registry cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error(transparent)]
    Artifacts(#[from] ArtifactsError),
    #[error("{place} has no {what}: `towpath plugin versions {name}` shows what there is")]
    Missing { place: String, what: String, name: String },
    /// The object is malformed.
    #[error("{key} is not readable: {problem}")]
    Unreadable { key: String, problem: String },
    /// The object was changed or damaged.
    #[error("{key} is not what was published: its digest is {found}, expected {wanted}")]
    Digest { key: String, found: String, wanted: String },
    /// The release is not signed with the configured key.
    #[error(
        "{key} has no valid signature by the key in the config: {problem}. Run `towpath plugin publish` on the same component with \
        the key to sign it"
    )]
    Signature {
        /// The manifest.
        key: String,
        /// `it is missing`, or `it does not match`.
        problem: &'static str,
    },
    /// The pointer is not signed with the configured key.
    #[error(
        "{key} has no valid signature by the key in the config: {problem}. Inspect it with `towpath plugin versions {name}`; \
        if it is right, run `towpath plugin sign-pointer {name} --channel {channel} --key FILE`; else replace it by \
        `towpath plugin publish` with the key"
    )]
    Unsigned {
        /// The pointer.
        key: String,
        name: String,
        channel: String,
        /// What is wrong with its signature.
        problem: &'static str,
    },
    /// Signed, but not the newest pointer.
    #[error(
        "{key} is an older pointer: its sequence is {found}, and {wanted} was seen before or is the config's min_sequence. Somebody \
        may have put it back to run an old release: look at `towpath plugin versions`, find out who did, and choose the release \
        to run with `towpath plugin publish` or `towpath plugin pin --to VERSION` and the key"
    )]
    Older {
        /// The pointer.
        key: String,
        found: u64,
        /// The lowest accepted sequence.
        wanted: u64,
    },
    /// A manifest under the name of another plugin or version.
    #[error("{key} is the manifest of {found}: it was stored under the wrong name")]
    Misplaced {
        /// The manifest.
        key: String,
        /// The plugin and version in the manifest.
        found: String,
    },
    #[error("{version} is not compiled for {target}: publish it again with a towpath of the host's version")]
    NotCompiled {
        version: String,
        /// This host's target triple.
        target: String,
    },
    /// The native code was not built for this host.
    #[error("{key}")]
    Compiled { key: String, source: ManifestError },
}

impl RegistryError {
    /// Whether anybody who can write to the registry can cause this error. A broken release that is correctly signed is
    /// not of that kind.
    pub(crate) fn is_of_the_place(&self) -> bool {
        match self {
            RegistryError::NotCompiled { .. } => false,
            RegistryError::Compiled { source, .. } => !matches!(source, ManifestError::Mismatch { .. }),
            _ => true,
        }
    }

    /// Whether the pointer is invalid, and not the release.
    pub(super) fn is_of_the_pointer(&self) -> bool {
        matches!(self, RegistryError::Unsigned { .. } | RegistryError::Older { .. } | RegistryError::Unreadable { .. })
    }

    /// Whether this may be an attack.
    pub(super) fn is_suspicious(&self) -> bool {
        matches!(self, RegistryError::Unsigned { .. } | RegistryError::Older { .. })
    }
}

/// Why a pointer was not moved.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The pointer was moved concurrently.
    #[error(
        "somebody else moved {channel} of {name} at the same time: look at `towpath plugin versions {name}`, then try again"
    )]
    Conflict { name: String, channel: String },
    /// The channel is pinned.
    #[error(
        "{channel} of {name} is pinned to {version} and was not moved; {published} is in the registry: \
        unpin it with `towpath plugin pin {name} --off`"
    )]
    Pinned {
        name: String,
        channel: String,
        /// The pinned version.
        version: String,
        /// The version that was published.
        published: String,
    },
    /// Hosts accept only signed pointers, and there is no signing key.
    #[error(
        "pointers of this registry are signed, and moving {channel} of {name} needs the key: give --key FILE, or set \
        TOWPATH_SIGNING_KEY_FILE"
    )]
    NoKey { name: String, channel: String },
    /// There is no earlier version to roll back to.
    #[error(
        "no version of {channel} of {name} before {version} is recorded: name one, \
        `towpath plugin rollback {name} --to VERSION`"
    )]
    NothingBefore {
        name: String,
        channel: String,
        /// The current version.
        version: String,
    },
    /// The pointer was never at this version, as far as it remembers.
    #[error(
        "{wanted} is not among the last versions of {channel} of {name}: to move it there anyway, run \
        `towpath plugin pin {name} --to {wanted}`"
    )]
    NotBefore { name: String, channel: String, wanted: String },
    /// The version exists with other content.
    #[error(
        "{name} {version} is in the registry with a manifest that differs from this build's: was it changed? If nobody runs it, \
        remove {name}/versions/{version} there and publish again; else give the plugin another version"
    )]
    Taken { name: String, version: String },
    /// The object was stored concurrently.
    #[error("somebody else stored {key} at the same time: try again")]
    Meanwhile { key: String },
}
